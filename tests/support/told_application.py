"""An application that is told of handoffs by webhook, in a world of virtual time."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from b2bua.config.callback_url import CallbackUrl
from b2bua.store import Store
from b2bua.webhooks import Outbox, Webhooks
from b2bua.webhooks.sender import ConnectFailed
from tests.support.b2bua_world import World

URLS = {"callback_url": "https://app.example.com/live", "action_url": "https://app.example.com/done"}
Told = list[dict[str, str]]


class Application:
    """The receiver: takes everything, or nothing while it is `dead`."""

    def __init__(self) -> None:
        self.told: Told = []
        self.ids: list[str] = []
        """The `Idempotency-Key` of each request."""
        self.dead = False
        self.back = float("-inf")
        """When it was last dead, by the loop's clock."""
        self.slow = False
        """It answers nothing."""

    def events(self) -> list[str]:
        """The `Event` of each request that it took."""
        return [each["Event"] for each in self.told]

    def told_once(self) -> Told:
        """Each request where it first came: one may come again from the process after a killed one."""
        first = {key: number for number, key in reversed(list(enumerate(self.ids)))}
        return [self.told[number] for number in sorted(first.values())]

    async def post(
        self,
        url: CallbackUrl,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> int:
        """One request."""
        if self.dead:
            raise ConnectFailed("ConnectError")
        if self.slow:
            await asyncio.sleep(1000)
        self.ids.append(dict(headers)["Idempotency-Key"])
        self.told.append(dict(parse_qsl(body.decode(), keep_blank_values=True)))
        return 200

    async def close(self) -> None:
        """Nothing is open."""


def webhooks_of(world: World, application: Application, outbox: Outbox | None = None) -> Webhooks:
    """The webhooks of a world from now on; to be closed by the story. Without an `outbox` nothing outlives it."""
    registry = world.registry
    webhooks = Webhooks(
        registry.services.feed,
        lambda: world.configuration.webhooks,
        registry.record_of,
        lambda: application,
        outbox or Outbox(Store(None, "disabled")),
    )
    # Opened beforehand: a thread has no place in virtual time.
    webhooks._sender = application
    webhooks.start()
    return webhooks
