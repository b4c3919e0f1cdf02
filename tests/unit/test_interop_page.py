"""docs/interop.md: every pitfall once, with tests that exist, and every test that names a pitfall is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs/interop.md").read_text(encoding="utf-8")
NUMBERS = range(1, 100)
_ENTRY = re.compile(r"^- \*\*(\d+)\*\* (.*?)(?=^- \*\*|^## |\Z)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`(\w+/\w+\.py)::(\w+)`")
_MENTION = re.compile(r"pitfalls?[ _]((?:\d+(?:, | and )?)+)", re.IGNORECASE)

ENTRIES = {int(number): text for number, text in _ENTRY.findall(PAGE)}


def named(number: int) -> list[tuple[str, str]]:
    """The files and tests of an entry."""
    return _NAMED.findall(ENTRIES[number])


def mentions() -> Iterator[tuple[int, str]]:
    """Every number that a test file names, and the file."""
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for numbers in _MENTION.findall(text):
            for number in re.findall(r"\d+", numbers):
                yield int(number), path.relative_to(TESTS).as_posix()


def test_every_pitfall_is_there_once() -> None:
    found = [int(number) for number, _ in _ENTRY.findall(PAGE)]
    assert sorted(found) == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_it_has_tests_or_says_why_not(number: int) -> None:
    text = ENTRIES[number]
    assert bool(named(number)) != bool(re.search(r"\*(Not applicable|Open)\*:", text)), text


def test_the_tests_exist() -> None:
    tests: dict[str, set[str]] = {}
    for number in NUMBERS:
        for file, name in named(number):
            if file not in tests:
                tree = ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
                functions = ast.FunctionDef | ast.AsyncFunctionDef
                tests[file] = {node.name for node in tree if isinstance(node, functions)}
            assert name in tests[file], f"{number}: {file}::{name}"


def test_whoever_names_a_pitfall_is_named_by_it() -> None:
    missing = {
        (number, file)
        for number, file in mentions()
        if file not in {each for each, _ in named(number)} and file != "unit/test_interop_page.py"
    }
    assert not missing
