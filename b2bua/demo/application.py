"""A voice-AI application: asks for a human over the HTTP API, and follows what becomes of it (docs/api.md)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

from b2bua.demo.phone import HOST

FINAL = ("completed", "failed", "cancelled")
"""The states of a handoff after which nothing more happens."""
INTERVAL = 0.05
"""Seconds between two looks at a handoff."""
PATIENCE = 15.0
"""Seconds until an application gives up following a handoff."""
_TIMEOUT = 5.0

JsonObject = dict[str, object]


class ApplicationFailed(Exception):
    """The API did not answer, or not as it should."""


class Application:
    """Talks to one B2BUA."""

    def __init__(self, port: int, key: str, say: Callable[[str], None]) -> None:
        """`say` is told what is asked and what comes back."""
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._say = say

    async def hand_off(self, call_id: str, body: JsonObject) -> JsonObject:
        """Ask for a human, wait until the handoff is over; the handoff as the API tells it.

        Raises `ApplicationFailed`.
        """
        self._say(f"POST …/handoff to {body['destination']}")
        status, handoff = await self._request("POST", f"/v1/calls/{call_id}/handoff", body)
        self._say(f"{status}, it is {handoff.get('state')}")
        if status != 202:
            raise ApplicationFailed(f"the handoff was answered {status}: {handoff}")
        deadline = time.monotonic() + PATIENCE
        while handoff["state"] not in FINAL and time.monotonic() < deadline:
            await asyncio.sleep(INTERVAL)
            before = handoff["state"]
            status, handoff = await self._request("GET", f"/v1/handoffs/{handoff['id']}")
            if status != 200:
                raise ApplicationFailed(f"the handoff was lost: {status}")
            if handoff["state"] != before:
                self._say(f"it is {handoff['state']}")
        return handoff

    async def context(self, handoff_id: str) -> JsonObject:
        """What a human's screen shows of a handoff. Raises `ApplicationFailed`."""
        status, handoff = await self._request("GET", f"/v1/handoffs/{handoff_id}")
        if status != 200:
            raise ApplicationFailed(f"there is no context: {status}")
        return handoff

    async def _request(
        self, method: str, path: str, body: JsonObject | None = None
    ) -> tuple[int, JsonObject]:
        return await asyncio.to_thread(self._exchange, method, path, json.dumps(body) if body else None)

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, JsonObject]:
        connection = HTTPConnection(HOST, self._port, timeout=_TIMEOUT)
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            found = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ApplicationFailed(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if not isinstance(found, dict):
            raise ApplicationFailed(f"{method} {path}: no JSON object")
        return response.status, found
