"""What is done for the Python that runs us; on CPython, PyPy's side with a double of its compiler."""

import gc
import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua import runtime
from b2bua.telemetry import json_text as encoding


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What PyPy's compiler is told."""
    settings: list[str] = []
    monkeypatch.setitem(sys.modules, "pypyjit", SimpleNamespace(set_param=settings.append))
    return settings


@pytest.mark.usefixtures("collector")
def test_on_cpython_what_the_start_made_is_not_looked_at_again(told: list[str]) -> None:
    before = gc.get_freeze_count()  # Python 3.12 freezes some by itself
    runtime.prepare()
    runtime.settle()
    assert gc.get_threshold() == runtime.GC_THRESHOLDS
    assert not gc.isenabled()
    assert gc.get_freeze_count() > before
    assert told == []


@pytest.mark.usefixtures("collector")
def test_on_pypy_long_traces_are_compiled_and_the_collector_is_its_own(
    monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    before = gc.get_freeze_count()
    monkeypatch.setattr(runtime, "PYPY", True)
    # Its gc has no such functions.
    monkeypatch.delattr(gc, "freeze")
    monkeypatch.delattr(gc, "set_threshold")
    runtime.prepare()
    runtime.settle()
    monkeypatch.undo()
    assert told == ["trace_limit=30000"]
    assert gc.get_freeze_count() == before


def test_a_warm_up_compiles_sooner_and_nothing_after_it(
    monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    with runtime.eager():
        assert told == [], "CPython has no compiler to be told"
    monkeypatch.setattr(runtime, "PYPY", True)
    with pytest.raises(ValueError, match="wrong"), runtime.eager():
        raise ValueError("whatever goes wrong in it")
    assert told == [runtime.PYPY_EAGER, runtime.PYPY_PATIENT]


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
def test_both_encoders_say_the_same(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        texts = [encoding.json_text(value)]
        patch.setattr(encoding, "PYPY", True)
        texts.append(encoding.json_text(value))
    assert json.loads(texts[0]) == json.loads(texts[1])
    assert all(text.isascii() and min(text) >= " " for text in texts)
