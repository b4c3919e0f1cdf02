"""What is remembered of texts that peers repeat, and that no peer fills memory with it."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message.values import parse_address
from sip_stack.remembered import ENTRIES, MAX_REMEMBERED, Remembered


class Parser:
    def __init__(self) -> None:
        self.parsed: list[str] = []

    def __call__(self, text: str) -> str:
        self.parsed.append(text)
        return text.upper()


def test_a_text_is_parsed_once() -> None:
    parse = Parser()
    remembered = Remembered(parse)
    assert [remembered["a"], remembered["b"], remembered["a"]] == ["A", "B", "A"]
    assert parse.parsed == ["a", "b"]


def test_a_long_text_is_parsed_each_time() -> None:
    parse = Parser()
    remembered = Remembered(parse)
    text = "a" * (MAX_REMEMBERED + 1)
    assert remembered[text] == remembered[text] == text.upper()
    assert len(parse.parsed) == 2
    assert not remembered


def test_what_is_asked_for_stays_while_others_come_and_go() -> None:
    parse = Parser()
    remembered = Remembered(parse)
    for number in range(10 * ENTRIES):
        assert remembered["often"] == "OFTEN"
        assert remembered[str(number)] == str(number)
        assert len(remembered) <= ENTRIES
    assert parse.parsed.count("often") == 1
    assert remembered["0"] == "0"
    assert parse.parsed.count("0") == 2, "forgotten meanwhile"


def test_what_cannot_be_parsed_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(RemoteError):
            parse_address("<sip:nobody")
