"""Comments and docstrings that send their reader to a page of docs/: the page is there, and so is the section named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("b2bua", "sip_stack", "media", "benchmarks", "scripts", "tests")
_PAGE = re.compile(r'docs/([a-z-]+\.md)(?:,? "([^"]+)")?')


def named() -> Iterator[tuple[Path, str, str]]:
    """File, page and section (empty where none is named)."""
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".pyi", ".rs"):
                for page, section in _PAGE.findall(path.read_text(encoding="utf-8")):
                    yield path, page, section


def has(page: str, section: str) -> bool:
    path = ROOT / "docs" / page
    if not path.is_file():
        return False
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return not section or section in [heading.replace("`", "").partition(" (")[0] for heading in headings]


def test_pages_and_sections_that_code_names_are_there() -> None:
    found = list(named())
    assert len(found) > 20
    missing = [
        f"{path.relative_to(ROOT)}: {page} {section}"
        for path, page, section in found
        if not has(page, section)
    ]
    assert not missing
