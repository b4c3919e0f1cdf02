"""Any text whatsoever gives a configuration or a list of problems, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from b2bua.config import Configuration, ConfigurationError, Position, Problem
from b2bua.config.durations import parse_duration
from b2bua.config.yaml_tree import YamlError, parse_yaml
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

SYNTAX = st.text(st.sampled_from("ab:-[]{}#&*!|>'\"%@`,?~ \n\t01.\\xuU<=$\u2028\x85é\x07"))
SCALARS = st.one_of(
    st.sampled_from(
        [
            "udp:127.0.0.1:0",
            "10.0.0.0/8",
            "sip:a@b",
            "tel:+1",
            "+1",
            "30s",
            "desk",
            "sbc",
            "${A}",
            "$${",
            "*",
            "~",
            "0",
        ]
    ),
    st.sampled_from(
        ["invite", "udp/rtp", "true", "PCMU", "1e999", "-1", "2026-01-01", "[]", "{}", "''", '"\\ud800"']
    ),
    SYNTAX,
)
KEYS = st.sampled_from(
    (
        "sip",
        "listen",
        "advertise",
        "media",
        "ports",
        "codecs",
        "trunks",
        "accept",
        "addresses",
        "outbound",
        "uri",
        "auth",
        "username",
        "password",
        "password_file",
        "routes",
        "destination",
        "trunk",
        "to",
        "destinations",
        "policy",
        "allow",
        "timers",
        "ring_timeout",
        "limits",
        "max_calls",
        "api",
        "keys",
        "store",
        "records",
        "cdr",
        "desk",
        "default",
        "method",
        "encryption",
        "route",
        "headers",
        "fallback",
        "X-A",
        "tls",
        "hold_music",
        "assistant",
        "on_assistant_lost",
        "refer_fallback",
        "wait_for_silence",
    )
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def judge(main: str, destinations: str, overrides: list[str] | None = None) -> None:
    """Load, and look at what comes out: the properties that hold for all input."""
    with folder() as path:
        outcome = load(ConfigFiles(path, main, destinations), overrides or [])
    if isinstance(outcome, ConfigurationError):
        assert outcome.problems
        assert all(isinstance(problem, Problem) for problem in outcome.problems)
        assert str(outcome).encode("utf-8")
        # The name of a file may come from the environment, and is no secret.
        shown = "".join(str(replace(problem, position=Position(""))) for problem in outcome.problems)
        assert "a-secret" not in shown
    else:
        assert outcome.default_destination.default
        assert "a-secret" not in "".join(map(str, outcome.warnings))


def load(files: ConfigFiles, overrides: list[str]) -> Configuration | ConfigurationError:
    """One or the other; any other exception fails the test."""
    try:
        return files.load({"A": "a-secret"}, overrides)
    except ConfigurationError as error:
        return error


def node(depth: int) -> st.SearchStrategy[str]:
    """YAML in flow style that is well-formed more often than not."""
    if depth == 0:
        return SCALARS
    below = node(depth - 1)
    return st.one_of(
        SCALARS,
        st.lists(below, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(KEYS, below, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        ),
    )


@given(SYNTAX)
@settings(max_examples=300, deadline=None)
def test_any_text_is_yaml_or_is_refused(text: str) -> None:
    with suppress(YamlError):
        parse_yaml(text, "f.yaml").plain()


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_octets_as_a_file(octets: bytes) -> None:
    with folder() as path:
        files = ConfigFiles(path)
        files.main.write_bytes(octets)
        outcome = load(files, [])
    assert isinstance(outcome, ConfigurationError)
    assert outcome.problems


@given(KEYS, node(3))
@settings(max_examples=200, deadline=None)
def test_any_value_of_any_key_of_the_main_file(key: str, value: str) -> None:
    judge(f"{MAIN}{key}: {value}\n", DESTINATIONS)


@given(node(3))
@settings(max_examples=200, deadline=None)
def test_any_destinations(value: str) -> None:
    judge(MAIN, f"{DESTINATIONS}other: {value}\n")


@given(st.lists(KEYS, min_size=1, max_size=4).map(".".join), node(2))
@settings(max_examples=200, deadline=None)
def test_any_override(path: str, value: str) -> None:
    judge(MAIN, DESTINATIONS, [f"{path}={value}"])


@given(st.integers(0, len(MAIN)), st.integers(0, 12), SYNTAX)
@settings(max_examples=200, deadline=None)
def test_any_slip_of_the_hand(start: int, length: int, inserted: str) -> None:
    judge(MAIN[:start] + inserted + MAIN[start + length :], DESTINATIONS)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_any_duration(value: object) -> None:
    with suppress(PydanticCustomError):
        assert parse_duration(value) >= 0
