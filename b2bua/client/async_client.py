"""The client to be awaited: the methods of `client.py`, on any loop that anyio knows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Literal, Self, TypeVar, Unpack

import anyio
import httpx2

from b2bua.client import exchange, requests
from b2bua.client.answers import Call, Destination, DestinationSettings, Handoff, Json
from b2bua.client.errors import ServerError, Unreachable, WaitTimeout
from b2bua.client.events import Event
from b2bua.client.following import PATIENCE, Following
from b2bua.client.requests import CallOptions, ConsultVerb, ContextOptions, Data, HandoffOptions, Request

T = TypeVar("T")


class AsyncClient:
    """Asks one B2BUA. Every method raises `ClientError`; close it, or use it with `async with`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        key: str | None = None,
        *,
        timeout: float = exchange.TIMEOUT,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`key`: one of `api.keys`. `timeout`: seconds for a request. `transport`: for proxies and tests."""
        self._http = httpx2.AsyncClient(
            base_url=url, headers=exchange.headers(key), timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    # -- calls and handoffs ------------------------------------------------------------------------------------------

    async def calls(self, *, limit: int = 100) -> list[Call]:
        """Live calls, then recent ones, newest first."""
        return await self._ask(requests.calls(limit))

    async def call(self, call_id: str) -> Call:
        """One call in full."""
        return await self._ask(requests.call(call_id))

    async def hang_up(self, call_id: str) -> None:
        """End a call toward every side."""
        await self._ask(requests.hang_up(call_id))

    async def place_call(
        self,
        destination: str | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Call:
        """Call a destination or, with `route`, a URI: alone, or beside the live call `call_id`. Returns at once."""
        return await self._ask(requests.place_call(destination, idempotency_key, options))

    def on_call(self, call_id: str) -> AsyncOnCall:
        """What can be done in one call."""
        return AsyncOnCall(self, call_id)

    async def handoff(self, handoff_id: str) -> Handoff:
        """How a handoff stands."""
        return await self._ask(requests.handoff(handoff_id))

    async def handoffs(self, shared_id: str) -> list[Handoff]:
        """The handoffs that carry an id of yours, newest first."""
        return await self._ask(requests.handoffs(shared_id))

    async def cancel_handoff(self, handoff_id: str) -> Handoff:
        """Give up on a handoff that is not connected yet; the caller stays with the assistant."""
        return await self._ask(requests.cancel_handoff(handoff_id))

    async def consult(self, handoff_id: str, verb: ConsultVerb) -> Handoff:
        """Lead a consultation on: `brief`, `introduce`, `accept` or `decline`."""
        return await self._ask(requests.consult(handoff_id, verb))

    async def resolve(
        self, handoff_id: str, result: str, *, agent: str = "", note: str = "", data: Data | None = None
    ) -> Handoff:
        """Say what became of a handoff on the human side; said again, the last one counts."""
        return await self._ask(requests.resolve(handoff_id, result, agent, note, data or {}))

    async def add_context(
        self,
        channel: Literal["webchat", "sms"],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[ContextOptions],
    ) -> Handoff:
        """Keep the context of a conversation that is no call, for the human who takes it over."""
        return await self._ask(requests.add_context(channel, idempotency_key, options))

    async def wait_for_handoff(
        self, handoff_id: str, *, until_ended: bool = False, seconds: float = exchange.WAIT_SECONDS
    ) -> Handoff:
        """The handoff once the caller is with the human or it has failed; `until_ended`: once it is over.

        Raises `WaitTimeout` after so many seconds. A B2BUA that does not answer for a while is asked again.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                handoff = await self.handoff(handoff_id)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
            else:
                if handoff.ended or (handoff.succeeded and not until_ended):
                    return handoff
                if time.monotonic() > deadline:
                    raise WaitTimeout(handoff)
            await anyio.sleep(exchange.POLL_SECONDS)

    async def events(
        self, *, call_id: str | None = None, last_id: str | None = None, patience: float = PATIENCE
    ) -> AsyncIterator[Event]:
        """What happens to calls and handoffs, as it happens; after a lost connection it goes on where it was.

        `call_id`: of one call. `last_id`: what comes behind the event with that id first, a `Gap` where some of that is
        gone. Ends with `Unreachable` after `patience` seconds without a connection, and with `ApiError`.
        """
        place = Following(call_id, last_id, patience, time.monotonic())
        while True:
            request, why = place.request, None
            try:
                with exchange.transport_errors():
                    async with self._http.stream(
                        request.method, request.path, headers=request.headers, timeout=exchange.STREAM
                    ) as answer:
                        if answer.is_success:
                            async for octets in answer.aiter_bytes():
                                for event in place.received(octets, time.monotonic()):
                                    yield event
                        else:
                            await answer.aread()
                            exchange.read(request, answer)
            except (Unreachable, ServerError) as error:
                why = error
            await anyio.sleep(place.lost(time.monotonic(), why))

    # -- destinations ------------------------------------------------------------------------------------------------

    async def destinations(self) -> list[Destination]:
        """What can be named in a handoff."""
        return await self._ask(requests.destinations())

    async def destination(self, name: str) -> DestinationSettings:
        """The settings of one, as its file has them."""
        return await self._ask(requests.destination(name))

    async def add_destination(self, name: str, settings: Json) -> DestinationSettings:
        """Add one at the end of the file."""
        return await self._ask(requests.add_destination(name, settings))

    async def replace_destination(
        self, name: str, settings: Json, *, tag: str | None = None
    ) -> DestinationSettings:
        """Give one other settings. `tag`: of what was read; `Conflict` when somebody has changed it since."""
        return await self._ask(requests.replace_destination(name, settings, tag))

    async def duplicate_destination(self, name: str, new_name: str) -> DestinationSettings:
        """Copy one."""
        return await self._ask(requests.duplicate_destination(name, new_name))

    async def make_default(self, name: str) -> DestinationSettings:
        """Make one the default in place of the one that is."""
        return await self._ask(requests.make_default(name))

    async def remove_destination(self, name: str, *, tag: str | None = None) -> None:
        """Remove one that nothing refers to."""
        await self._ask(requests.remove_destination(name, tag))

    async def _ask(self, request: Request[T]) -> T:
        for pause in exchange.pauses(request):
            try:
                with exchange.transport_errors():
                    answer = await self._http.request(
                        request.method, request.path, json=request.body, headers=request.headers
                    )
                if answer.status_code != exchange.BUSY or pause is None:
                    return exchange.read(request, answer)
            except Unreachable:
                if pause is None:
                    raise
            await anyio.sleep(pause or 0)
        raise AssertionError("the last try returns or raises")


