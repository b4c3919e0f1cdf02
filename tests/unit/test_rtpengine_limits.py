"""What rtpengine cannot do: the table in docs/media.md, and what tests excuse it from, are the same."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.engines import Limit

TESTS = Path(__file__).parent.parent
TABLE = "| what it cannot do | so |"


def rows() -> list[str]:
    """The first column of the table."""
    page = (TESTS.parent / "docs/media.md").read_text(encoding="utf-8")
    lines = page[page.index(TABLE) :].partition("\n\n")[0].splitlines()[2:]
    return [line.split("|")[1].strip() for line in lines]


def test_the_table_has_what_tests_excuse_rtpengine_from() -> None:
    assert rows() == list(Limit)


def test_each_has_a_test() -> None:
    """One that is excused from it, or tells what happens instead."""
    named = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"\bLimit\.([A-Z_0-9]+)", path.read_text(encoding="utf-8"))
    }
    assert {limit.name for limit in Limit} <= named
