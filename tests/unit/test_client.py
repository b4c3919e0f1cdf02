"""The Python client, against the API itself and against servers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from b2bua.client import (
    AsyncClient,
    BadRequest,
    CallOptions,
    Client,
    Conflict,
    ContextOptions,
    HandoffOptions,
    NotFound,
    ServerError,
    Unauthorized,
    Unreachable,
    WaitTimeout,
    exchange,
    requests,
)
from tests.support.api_client import KEY, ApiClient

SALES = {"method": "invite", "encryption": "udp/rtp", "route": "sip:sales@pbx.example.com"}


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def reach(api: ApiClient, key: str = KEY) -> Client:
    """A client of the API in memory; every answer is compared with the API's description on its way."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        answer = api.request(
            request.method,
            request.url.raw_path.decode(),
            key=None,
            content=request.content,
            headers=dict(request.headers),
        )
        return httpx2.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    return Client("http://127.0.0.1:8080", key, transport=httpx2.MockTransport(handle))


@pytest.fixture
def client(api: ApiClient) -> Iterator[Client]:
    with reach(api) as client:
        yield client


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "DELAYS", (0.0, 0.0))
    monkeypatch.setattr(exchange, "POLL_SECONDS", 0.0)


def test_a_call_is_handed_over(api: ApiClient, client: Client) -> None:
    call = client.on_call("call-1")

    handoff = call.call_handoff(
        "billing", "refund", "One moment.", {"X-Ticket": "4711"}, data={"n": 1}, ring_timeout="20s"
    )

    assert (handoff.state, handoff.destination, handoff.reason) == ("dialing", "billing", "refund")
    assert (handoff.succeeded, handoff.ended, handoff.outcome) == (False, False, None)
    (request,) = api.control.requests
    assert (request.utterance, request.sip_headers, request.data) == (
        "One moment.",
        {"X-Ticket": "4711"},
        {"n": 1},
    )
    assert request.ring_timeout == 20
    assert client.handoff(handoff.id) == handoff
    api.control.finish(handoff.id)
    assert client.wait_for_handoff(handoff.id).outcome.name == "normal_hangup"  # type: ignore[union-attr]


def test_the_reason_is_the_destination_when_none_is_given(api: ApiClient, client: Client) -> None:
    client.on_call("call-1").call_handoff("billing")

    assert api.control.requests[0].reason == "billing"


def test_every_option_of_a_handoff_is_known(api: ApiClient) -> None:
    known = {"destination", "reason", "utterance", "sip_headers", *HandoffOptions.__annotations__}

    assert known == set(api.document["components"]["schemas"]["HandoffBody"]["properties"])


@pytest.mark.parametrize(
    ("options", "named", "schema"),
    [(CallOptions, {"destination"}, "CallBody"), (ContextOptions, {"channel"}, "ContextBody")],
)
def test_every_option_of_calls_and_contexts_is_known(
    api: ApiClient, options: type, named: set[str], schema: str
) -> None:
    known = {*named, *options.__annotations__}

    assert known == set(api.document["components"]["schemas"][schema]["properties"])


def test_a_call_is_placed_and_joined_with_another(api: ApiClient, client: Client) -> None:
    placed = client.place_call("billing", caller_id="4711", data={"n": 1})

    assert placed.ended is None
    (order,) = api.control.orders
    assert (order.request.destination, order.from_user, order.request.data) == ("billing", "4711", {"n": 1})
    assert client.on_call(placed.call_id).bridge("call-1").call_id == placed.call_id


def test_a_consultation_is_led(client: Client) -> None:
    handoff = client.on_call("call-1").call_handoff("billing", consult=True)

    assert client.consult(handoff.id, "brief").raw["consult"] == "briefing"
    assert client.consult(handoff.id, "accept").raw["consult"] == "accepted"


def test_what_became_of_it_is_said_and_noted(client: Client) -> None:
    handoff = client.on_call("call-1").call_handoff("billing")

    resolved = client.resolve(handoff.id, "refunded", agent="ann", data={"amount": 12.5})
    noted = client.on_call("call-1").annotate("Asked twice.", author="supervisor")

    assert resolved.raw["resolution"]["result"] == "refunded"
    assert (noted["text"], noted["author"]) == ("Asked twice.", "supervisor")


