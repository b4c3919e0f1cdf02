"""The client's stream of events: every kind by name, and a place in it that outlives its connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields

import httpx2
import pytest

from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.client import (
    AsyncClient,
    CallEnded,
    CallStarted,
    Client,
    Event,
    Gap,
    HandoffChanged,
    LegEnded,
    ServerError,
    Unauthorized,
    Unreachable,
    following,
)
from b2bua.client.events import KINDS, read_event
from b2bua.client.following import LONGEST_PAUSE, Following
from b2bua.feed import (
    EVERY_KIND,
    CallAnswered,
    ConsultChanged,
    DigitPressed,
    FeedEvent,
    LegAnswered,
    LegRinging,
    RecordingChanged,
)
from b2bua.feed import CallEnded as CallEndedThere
from b2bua.feed import CallStarted as CallStartedThere
from b2bua.feed import HandoffChanged as HandoffChangedThere
from b2bua.feed import LegEnded as LegEndedThere
from b2bua.feed.events import LegFacts
from b2bua.handoff.consultation import ConsultPhase
from b2bua.handoff.handoff import HandoffRequest, HandoffState

WHEN = ("call-1", CallClock(0.0), 1.0)
LEG = LegFacts("leg-1", "agent", "billing", "sip:a@cc.example.com", "alice", "h-1")
BUSY = cause.from_response(486, source="agent")
TOLD: tuple[FeedEvent, ...] = (
    CallStartedThere(*WHEN, "acme-sbc", "sip:alice@sbc", "support"),
    CallAnswered(*WHEN, "assistant", "assistant"),
    CallEndedThere(*WHEN, BUSY, 1000),
    LegRinging(*WHEN, LEG, 180),
    LegAnswered(*WHEN, LEG),
    LegEndedThere(*WHEN, LEG, BUSY, "agent", None),
    DigitPressed(*WHEN, "caller", "leg-1", "5", 100, ""),
    HandoffChangedThere(
        *(*WHEN, "h-1", HandoffState.FAILED, "invite", "billing"), HandoffRequest(reason="refund"), BUSY, None
    ),
    ConsultChanged(*WHEN, "h-1", ConsultPhase.WAITING),
    RecordingChanged(*WHEN, "failed", "recordings/c.wav", "No space left on device"),
)


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.name)
def test_each_kind_has_what_the_server_tells_of_it(told: FeedEvent) -> None:
    sent = told.as_json()

    event = read_event("5f-1", json.dumps(sent))

    assert type(event) is KINDS[told.name] is not Event
    assert {each.name for each in fields(event)} == {"id", "raw", *sent}
    outcome = BUSY.as_record() if sent.get("outcome") else None
    for key, value in sent.items():
        if key != "outcome":
            assert getattr(event, key) == value
        elif outcome is not None:
            assert event.outcome.code == 3010  # type: ignore[attr-defined]
    assert event.raw == sent


def test_no_kind_is_missing() -> None:
    assert {type(told) for told in TOLD} == set(EVERY_KIND)
    assert set(KINDS) == {kind.name for kind in EVERY_KIND} | {"gap"}


def test_a_later_kind_is_an_event_all_the_same() -> None:
    event = read_event("5f-1", '{"event": "call.parked", "at": "now", "call_id": "c", "lot": 7}')

    assert (type(event), event.event, event.raw["lot"]) == (Event, "call.parked", 7)


# -- a place in the stream ---------------------------------------------------------------------------------------------


def block(number: int, call_id: str = "c") -> bytes:
    data = json.dumps(
        {"event": "call.started", "at": "", "call_id": call_id, "trunk": "", "caller": "", "called": ""}
    )
    return f"id: 5f-{number}\nevent: call.started\ndata: {data}\n\n".encode()


def place(**keys: object) -> Following:
    return Following(**{"call_id": None, "last_id": None, "patience": 60.0, "now": 0.0, **keys})  # type: ignore[arg-type]


def test_events_come_out_whole_however_they_are_cut() -> None:
    stream = place()
    octets = (
        b"retry: 100\nid: 5f-0\n\n"
        + block(1, "Zo\u00eb \u2028 x")
        + b": still here\r\nid: 5f-7\r\n\r\n"
        + block(8)
    )

    found = [event for octet in octets for event in stream.received(bytes([octet]), 0.0)]

    assert [event.id for event in found] == ["5f-1", "5f-8"]
    assert found[0].call_id == "Zo\u00eb \u2028 x"


def test_an_id_alone_moves_the_place() -> None:
    stream = place(call_id="a b")
    assert (stream.request.path, stream.request.headers) == (
        "/v1/events?call_id=a+b",
        {"Accept": "text/event-stream"},
    )

    stream.received(block(1) + b": still here\nid: 5f-7\n\nid: 5f-9\nevent: cut", 0.0)
    stream.lost(0.0)
    stream.received(b" off\n\n", 0.0)

    assert stream.request.headers["Last-Event-ID"] == "5f-7"


def test_pauses_grow_to_a_bound_and_begin_again_after_an_event() -> None:
    stream = place(patience=1e9)
    stream.received(b"retry: 1000\n\n", 0.0)

    longest = [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    assert all(each / 2 <= stream.lost(0.0) <= each for each in longest)
    stream.received(block(1), 0.0)
    assert stream.lost(0.0) <= 1


def test_patience_ends_with_what_went_wrong() -> None:
    stream = place(patience=10.0)
    stream.received(block(1), 100.0)
    stream.lost(107.9)

    with pytest.raises(Unreachable, match="refused"):
        stream.lost(107.9, Unreachable("refused"))
    with pytest.raises(Unreachable, match="no stream of events for 10 s"):
        stream.lost(111.0)


@pytest.mark.parametrize(
    "octets", [b"data: <html>\n\n", b"data: {}\n\n", b"data: []\n\n", b"a" * (2**20 + 1)]
)
def test_what_no_b2bua_sends_ends_it(octets: bytes) -> None:
    stream = place()

    with pytest.raises(ServerError) as error:
        stream.received(octets, 0.0)
    with pytest.raises(ServerError):
        stream.lost(0.0, error.value)


# -- both clients ------------------------------------------------------------------------------------------------------


class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Octets, and then the end or an error."""

    def __init__(self, parts: Iterable[bytes], end: Exception | None) -> None:
        self._parts, self._end = parts, end

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._end is not None:
            raise self._end

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for part in self:
            yield part


