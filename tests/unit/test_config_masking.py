"""What of a URI is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config.editing.settings import Settings, unmasked
from b2bua.config.masking import masked
from tests.support.handoff_config import INVITE, handoff_files


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://app.example.com/hook#rc=3", "https://app.example.com/hook#rc=3"),
        ("https://me:pw@app.example.com/hook", "https://…@app.example.com/hook"),
        ("https://me@home:pw@app.example.com/", "https://…@app.example.com/"),
        ("https://app.example.com/a@b", "https://app.example.com/a@b"),
        ("http://h?token=a&id=b&empty=&c", "http://h?token=…&id=…&empty=&…"),
        ("http://h?token=${TOKEN}&x=${A}b", "http://h?token=${TOKEN}&x=…"),
        ("http://h/#x?y=z", "http://h/#x?y=z"),
        ("sip:me:pw@pbx.example.com", "sip:me:…@pbx.example.com"),
        ("sip:me@pbx.example.com;a=b?X=y", "sip:me@pbx.example.com;a=b?X=y"),
        ("nothing of the kind: a@b?c=d", "nothing of the kind: a@b?c=d"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_what_was_shown_means_what_was_there() -> None:
    before: Settings = {
        "a": "https://h?t=1",
        "route": ["sip:u:1@h", "sip:u:2@h"],
        "b": {"c": "https://x:y@h"},
    }
    wanted: Settings = {
        "a": "https://h?t=…",
        "route": ["sip:u:…@h", "sip:u:…@h"],
        "b": {"c": "https://…@h"},
        "d": 1,
    }

    assert unmasked(wanted, before) == {**before, "d": 1}
    assert unmasked({"route": "sip:u:…@h", "a": "https://i?t=…"}, before) == {
        "route": "sip:u:1@h",
        "a": "https://i?t=…",
    }


def test_a_problem_of_a_url_does_not_show_it(tmp_path: Path) -> None:
    (problem,) = handoff_files(tmp_path, f"{INVITE}  callback_url: 'https://u:p1@h/x?token=p2'\n").texts()

    assert "a URL with a user in it; found 'https://…@h/x?token=…'" in problem
