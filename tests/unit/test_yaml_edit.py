"""Editing YAML text in place: what changes is what was asked for, and not an octet more."""

from __future__ import annotations

import difflib
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.config.editing.yaml_edit import NotEditable, block_of, rewritten, with_copy
from b2bua.config.editing.yaml_values import block_lines, flow_text
from b2bua.config.yaml_tree import Plain, parse_yaml

FILE = """\
# Places where people answer.
# Ask Jane before you change billing.

desk:                       # reception
  default: true
  method: invite
  'encryption': "udp/rtp"   # no TLS there
  route: sip:operator@pbx.example.com

# Ticket 4711
billing:
    description: >-
      Disputes
      and refunds
    method: invite
    encryption: udp/rtp
    route:
    - sip:queue-1@cc.example.com   # Dublin
    - sip:queue-2@cc.example.com   # Cork
    auth: {username: acme,   password: "${BILLING_PASSWORD}"}  # from the vault
    # by the hour
    ring_timeout: 20s
    # fallback: desk

# --- no people behind these ---

back: {method: bye, headers: {X-Reason: $reason}}
# end
"""


def plain(text: str) -> dict[str, dict[str, Plain]]:
    tree = parse_yaml(text, "").plain()
    assert isinstance(tree, dict)
    return tree  # type: ignore[return-value]


def change(text: str, after: str) -> list[str]:
    """The lines that differ."""
    lines = difflib.unified_diff(text.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@"]


def edited(key: str, **settings: Plain) -> list[str]:
    """What differs after settings of one destination were changed; None takes one out."""
    wanted = plain(FILE)
    for name, value in settings.items():
        if value is None:
            del wanted[key][name]
        else:
            wanted[key][name] = value
    return change(FILE, rewritten(FILE, wanted))  # type: ignore[arg-type]


def test_what_means_the_same_is_not_touched() -> None:
    assert rewritten(FILE, plain(FILE)) == FILE  # type: ignore[arg-type]


def test_a_value_changes_in_its_quotes_and_beside_its_comment() -> None:
    assert edited("desk", encryption="tls/srtp") == [
        """-  'encryption': "udp/rtp"   # no TLS there""",
        """+  'encryption': "tls/srtp"   # no TLS there""",
    ]


def test_a_new_key_comes_last_and_is_indented_as_its_neighbours_are() -> None:
    assert edited("billing", headers={"X-Reason": "$reason", "X-Note": "a, b"}) == [
        "+    headers:",
        "+      X-Reason: $reason",
        '+      X-Note: "a, b"',
    ]


def test_a_key_goes_with_the_comment_above_it() -> None:
    assert edited("billing", ring_timeout=None) == ["-    # by the hour", "-    ring_timeout: 20s"]


def test_items_of_a_list_change_one_by_one() -> None:
    first, second, third = "sip:a@cc.example.com", "sip:queue-2@cc.example.com", "sip:c@cc.example.com"
    assert edited("billing", route=[first, second, third]) == [
        "-    - sip:queue-1@cc.example.com   # Dublin",
        "+    - sip:a@cc.example.com   # Dublin",
        "+    - sip:c@cc.example.com",
    ]
    assert edited("billing", route=["sip:queue-1@cc.example.com"]) == [
        "-    - sip:queue-2@cc.example.com   # Cork"
    ]


def test_what_stays_in_braces_keeps_its_spelling() -> None:
    assert edited("billing", auth={"username": "us", "password": "${BILLING_PASSWORD}", "realm": "cc"}) == [
        '-    auth: {username: acme,   password: "${BILLING_PASSWORD}"}  # from the vault',
        '+    auth: {username: us, password: "${BILLING_PASSWORD}", realm: cc}  # from the vault',
    ]


def test_a_block_of_text_becomes_a_line() -> None:
    assert edited("billing", description="Refunds")[-1] == "+    description: Refunds"
    assert len(edited("billing", description="Refunds")) == 4


def test_a_value_becomes_a_list_and_a_list_a_value_where_they_stand() -> None:
    assert edited("desk", route=["sip:a@x", "sip:b@x"])[-1] == "+  route: [sip:a@x, sip:b@x]"
    assert edited("billing", route="sip:a@x")[-1] == "+    route: sip:a@x   # Cork"


def test_a_destination_goes_with_its_comments_and_leaves_those_of_others() -> None:
    wanted = plain(FILE)
    del wanted["billing"]
    after = rewritten(FILE, wanted)  # type: ignore[arg-type]

    assert "Ticket 4711" not in after
    assert "# fallback: desk" not in after
    assert after.endswith(
        "route: sip:operator@pbx.example.com\n\n# --- no people behind these ---\n\n"
        "back: {method: bye, headers: {X-Reason: $reason}}\n# end\n"
    )


def test_a_new_destination_comes_after_the_last_one_and_before_what_ends_the_file() -> None:
    wanted: dict[str, Plain] = {**plain(FILE), "sales": {"method": "bye"}}

    assert rewritten(FILE, wanted).endswith("{X-Reason: $reason}}\n\nsales:\n  method: bye\n# end\n")


def test_a_copy_stands_behind_the_original_with_its_comments() -> None:
    start, end = block_of(FILE, "billing")
    after = with_copy(FILE, "billing", "billing-2")

    original = FILE[start:end].removeprefix("# Ticket 4711\n")
    assert after == f"{FILE[:end]}\n{original.replace('billing:', 'billing-2:')}{FILE[end:]}"


@pytest.mark.parametrize(
    "text",
    [
        "desk: {method: bye, default: true}\nback: {method: bye}",
        "{desk: {method: bye, default: true}, back: {method: bye}}",
        "---\ndesk:\n  method: bye\n  default: true\nback:\n  method: bye\n...\n",
        "desk:\r\n  method: bye\r\n  default: true\r\nback:\r\n  method: bye\r\n",
        "desk: &a\n  method: bye\n  default: true\nback:\n  method: bye",
        "desk:\n  method:\n    bye\n  default:\n    true\nback:\n\n  method: bye\n",
    ],
)
def test_other_ways_to_write_it(text: str) -> None:
    tree = plain(text)
    for wanted in (
        {**tree, "sales": {"method": "bye", "route": ["a", "b"]}},
        {"desk": {"method": "bye"}, "back": {"method": "bye", "default": True}},
        {"back": {"method": "refer", "headers": {"X-A": "1"}}},
        {"desk": {"default": True, "route": [], "headers": {}}, "back": {"method": "x: y"}},
    ):
        after = rewritten(text, wanted)  # type: ignore[arg-type]
        assert plain(after) == wanted
        assert "\r" not in text or "\n" not in after.replace("\r\n", "")
    assert plain(with_copy(text, "desk", "desk-2")) == {**tree, "desk-2": tree["desk"]}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "# nothing yet", "{}", "{} # yet\n"])
