"""`GET /v1/events`: what happens to calls and handoffs, as it happens, as server-sent events.

The format is the HTML standard's (section 9.2): `id`, `event`, `data`; an `id` without data moves a client's place on.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from b2bua.control import ControlError
from b2bua.http_api.connection import note_stream
from b2bua.http_api.documented import Responses, documented
from b2bua.http_api.event_log import EventLog, LogClosed, Passed, Reader
from b2bua.telemetry.logs import get_logger

MAX_STREAMS = 16
"""At once: each is work for the loop that also carries SIP."""
GATHER = 0.05
"""Seconds that events gather before they are sent together."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment says that the stream lives; proxies end what is silent for a minute."""
RECONNECT_MS = 2000
"""How long a client should wait before it comes again."""

_EVENT_EXAMPLE = (
    'id: 5f3a9c01-17\nevent: handoff\ndata: {"event":"handoff","at":"2026-01-01T00:00:00.000Z","call_id":"c-1",'
    '"handoff_id":"h-1","state":"connected","method":"invite","destination":"billing","reason":"refund",'
    '"shared_id":"","outcome":null,"confirmed":null}\n\n'
)

CallFilter = Annotated[
    str | None, Query(min_length=1, max_length=128, description="Only the events of this call.")
]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=64,
        description="The id of the last event that was received: what came after it is sent first. When some of that "
        "is gone, an event `gap` says so.",
    ),
]


class EventStream(Response):
    """An answer without end, until its client goes, falls behind, or the program ends."""

    media_type = "text/event-stream"

    def __init__(self, reader: Reader) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is read."""
        note_stream(scope)
        reader = self._reader
        gone = asyncio.create_task(_close_when_gone(reader, receive), name="event stream client")
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await _send(send, _beginning(reader))
            await _follow(reader, send)
        except Passed:
            get_logger().warning("event_stream_too_slow", client=(scope.get("client") or ["unknown"])[0])
        except LogClosed:
            pass
        finally:
            reader.close()
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def event_routes(log: EventLog) -> APIRouter:
    """The stream of events."""
    routes = APIRouter(prefix="/v1/events", tags=["events"])

    @routes.get(
        "",
        status_code=200,
        response_class=Response,
        responses=_responses(),
    )
    async def follow_events(call_id: CallFilter = None, last_event_id: LastEventId = None) -> Response:
        """What happens to calls and handoffs, as it happens (server-sent events). Comments keep it alive."""
        if log.readers >= MAX_STREAMS:
            raise ControlError(503, "too_many_streams", f"{MAX_STREAMS} clients follow the events already")
        return EventStream(log.follow(last_event_id or None, call_id))

    return routes


def _responses() -> Responses:
    what = "Events without end; `docs/api.md` lists their kinds."
    responses = documented(200, None, what, "invalid_request", "too_many_streams")
    responses[200]["content"] = {
        "text/event-stream": {"schema": {"type": "string"}, "example": _EVENT_EXAMPLE}
    }
    return responses


async def _follow(reader: Reader, send: Send) -> None:
    """Raises `Passed` or `LogClosed` in the end."""
    loop = asyncio.get_running_loop()
    heartbeat = loop.time() + HEARTBEAT
    while True:
        with suppress(TimeoutError):
            await reader.wait(heartbeat)
        text = reader.read()
        if not text and loop.time() >= heartbeat:
            text = f": still here\nid: {reader.place}\n\n".encode()
        if text:
            await _send(send, text)
            heartbeat = loop.time() + HEARTBEAT
        await asyncio.sleep(GATHER)  # paces the work; what happens meanwhile goes out together


def _beginning(reader: Reader) -> bytes:
    text = f"retry: {RECONNECT_MS}\nid: {reader.place}\n\n"
    if reader.missed != 0:
        data = json.dumps({"event": "gap", "missed": reader.missed})
        text += f"event: gap\ndata: {data}\n\n"
    return text.encode()


async def _send(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _close_when_gone(reader: Reader, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.close()
