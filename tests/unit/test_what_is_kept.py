"""What of calls is kept beyond their records: nothing where there is no API to ask for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from b2bua.app import Application
from b2bua.call.registry import CallRegistry
from b2bua.config.loader import load_configuration
from b2bua.operations import Operations
from b2bua.record_writer import RecordWriter
from tests.support.config_files import MAIN, ConfigFiles


def registry(folder: Path, main: str) -> CallRegistry:
    configuration = load_configuration(ConfigFiles(folder, main).main, {})

    async def made() -> CallRegistry:
        return Application(configuration).registry

    return asyncio.run(made())


def test_records_alone_without_an_api(tmp_path: Path) -> None:
    assert isinstance(registry(tmp_path, MAIN).services.records, RecordWriter)


def test_stories_too_with_one(tmp_path: Path) -> None:
    assert isinstance(registry(tmp_path, MAIN + "api: {listen: 127.0.0.1:0}\n").services.records, Operations)