def test_a_conversation_that_is_no_call_leaves_its_context(client: Client) -> None:
    context = client.add_context("webchat", reason="refund", shared_id="s-1", data={"n": 1})

    assert (context.call_id, context.method, context.state) == (None, None, "requested")
    assert client.resolve(context.id, "done").raw["resolution"]["result"] == "done"


def test_calls_are_listed_and_hung_up(api: ApiClient, client: Client) -> None:
    calls = client.calls()

    assert [(call.call_id, call.is_live) for call in calls] == [
        ("call-1", True),
        ("call-2", False),
        ("call-3", False),
    ]
    assert calls[2].outcome
    assert calls[2].outcome.code == 4000
    client.on_call("call-1").hang_up()
    assert api.control.hung_up == ["call-1"]
    assert client.on_call("call-1").details().raw["legs"]


def test_handoffs_are_found_and_given_up(client: Client) -> None:
    handoff = client.on_call("call-1").call_handoff(shared_id="a b&c")

    assert [each.id for each in client.handoffs("a b&c")] == [handoff.id]
    assert client.cancel_handoff(handoff.id).state == "cancelled"
    with pytest.raises(Conflict) as refused:
        client.cancel_handoff(handoff.id)
    assert refused.value.code == "handoff_final"


def test_destinations_are_managed(api: ApiClient, client: Client) -> None:
    assert [each.name for each in client.destinations()] == ["desk", "billing", "back"]
    added = client.add_destination("sales", SALES)
    changed = client.replace_destination("sales", {**added.settings, "ring_timeout": "20s"}, tag=added.tag)
    assert (changed.settings["ring_timeout"], changed.secrets) == ("20s", {"auth.password": "unset"})
    with pytest.raises(Conflict):
        client.replace_destination("sales", SALES, tag=added.tag)
    client.duplicate_destination("sales", "sales-2")
    assert client.make_default("sales-2").settings["default"] is True
    client.remove_destination("sales", tag=changed.tag)
    with pytest.raises(NotFound):
        client.destination("sales")
    with pytest.raises(BadRequest) as refused:
        client.add_destination("sales", {"method": "by"})
    assert (refused.value.field, len(refused.value.problems)) == ("method", 1)


def test_a_wrong_key_is_an_error_of_its_own(api: ApiClient) -> None:
    with reach(api, "wrong") as client, pytest.raises(Unauthorized):
        client.calls()


def test_ids_cannot_leave_their_place_in_the_path(client: Client) -> None:
    assert requests.call("../destinations?x#y").path == "/v1/calls/..%2Fdestinations%3Fx%23y"
    with pytest.raises(NotFound):
        client.call("none?limit=1")


def test_the_key_is_not_shown(api: ApiClient, client: Client) -> None:
    assert KEY not in f"{client!r} {client._http!r} {vars(client)}"


# -- what is tried again -----------------------------------------------------------------------------------------------

BUSY = httpx2.Response(
    503, json={"error": {"code": "too_many_connections", "message": "later", "field": None}}
)


def flaky(api: ApiClient, *first: httpx2.Response | Exception) -> tuple[Client, list[httpx2.Request]]:
    """A client whose first requests end like this; and all of its requests."""
    seen: list[httpx2.Request] = []
    working = reach(api)
    ends = iter(first)

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        end = next(ends, None)
        if isinstance(end, Exception):
            raise end
        return end or working._http.send(
            working._http.build_request(
                request.method, request.url, content=request.content, headers=request.headers
            )
        )

    return Client(key=KEY, transport=httpx2.MockTransport(handle)), seen


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("end", [httpx2.ReadError("reset"), httpx2.ConnectTimeout("slow"), BUSY])
def test_a_handoff_is_asked_for_again_with_the_same_key(
    api: ApiClient, end: httpx2.Response | Exception
) -> None:
    client, seen = flaky(api, end, end)

    client.on_call("call-1").call_handoff("billing")

    assert len(seen) == 3
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1
    assert len(api.control.live) == 1


