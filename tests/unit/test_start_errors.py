"""What a B2BUA says that cannot start: which key of the configuration, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.app import Application, StartError
from tests.support.config_files import MAIN, ConfigFiles


def test_records_that_cannot_be_written(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("no folder")
    configuration = ConfigFiles(tmp_path, MAIN + f"records: {{cdr: {taken}/cdr.jsonl}}\n").load()

    async def story() -> None:
        with pytest.raises(StartError, match=r"^records\.cdr .*/taken/cdr\.jsonl: cannot be written: "):
            await Application(configuration).run()

    asyncio.run(story())
