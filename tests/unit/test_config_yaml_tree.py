"""YAML text as a tree with positions: what is read, and what is refused before anybody looks at keys."""

from __future__ import annotations

import pytest

from b2bua.config.problems import Position
from b2bua.config.yaml_tree import MAX_DEPTH, MAX_SIZE, YamlError, parse_yaml


def problems_of(text: str) -> list[str]:
    with pytest.raises(YamlError) as raised:
        parse_yaml(text, "f.yaml")
    return [str(problem) for problem in raised.value.problems]


def test_every_key_and_value_knows_its_line_and_column() -> None:
    root = parse_yaml("a:\n  - {b: 1}\n  - two\n", "f.yaml")

    assert root.plain() == {"a": [{"b": 1}, "two"]}
    assert root.position_of(("a", 0, "b")) == Position("f.yaml", 2, 9)
    assert root.position_of_key(("a", 0, "b")) == Position("f.yaml", 2, 6)
    assert root.position_of(("a", 1)) == Position("f.yaml", 3, 5)


def test_a_missing_key_is_placed_at_what_is_around_it() -> None:
    root = parse_yaml("a:\n  b: 1\n", "f.yaml")

    assert root.position_of(("a", "missing", 3)) == Position("f.yaml", 2, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("-12", -12),
        ("1.5", 1.5),
        ("on", "on"),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("|\n  line\n", "line\n"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert parse_yaml(f"key: {text}", "f.yaml").plain() == {"key": value}


def test_the_text_of_a_number_is_kept_as_written() -> None:
    node = parse_yaml("key: 0123", "f.yaml").at(("key",))

    assert node is not None
    assert (node.value, node.text) == (123, "0123")


def test_every_duplicate_key_is_reported_with_both_places() -> None:
    assert problems_of("a: 1\nb: {c: 1,\n  c: 2}\na: 3\n") == [
        "f.yaml:3:3: b.c: duplicate key; it is first set at f.yaml:2:5",
        "f.yaml:4:1: a: duplicate key; it is first set at f.yaml:1:1",
    ]


def test_an_alias_stands_for_its_anchor() -> None:
    root = parse_yaml("a: &x {b: 1}\nc: *x\n", "f.yaml")

    assert root.plain() == {"a": {"b": 1}, "c": {"b": 1}}


def test_aliases_of_aliases_cannot_fill_the_memory() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )

    assert "more than 200000 values" in problems_of(bomb)[0]


def test_aliases_cannot_nest_deeper_than_text() -> None:
    steps = "".join(f"a{n}: &a{n} [[[[*a{n - 1}]]]]\n" for n in range(1, 10))

    assert "nested deeper" in problems_of("a0: &a0 [1]\n" + steps)[0]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_and_not_descended(opening: str) -> None:
    assert f"nested deeper than {MAX_DEPTH} levels" in problems_of(opening * 10_000)[0]


def test_a_huge_text_is_refused_unread() -> None:
    assert "larger than" in problems_of("x" * (MAX_SIZE + 1))[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a:\n  b: 1\nc\n  d: 2\n", "f.yaml:3:1: a line that is neither `key: value` nor a list's `- item`"),
        ("a: b: c", "f.yaml:1:5: a colon where no key can be; allowed: a line as far in as"),
        ("a:\n  b: 1\n   c: 2\n", "f.yaml:3:5: a colon where no key can be; allowed: a line as far in as"),
        ("a:\n  - 1\n b: 2\n", "f.yaml:3:2: a line that is not as far in as those beside it"),
        ("a:\n\tb: 1", "f.yaml:2:1: a tab before the first word of a line or value; allowed: spaces"),
        ("a: @b", "f.yaml:1:4: a character that no value begins with; allowed: quotes around the value"),
        ("a: *\nb: 1", "f.yaml:1:4: a value that begins with *; allowed: quotes around the value"),
        ("a: 'b\nc: 1\n", "f.yaml:1:4: a quote that is never closed"),
        ("a: 'it's'\n", "f.yaml:1:8: something behind the closing quote of a value"),
        (
            'a: "b\\qc"\n',
            "f.yaml:1:7: a backslash that means nothing in double quotes; allowed: single quotes",
        ),
        ("a: [1, 2", "f.yaml:1:4: a [ that is not closed as it must be"),
        ("a: {b: 1\nc: 2\n", "f.yaml:1:4: a { that is not closed as it must be; allowed: a comma"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"),
        ("a: !!binary aGk=", "f.yaml:1:4: tags are not used here"),
        ("a: *nowhere", "f.yaml:1:4: an alias without its anchor"),
        ("[a]: 1", "f.yaml:1:1: a key must be a word"),
        ("a: 1\nb: \x07", "f.yaml:2:4: special characters are not allowed"),
        ('a: "\\UFFFFFFFF"', "f.yaml: not YAML"),
        (f"%YAML {'9' * 5000}.1\n---\na: 1", "f.yaml: not YAML"),
    ],
)
def test_what_is_no_yaml_for_us_is_told_with_its_place(text: str, what: str) -> None:
    assert problems_of(text)[0].startswith(what)


@pytest.mark.parametrize(
    "text",
    [
        "password: *hunter2",
        "password: !hunter2 x",
        "password: !hunter2!x y",
        "password: 'hunter2",
        "a: b: hunter2",
    ],
)
def test_a_password_is_not_quoted_when_the_syntax_around_it_is_wrong(text: str) -> None:
    assert "hunter2" not in "".join(problems_of(text))
