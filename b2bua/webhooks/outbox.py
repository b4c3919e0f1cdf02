"""What receivers have not taken yet: what waits when a process is killed is sent by the next one, in its order.

A request whose receiver had just taken it may come again, with the same `Idempotency-Key`.
"""

from __future__ import annotations

import json
import secrets
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from b2bua.config.callback_url import parse_callback_url
from b2bua.journal import urls
from b2bua.store import Document, Kind, Place, Removal, Store
from b2bua.telemetry.json_text import json_text
from b2bua.telemetry.logs import get_logger
from b2bua.webhooks.delivery import Delivery

if TYPE_CHECKING:
    from b2bua.journal.seal import Seal

KEPT_MS = 24 * 3600 * 1000
"""How long one waits for a process that sends it."""
PAGE = 500
"""Documents that are read at once."""


class Left(NamedTuple):
    """A request that an earlier process has not brought to its receiver."""

    call_id: str
    delivery: Delivery


class Outbox:
    """Of one process, among those of the same node before and after it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seal: Seal | None = None
        """What hides tokens in URLs; None: what goes to such a URL is not kept. To be set before `open`."""
        self._node = ""
        self._run = secrets.token_hex(8)
        self._kept = 0
        self._log = get_logger()

    def open(self, node: str) -> None:
        """Keep from now on; `node` as in the journal."""
        self._node = node

    def keep(self, call_id: str, delivery: Delivery, url: str) -> None:
        """Keep a request until it is `settled`; `url` is the text with its tuning."""
        text = urls.written(url, self.seal, delivery.id)
        if text is None or not self._node or not self._store.has_backend:
            return
        self._kept += 1
        body = json_text((self._run, self._kept, call_id, text, delivery.parameters))
        now = self._store.now_ms()
        self._store.put(Document(Kind.WEBHOOK, delivery.id, body, now, now + KEPT_MS, self._node))

    def settled(self, delivery: Delivery) -> None:
        """Its receiver has taken it, or will not get it any more."""
        if self._node and self._store.has_backend:
            self._store.put(Removal(Kind.WEBHOOK, delivery.id, self._node))

    async def left_behind(self) -> list[Left]:
        """What earlier processes of this node kept, the oldest first. Raises `StoreUnavailable`.

        What cannot be read, of another version or sealed by somebody else, is left for its expiry."""
        found: list[tuple[int, int, Left]] = []
        before: Place | None = None
        while page := await self._store.find(Kind.WEBHOOK, self._node, before=before, limit=PAGE):
            before = page[-1].place
            for each in page:
                try:
                    run, number, *request = json.loads(each.body)
                    if run != self._run:
                        # Those of one millisecond stand there in no order.
                        found.append((each.place.created, int(number), self._read(each.place.key, *request)))
                except (ValueError, TypeError) as error:
                    self._log.warning("webhook_unreadable", webhook=each.place.key, why=str(error)[:200])
        return [left for *_, left in sorted(found, key=itemgetter(0, 1))]

    def _read(self, key: str, call_id: str, text: str, parameters: list[list[str]]) -> Left:
        """Raises `ValueError` or `TypeError` for what is none of ours."""
        url = urls.read(text, self.seal, key)
        if url is None:
            raise ValueError(f"of call {call_id}: its URL was sealed with another key")
        said = [(str(name), str(value)) for name, value in parameters]
        return Left(str(call_id), Delivery(parse_callback_url(url), said, key))
