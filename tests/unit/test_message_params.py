"""Quoted strings, comma lists and parameters."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Params, is_token, quote, require_sendable, split_commas, split_tokens, unquote
from sip_stack.message.params import MAX_VALUES


@pytest.mark.parametrize(
    "text",
    ["", "plain", 'say "hi"', "back\\slash", 'ends with \\"', "юникод", "bell \x07", "nul \0 here"],
)
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text


def test_unquote_leaves_other_text_alone() -> None:
    assert unquote("token") == "token"
    assert unquote('"') == '"'


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ("one", ["one"]),
        ("", [""]),
        ("a,,b", ["a", "", "b"]),
        ('"x, y" <sip:a@b>, <sip:c;d=1,2@e>', ['"x, y" <sip:a@b>', "<sip:c;d=1,2@e>"]),
        ('"escaped \\", quote" <sip:a@b>,<sip:c@d>', ['"escaped \\", quote" <sip:a@b>', "<sip:c@d>"]),
        ('"<", ">"', ['"<"', '">"']),
        ("a\u00a0,\u0085b", ["a\u00a0", "\u0085b"]),
    ],
)
def test_commas_separate_only_outside_quotes_and_brackets(text: str, elements: list[str]) -> None:
    assert split_commas(text) == elements


@pytest.mark.parametrize("text", ['"open, <sip:a@b>', "<sip:a@b, <c", 'a, "', '"ends with escape\\",'])
def test_unbalanced_lists_are_refused(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        split_commas(text)
    assert caught.value.status_hint == 400


@pytest.mark.parametrize("element", ["a", '"a"', "<a>"])
def test_a_list_has_a_limit(element: str) -> None:
    assert len(split_commas(",".join([element] * MAX_VALUES))) == MAX_VALUES
    with pytest.raises(RemoteError):
        split_commas(",".join([element] * (MAX_VALUES + 1)))


def test_token_lists_join_their_lines_and_skip_empty_elements() -> None:
    assert split_tokens(["INVITE, ACK,", "", "BYE"]) == ["INVITE", "ACK", "BYE"]


@pytest.mark.parametrize(("text", "verdict"), [("INVITE", True), ("a b", False), ("", False), ("é", False)])
def test_tokens(text: str, verdict: bool) -> None:
    assert is_token(text) is verdict


class TestParams:
    def test_parse_and_print_give_back_what_was_received(self) -> None:
        params = Params.parse(' ; Tag= abc;lr;x="a;b" ;empty=')
        assert list(params) == [("Tag", "abc"), ("lr", None), ("x", '"a;b"'), ("empty", "")]
        assert str(params) == ';Tag=abc;lr;x="a;b";empty='

    def test_look_up_ignores_case_and_unquotes(self) -> None:
        params = Params.parse(';TAG=abc;lr;x="a \\" b"')
        assert params.get("tag") == "abc"
        assert params.get("LR") == ""
        assert params.get("x") == 'a " b'
        assert params.raw("x") == '"a \\" b"'
        assert params.get("absent") is None
        assert params.has("lr")
        assert not params.has("absent")

    def test_the_first_of_repeated_names_counts(self) -> None:
        assert Params.parse(";tag=1;tag=2").get("tag") == "1"

    @pytest.mark.parametrize("text", [";", ";a;;b", ";=v", "; ;", "a=b", ";a b=c", ';x="open', ";a\\\0=1"])
    def test_malformed_parameters_are_refused(self, text: str) -> None:
        with pytest.raises(RemoteError):
            Params.parse(text)

    def test_there_is_a_limit(self) -> None:
        assert len(Params.parse(";a" * MAX_VALUES)) == MAX_VALUES
        with pytest.raises(RemoteError):
            Params.parse(";a" * (MAX_VALUES + 1))

    def test_changes_are_copies(self) -> None:
        params = Params.parse(";A=1;b")
        assert str(params.with_param("a", "2")) == ";A=2;b"
        assert str(params.with_param("c")) == ";A=1;b;c"
        assert str(params.without("a")) == ";b"
        assert str(params) == ";A=1;b"


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\0b", "\ud800"])
def test_what_cannot_be_sent_is_our_own_error(text: str) -> None:
    with pytest.raises(LocalError):
        require_sendable(text, "a test")


@pytest.mark.parametrize("text", ["plain", "юникод", "octet \udcff", "quoted pair \\\0"])
def test_what_can_be_received_can_be_sent(text: str) -> None:
    require_sendable(text, "a test")