@pytest.mark.usefixtures("no_pauses")
def test_two_handoffs_have_two_keys_and_a_key_of_ones_own_is_used(api: ApiClient) -> None:
    client, seen = flaky(api)
    call = client.on_call("call-1")
    for _ in range(2):
        client.cancel_handoff(call.call_handoff("billing").id)
    call.call_handoff("billing", idempotency_key="mine")

    keys = [request.headers["Idempotency-Key"] for request in seen if request.method == "POST"]
    assert (len(set(keys)), keys[-1]) == (3, "mine")


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.hang_up("call-1"),
        lambda client: client.cancel_handoff("handoff-1"),
        lambda client: client.add_destination("sales", SALES),
        lambda client: client.remove_destination("billing"),
    ],
)
def test_what_has_no_key_is_asked_for_once(api: ApiClient, ask: Callable[[Client], object]) -> None:
    client, seen = flaky(api, httpx2.ReadError("reset"))
    with pytest.raises(Unreachable, match="reset"):
        ask(client)
    assert len(seen) == 1

    client, seen = flaky(api, BUSY)
    with pytest.raises(ServerError, match="too_many_connections"):
        ask(client)
    assert len(seen) == 1


@pytest.mark.usefixtures("no_pauses")
def test_it_gives_up_in_the_end(api: ApiClient) -> None:
    client, seen = flaky(api, *[httpx2.ConnectError("refused")] * 3)
    with pytest.raises(Unreachable, match="refused"):
        client.calls()
    assert len(seen) == 3

    client, seen = flaky(api, BUSY, BUSY, BUSY)
    with pytest.raises(ServerError):
        client.calls()
    assert len(seen) == 3


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json={"other": 1}),
        httpx2.Response(200, json=[]),
        httpx2.Response(502, text="bad gateway"),
        httpx2.Response(302, headers={"Location": "/login"}),
        httpx2.Response(404, json={"error": "no"}),
    ],
)
def test_what_no_b2bua_answers_is_an_error_of_the_server(answer: httpx2.Response) -> None:
    client = Client(transport=httpx2.MockTransport(lambda _: answer))

    with pytest.raises(ServerError) as error:
        client.calls()

    assert error.value.code == "unexpected_answer"


@pytest.mark.usefixtures("no_pauses")
def test_waiting_ends_with_the_handoff_as_it_stands(api: ApiClient, client: Client) -> None:
    handoff = client.on_call("call-1").call_handoff("billing")

    with pytest.raises(WaitTimeout, match="still dialing") as waited:
        client.wait_for_handoff(handoff.id, seconds=0)

    assert waited.value.handoff == handoff


@pytest.mark.usefixtures("no_pauses")
def test_waiting_outlives_a_b2bua_that_is_away_for_a_while(api: ApiClient, client: Client) -> None:
    handoff = client.on_call("call-1").call_handoff("billing")
    api.control.finish(handoff.id)
    flaking, _ = flaky(api, *[httpx2.ConnectError("refused")] * 7)

    assert flaking.wait_for_handoff(handoff.id).state == "completed"


# -- to be awaited -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_pauses")
def test_the_other_client_does_the_same(api: ApiClient) -> None:
    async def story() -> None:
        transport = httpx2.ASGITransport(api.app)
        async with AsyncClient("http://127.0.0.1", KEY, transport=transport) as client:
            call = client.on_call("call-1")
            handoff = await call.call_handoff("billing", "refund", utterance="One moment.")
            with pytest.raises(WaitTimeout):
                await client.wait_for_handoff(handoff.id, seconds=0)
            assert (await client.handoffs("none")) == []
            assert (await client.handoff(handoff.id)).id == handoff.id
            await client.cancel_handoff(handoff.id)
            assert (await client.wait_for_handoff(handoff.id)).state == "cancelled"
            assert (await client.calls())[0].is_live
            await call.hang_up()
            assert (await call.details()).call_id == "call-1"
            added = await client.add_destination("sales", SALES)
            await client.replace_destination("sales", SALES, tag=added.tag)
            await client.duplicate_destination("sales", "sales-2")
            await client.make_default("sales-2")
            await client.remove_destination("sales")
            assert (await client.destination("sales-2")).settings["default"] is True
            assert len(await client.destinations()) == 3
            placed = await client.place_call("billing")
            await client.on_call(placed.call_id).bridge("call-1")
            await client.on_call(placed.call_id).annotate("Called back.")
            context = await client.add_context("sms", reason="refund")
            await client.resolve(context.id, "done")
            handoff = await call.call_handoff("billing", consult=True)
            await client.consult(handoff.id, "decline")
            with pytest.raises(NotFound):
                await client.call("none")

    asyncio.run(story())


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