class AsyncOnCall:
    """One call of a client."""

    def __init__(self, client: AsyncClient, call_id: str) -> None:
        self.client = client
        self.call_id = call_id

    async def call_handoff(
        self,
        destination: str | None = None,
        reason: str | None = None,
        utterance: str | None = None,
        sip_headers: Mapping[str, str] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[HandoffOptions],
    ) -> Handoff:
        """Hand the call to a human: to a destination, the default one when none is named. Returns at once.

        `utterance`: what the assistant is saying meanwhile; it is not spoken by the B2BUA. `idempotency_key`: the
        same one never begins a second handoff; without one of yours, that holds for the tries of this request.
        """
        return await self.client._ask(
            requests.call_handoff(
                self.call_id, destination, reason, utterance, sip_headers, idempotency_key, options
            )
        )

    async def bridge(self, other: str) -> Call:
        """Join it with another call: those they are there for hear each other."""
        return await self.client._ask(requests.bridge(self.call_id, other))

    async def annotate(self, text: str, *, author: str = "", data: Data | None = None) -> Json:
        """Note something on it, while it is up or afterwards."""
        return await self.client._ask(requests.annotate(self.call_id, text, author, data or {}))

    async def details(self) -> Call:
        """The call in full."""
        return await self.client.call(self.call_id)

    async def hang_up(self) -> None:
        """End it toward every side."""
        await self.client.hang_up(self.call_id)