def test_a_file_without_destinations_gets_its_first(text: str) -> None:
    assert plain(rewritten(text, {"desk": {"method": "bye"}})) == {"desk": {"method": "bye"}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: &x {method: bye}\nb: *x\n", {"b": {"method": "bye"}}),
        ("? a\n: method: bye\nb: {method: bye}\n", {"b": {"method": "bye"}}),
    ],
)
def test_an_edit_that_would_do_something_else_is_refused(text: str, wanted: dict[str, Plain]) -> None:
    with pytest.raises(NotEditable):
        rewritten(text, wanted)


def test_an_alias_is_left_alone_or_replaced_as_a_whole() -> None:
    text = "a: &x {method: bye}\nb: *x\n"

    assert rewritten(text, {"a": {"method": "bye"}, "b": {"method": "refer"}}) == dedent(
        """\
        a: &x {method: bye}
        b: {method: refer}
        """
    )


# -- any file and any edit ---------------------------------------------------------------------------------------------

WORDS: st.SearchStrategy[Plain] = st.one_of(
    st.sampled_from(
        ["sip:a@x.example.com", "udp/rtp", "$reason", "yes", "null", "0123", "+1555", "20s", "", "a: b"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
KEYS = st.sampled_from(["method", "route", "auth", "headers", "X-Reason", "default", "fallback"])
SCALARS: st.SearchStrategy[Plain] = st.one_of(WORDS, st.booleans(), st.none(), st.integers(-(10**17), 10**17))
VALUES: st.SearchStrategy[Plain] = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(WORDS)), max_size=3),
)
TREES: st.SearchStrategy[dict[str, Plain]] = st.dictionaries(
    st.sampled_from(["desk", "billing", "sales", "back"]),
    st.dictionaries(KEYS, VALUES, max_size=4),
    max_size=4,
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A tree as some person would write it: with comments, blank lines, and braces here and there."""
    lines: list[str] = draw(st.sampled_from([[], ["# head", ""], ["---"]]))
    for key, value in draw(TREES).items():
        if draw(st.booleans()):
            lines += ["", f"# about {key}"]
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"{key}: {flow_text(value)}   # in braces")
            continue
        for number, line in enumerate(block_lines(key, value, 0)):
            indent = " " * (len(line) - len(line.lstrip()))
            if number and draw(st.integers(0, 4)) == 0:
                lines.append(
                    draw(st.sampled_from([f"{indent}# note", "", "# far left", f"{indent}     # far right"]))
                )
            lines.append(line + draw(st.sampled_from(["", "", "  # beside"])))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(lines) + draw(st.sampled_from(["", newline, newline * 3]))


@settings(max_examples=200, deadline=None)
@given(files(), TREES)
def test_any_edit_of_any_file_means_what_it_should_and_spares_the_rest(
    text: str, changes: dict[str, Plain]
) -> None:
    tree = parse_yaml(text, "").plain() or {}
    assert isinstance(tree, dict)
    kept = {key: value for key, value in tree.items() if key not in changes}
    wanted = {**kept, **changes}

    after = rewritten(text, wanted)  # raises when it means anything else

    for key in kept:
        start, end = block_of(text, key)
        assert text[start:end].rstrip() in after


@settings(max_examples=50, deadline=None)
@given(files())
def test_a_copy_adds_and_takes_nothing_away(text: str) -> None:
    for key in parse_yaml(text, "").plain() or ():  # type: ignore[union-attr]
        after = with_copy(text, str(key), "another")
        assert [line for line in change(text, after) if line.startswith("-")] in (
            [],
            [f"-{text.splitlines()[-1]}"],
        )
