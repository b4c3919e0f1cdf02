"""Listeners open one after the other, and the first may hear a call before the last is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from b2bua.app import Application, StartError
from b2bua.config.loader import load_configuration
from sip_stack.aio.network import Listen
from sip_stack.errors import TransportError
from tests.support.config_files import MAIN, ConfigFiles


def test_who_hears_and_who_is_let_in_is_settled_before_the_first_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = load_configuration(ConfigFiles(tmp_path, MAIN).main, {})
    settled = []

    async def main() -> None:
        application = Application(configuration)
        registry = application.registry
        stack = registry.services.stack

        async def start(listens: Iterable[Listen]) -> list[Listen]:
            settled.append(
                stack.on_event == registry.deliver and stack.endpoint.gate is registry.trunks.doorkeeper
            )
            raise TransportError("taken")

        monkeypatch.setattr(stack, "start", start)
        with pytest.raises(StartError):
            await application.run()

    asyncio.run(main())
    assert settled == [True]
