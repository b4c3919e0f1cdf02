"""Header lines: order, names, changes, and what is refused."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import MAX_HEADERS, Headers, header_key
from sip_stack.message.headers import COMPACT_FORMS


def sample() -> Headers:
    return Headers([("Via", "one"), ("v", "two"), ("To", "bob"), ("X-Thing", "1"), ("x-thing", "2")])


def test_lines_keep_their_order_and_spelling() -> None:
    assert sample().items() == [
        ("Via", "one"),
        ("v", "two"),
        ("To", "bob"),
        ("X-Thing", "1"),
        ("x-thing", "2"),
    ]
    assert len(sample()) == 5


def test_look_up_ignores_case_and_knows_compact_forms() -> None:
    headers = sample()
    assert headers.get("VIA") == "one"
    assert headers.get_all("v") == ["one", "two"]
    assert headers.get("t") == "bob"
    assert headers.get_all("X-THING") == ["1", "2"]
    assert headers.get("From") is None
    assert headers.get_all("From") == []
    assert headers.count("via") == 2
    assert "to" in headers
    assert "From" not in headers


@pytest.mark.parametrize(("letter", "name"), COMPACT_FORMS.items())
def test_each_compact_form_is_its_full_name(letter: str, name: str) -> None:
    assert header_key(letter) == header_key(letter.upper()) == header_key(name) == name.lower()
    assert Headers([(name, "value")]).get(letter) == "value"


def test_a_letter_that_only_looks_like_a_compact_form_is_none() -> None:
    with pytest.raises(RemoteError):
        Headers.parse(["\u212a: kelvin"])  # KELVIN SIGN lowers to k, the compact Supported


def test_add_appends() -> None:
    headers = sample()
    headers.add("From", "alice")
    headers.extend([("Via", "three"), ("Y", "")])
    assert headers.items()[-3:] == [("From", "alice"), ("Via", "three"), ("Y", "")]
    assert headers.get_all("via") == ["one", "two", "three"]


def test_prepend_and_insert_put_lines_before_others() -> None:
    headers = sample()
    headers.prepend("Via", "zero")
    assert headers.get_all("Via") == ["zero", "one", "two"]
    headers.insert(1, "Via", "half")
    assert headers.get_all("Via") == ["zero", "half", "one", "two"]
    assert headers.items()[1] == ("Via", "half")


def test_set_replaces_all_lines_of_the_name_in_the_place_of_the_first() -> None:
    headers = sample()
    headers.set("via", "new")
    assert headers.items() == [("via", "new"), ("To", "bob"), ("X-Thing", "1"), ("x-thing", "2")]
    headers.set("Expires", "60")
    assert headers.items()[-1] == ("Expires", "60")


def test_replace_first_leaves_the_others() -> None:
    headers = sample()
    headers.replace_first("Via", "new")
    assert headers.get_all("Via") == ["new", "two"]
    with pytest.raises(LocalError):
        headers.replace_first("From", "nobody")


def test_remove() -> None:
    headers = sample()
    headers.remove("Via")
    headers.remove("Absent")
    assert headers.items() == [("To", "bob"), ("X-Thing", "1"), ("x-thing", "2")]
    assert headers.get("v") is None


def test_a_copy_is_independent() -> None:
    headers = sample()
    copy = headers.copy()
    copy.set("To", "carol")
    assert headers.get("To") == "bob"
    assert copy.get("To") == "carol"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\rb", "a\nb", "a\0b"])
def test_injection_is_refused_by_every_way_in(value: str) -> None:
    headers = sample()
    before = headers.items()
    for change in (headers.add, headers.set, headers.prepend, headers.replace_first):
        with pytest.raises(LocalError):
            change("To", value)
    with pytest.raises(LocalError):
        headers.insert(0, "To", value)
    with pytest.raises(LocalError):
        Headers([("To", value)])
    assert headers.items() == before


@pytest.mark.parametrize("name", ["", "a b", "a:b", "To\r\n", "é"])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(LocalError):
        Headers().add(name, "value")


def test_received_lines_lose_blanks_around_the_value_only() -> None:
    headers = Headers.parse(["TO \t:  bob  smith\t", "Empty:", "Subject:\u00a0kept\u0085"])
    assert headers.items() == [("TO", "bob  smith"), ("Empty", ""), ("Subject", "\u00a0kept\u0085")]
    assert headers.get("Empty") == ""


@pytest.mark.parametrize("line", ["no colon", "To", ": no name", "two words: x", "é: x", ""])
def test_a_line_that_is_no_header_is_refused(line: str) -> None:
    with pytest.raises(RemoteError):
        Headers.parse(["Via: x", line])


def test_there_is_a_limit_of_lines() -> None:
    assert len(Headers.parse(["A: b"] * MAX_HEADERS)) == MAX_HEADERS
    with pytest.raises(RemoteError):
        Headers.parse(["A: b"] * (MAX_HEADERS + 1))


def test_content_length_is_printed_once_in_its_old_place_or_last() -> None:
    assert Headers([("A", "b")]).text(3) == "\r\nA: b\r\nContent-Length: 3"
    headers = Headers([("l", "9"), ("A", "b"), ("Content-Length", "9")])
    assert headers.text(3) == "\r\nContent-Length: 3\r\nA: b"
    assert headers.get_all("l") == ["9", "9"]  # printing changes nothing