REFUSED = {"error": {"code": "unauthorized", "message": "no", "field": None}}
FULL = {"error": {"code": "too_many_streams", "message": "16 follow", "field": None}}
GAP = b'id: 6a-2\n\nevent: gap\ndata: {"event": "gap", "missed": null}\n\n'


class Server:
    """Cuts the first stream, has no place, is away, and then goes on."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.headers.get("Last-Event-ID"))
        if len(self.asked) == 2:
            return httpx2.Response(503, json=FULL)
        if len(self.asked) == 3:
            raise httpx2.ConnectError("refused")
        parts = {1: [block(1), block(2)[:20]], 4: [block(2)], 5: [GAP, block(3)]}
        end = {1: httpx2.ReadError("reset")}
        number = len(self.asked)
        if number not in parts:
            return httpx2.Response(401, json=REFUSED)
        return httpx2.Response(200, stream=Stream(parts[number], end.get(number)))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LONGEST_PAUSE", 0.0)


def check(server: Server, events: list[Event]) -> None:
    assert [event.id for event in events] == ["5f-1", "5f-2", "6a-2", "5f-3"]
    assert [type(event) for event in events] == [CallStarted, CallStarted, Gap, CallStarted]
    assert server.asked == [None, "5f-1", "5f-1", "5f-1", "5f-2", "5f-3"]


@pytest.mark.usefixtures("no_pauses")
def test_the_stream_goes_on_where_it_was_until_the_server_says_no() -> None:
    server = Server()
    events: list[Event] = []

    note = events.append

    def follow() -> None:
        with Client(transport=httpx2.MockTransport(server)) as client:
            for event in client.events():
                note(event)

    with pytest.raises(Unauthorized):
        follow()
    check(server, events)


@pytest.mark.usefixtures("no_pauses")
def test_the_other_client_reads_the_same() -> None:
    server = Server()
    events: list[Event] = []

    note = events.append

    async def follow() -> None:
        async with AsyncClient(transport=httpx2.MockTransport(server)) as client:
            async for event in client.events():
                note(event)

    with pytest.raises(Unauthorized):
        asyncio.run(follow())
    check(server, events)


def test_outcomes_are_typed() -> None:
    kinds = (CallEnded, LegEnded, HandoffChanged)

    assert all("outcome" in {each.name for each in fields(kind)} for kind in kinds)
