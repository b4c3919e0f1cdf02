"""docs/handoff.md names every setting, and tests that exist; that its examples work is tested in `interop`."""

from __future__ import annotations

import re
from pathlib import Path

from b2bua.config import destinations_schema
from tests.support.kept_history import as_object

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/handoff.md").read_text(encoding="utf-8")
FILES = {
    "A": "scenarios/test_assistant_refers.py",
    "H": "scenarios/test_acceptance.py",
    "I": "scenarios/test_handoff_by_invite.py",
    "M": "scenarios/test_handoff_matrix.py",
    "R": "scenarios/test_handoff_by_refer.py",
    "X": "scenarios/test_handoff_races.py",
    "C": "interop/test_handoff_calls.py",
    "L": "interop/test_handoff_load.py",
    "S": "interop/test_handoff_sbc.py",
    "V": "scenarios/test_voicemail_and_digits.py",
    "W": "interop/test_handoff_audio.py",
}


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([A-Z]):(test_\w+)`", PAGE)
    assert len(named) > 40
    missing = [
        f"{file}:{name}"
        for file, name in named
        if f"def {name}(" not in (ROOT / "tests" / FILES[file]).read_text(encoding="utf-8")
    ]
    assert not missing


def test_every_setting_of_a_destination_is_on_the_page() -> None:
    settings = PAGE[PAGE.index("## Settings") : PAGE.index("## Asking by REFER")]
    schema = as_object(as_object(destinations_schema()["$defs"])["Destination"])
    keys = set(as_object(schema["properties"])) - {"default", "description"}
    assert not [key for key in sorted(keys) if f"`{key}`" not in settings]
