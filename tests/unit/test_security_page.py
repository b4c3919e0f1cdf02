"""docs/security.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
NAMED = re.compile(r"`(\w+/\w+\.py)::(\w+)`")


def test_what_the_page_says_is_shown_by_tests() -> None:
    page = (TESTS.parent / "docs/security.md").read_text(encoding="utf-8")
    named = NAMED.findall(page)
    assert len(named) > 20
    for file, name in named:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in tree.body if isinstance(node, functions)}, f"{file}::{name}"
