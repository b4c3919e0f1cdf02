"""Handoff by REFER and by BYE: the SBC takes the caller, and we know how we know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from b2bua.handoff.handoff import HandoffState
from sip_stack.dialog.refer import SIPFRAG, sipfrag, subscription_state
from sip_stack.events import Ended, RequestCompleted, RequestReceived
from tests.support.b2bua_world import B2BUA, DESK, DESTINATIONS, SBC, Phone, World, play
from tests.support.fake_network import Wire
from tests.support.handoff_cast import MAIN, Cast, summary, talking

REFER = (
    DESTINATIONS
    + f"""\
by-refer:
  method: refer
  route: sip:operator@{SBC}
  headers: {{X-Reason: $reason}}
  refer_timeout: 10s
back:
  method: bye
  headers: {{X-Destination: $reason}}
"""
)

SbcBehaviour = Callable[[Phone, RequestReceived], None]


def notify(
    phone: Phone, event: RequestReceived, status: int, *, active: bool = False, number: str = ""
) -> None:
    """Tell what came of a REFER."""
    event.session.request(
        phone.now,
        "NOTIFY",
        headers=[("Event", f"refer{number}"), ("Subscription-State", subscription_state(active))],
        body=sipfrag(status),
        content_type=SIPFRAG,
    )


def accept(*statuses: int, with_status: int = 202, bye: bool = False) -> SbcBehaviour:
    """Accept a REFER, then send these NOTIFYs, then perhaps BYE."""

    def behaviour(phone: Phone, event: RequestReceived) -> None:
        event.session.respond(phone.now, event.transaction, with_status)
        if event.request.method != "REFER":
            return
        for status in statuses:
            notify(phone, event, status, active=status < 200)
        if bye:
            event.session.bye(phone.now)

    return behaviour


def decline(status: int) -> SbcBehaviour:
    return lambda phone, event: event.session.respond(phone.now, event.transaction, status)


async def referred(world: World, behaviour: SbcBehaviour, destination: str = "by-refer") -> Cast:
    cast = await talking(world)
    cast.sbc.on_request = behaviour
    world.hand_off(destination=destination, reason="billing question")
    return cast


def test_the_refer_says_where_and_why(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await referred(world, accept(100, 200))
        await world.record()
        (refer,) = [request for request in cast.sbc.requests if request.method == "REFER"]
        named = world.records[0].handoffs[0]["id"]
        assert refer.headers.get("Refer-To") == (
            f"<sip:operator@{SBC}?X-Reason=billing%20question&X-Handoff-ID={named}>"
        )
        assert refer.headers.get("Referred-By") is not None
        assert refer.contact is not None

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_what_a_tel_uri_cannot_carry_stands_in_the_refer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await referred(world, accept(100, 200))
        await world.record()
        (refer,) = [request for request in cast.sbc.requests if request.method == "REFER"]
        assert refer.headers.get("Refer-To") == "<tel:+15550001000>"
        assert refer.headers.get("X-Reason") == "billing question"
        assert refer.headers.get("X-Handoff-ID") == world.records[0].handoffs[0]["id"]

    number = REFER.replace(f"sip:operator@{SBC}", "'tel:+15550001000'")
    play(story, tmp_path, main=MAIN, destinations=number)


@pytest.mark.parametrize(
    ("behaviour", "confirmed"),
    [
        pytest.param(accept(100, 180, 200), "notify", id="notify-200"),
        pytest.param(accept(200, with_status=200), "notify", id="200-instead-of-202"),
        pytest.param(accept(bye=True), "bye", id="bye-after-acceptance"),
        pytest.param(accept(100, bye=True), "bye", id="only-ever-100-then-bye"),
    ],
)
def test_the_sbc_takes_the_caller(tmp_path: Path, behaviour: SbcBehaviour, confirmed: str) -> None:
    async def story(world: World) -> None:
        cast = await referred(world, behaviour)
        record = await world.record()
        (handoff,) = record.handoffs
        assert handoff["confirmed"] == confirmed
        assert record.outcome is not None
        assert record.outcome.code == 4000
        assert (await cast.bot.until(Ended)).by == "remote", "the assistant is let go"
        await cast.sbc.until(Ended)

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_a_notify_may_come_before_the_202(tmp_path: Path) -> None:
    def behaviour(phone: Phone, event: RequestReceived) -> None:
        notify(phone, event, 200)
        event.session.respond(phone.now, event.transaction, 202)

    async def story(world: World) -> None:
        await referred(world, behaviour)
        (handoff,) = (await world.record()).handoffs
        assert handoff["confirmed"] == "notify"

    play(story, tmp_path, main=MAIN, destinations=REFER)


@pytest.mark.parametrize(("policy", "state"), [("assume_done", "completed"), ("fail", "failed")])
def test_silence_after_acceptance_means_what_the_operator_says(
    tmp_path: Path, policy: str, state: str
) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(100)
        handoff = world.hand_off(destination="by-refer")
        await cast.until_over(handoff)
        if policy == "fail":
            assert summary(handoff) == ("failed", "refer_timeout", 11041)
            assert cast.caller.peer is cast.assistant
            cast.hang_up()
        else:
            assert handoff.confirmed == "assumed"
            await cast.sbc.until(Ended)
        assert str(handoff.state) == state

    destinations = REFER.replace(
        "  refer_timeout: 10s", f"  refer_timeout: 10s\n  on_refer_timeout: {policy}"
    )
    play(story, tmp_path, main=MAIN, destinations=destinations)


@pytest.mark.parametrize("status", [403, 405, 501, 603])
def test_a_refused_refer_brings_the_caller_back(tmp_path: Path, status: int) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = decline(status)
        handoff = world.hand_off(destination="by-refer")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "refer_refused", 11040)
        assert handoff.outcome is not None
        assert handoff.outcome.sip_status == status
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_a_refused_refer_may_be_bridged_instead(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        cast.sbc.on_request = decline(405)
        handoff = world.hand_off(destination="by-refer")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert handoff.state is HandoffState.CONNECTED
        assert handoff.method == "invite"
        cast.hang_up()

    destinations = REFER.replace(
        f"  route: sip:operator@{SBC}",
        f"  route: sip:operator@{DESK}\n  refer_fallback: invite\n  encryption: udp/rtp",
    )
    play(story, tmp_path, main=MAIN, destinations=destinations)


@pytest.mark.parametrize(("status", "name", "code"), [(486, "busy", 3010), (603, "rejected", 3110)])
def test_a_transfer_that_fails_at_the_far_side(tmp_path: Path, status: int, name: str, code: int) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(100, status)
        handoff = world.hand_off(destination="by-refer")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", name, code)
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_a_challenged_refer_is_answered_with_the_credentials_of_the_trunk(tmp_path: Path) -> None:
    def challenge_once(phone: Phone, event: RequestReceived) -> None:
        if event.request.headers.get("Proxy-Authorization") is None:
            value = 'Digest realm="sbc", nonce="n1", algorithm=SHA-256, qop="auth"'
            event.session.respond(phone.now, event.transaction, 407, headers=[("Proxy-Authenticate", value)])
        else:
            event.session.respond(phone.now, event.transaction, 202)
            notify(phone, event, 200, number=f";id={event.request.cseq.number}")

    async def story(world: World) -> None:
        await referred(world, challenge_once)
        (handoff,) = (await world.record()).handoffs
        assert handoff["confirmed"] == "notify"

    main = MAIN.replace(
        "    max_calls: 100",
        "    max_calls: 100\n    outbound: {uri: sip:192.0.2.77, auth: {username: u, password: p}}",
    )
    play(story, tmp_path, main=main, destinations=REFER)


def test_the_caller_hangs_up_before_the_refer_is_accepted(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = lambda phone, event: event.session.bye(phone.now)
        world.hand_off(destination="by-refer")
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == "caller"
        (handoff,) = record.handoffs
        assert handoff["confirmed"] is None

    play(story, tmp_path, main=MAIN, destinations=REFER, settle=False)


def test_a_notify_of_another_package_is_489_and_without_one_400(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        for headers in ([("Event", "presence")], []):
            cast.sbc.do(lambda now, headers=headers: cast.session.request(now, "NOTIFY", headers=headers))  # type: ignore[misc]
        await cast.sbc.until(RequestCompleted, count=2)
        statuses = [
            event.response.status
            for event in cast.sbc.events
            if isinstance(event, RequestCompleted) and event.response is not None
        ]
        assert sorted(statuses) == [400, 489]
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("seed", range(8))
def test_refer_over_a_bad_network(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(100, 200)
        handoff = world.hand_off(destination="by-refer")
        await cast.until_over(handoff)
        if not handoff.is_connected:
            cast.hang_up()
        await world.record()

    wire = Wire(seed=seed, loss=0.1, duplicate=0.1, delay=0.01, jitter=0.05)
    play(story, tmp_path, main=MAIN, destinations=REFER, wire=wire)


def test_by_bye_the_sbc_takes_the_call_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await referred(world, accept(), "back")
        ended = await cast.sbc.until(Ended)
        assert ended.message is not None
        assert ended.message.headers.get("X-Destination") == "billing question"
        record = await world.record()
        (handoff,) = record.handoffs
        assert handoff["confirmed"] is True
        assert (await cast.bot.until(Ended)).by == "remote"

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_a_bye_nobody_answers_is_not_confirmed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        world.network.wire.drop("200 BYE")
        world.network.sockets.pop((SBC, 5060))
        world.hand_off(destination="back")
        record = await world.record()
        (handoff,) = record.handoffs
        assert handoff["confirmed"] is False
        assert "BYE" in world.network.titles([(B2BUA, 5060)])
        assert cast.caller.closed

    play(story, tmp_path, main=MAIN, destinations=REFER, settle=False)


@pytest.mark.parametrize(
    ("headers", "status"), [([("Event", "refer;id=2")], 200), ([("Event", "presence")], 489), ([], 400)]
)
def test_a_late_notify_after_the_bye_is_answered(
    tmp_path: Path, headers: list[tuple[str, str]], status: int
) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        late = [
            "NOTIFY sip:x SIP/2.0",
            f"Via: SIP/2.0/UDP {SBC};branch=z9hG4bKlate;rport",
            "From: <sip:a@x>;tag=1",
            "To: <sip:b@x>;tag=gone",
            "Call-ID: gone",
            "CSeq: 3 NOTIFY",
            "Max-Forwards: 70",
            *(f"{name}: {value}" for name, value in headers),
            "Content-Length: 0",
            "",
            "",
        ]
        world.network.send((SBC, 5060), (B2BUA, 5060), "\r\n".join(late).encode())
        await world.until(lambda: f"{status} NOTIFY" in world.network.titles([(B2BUA, 5060)]))
        assert sbc.names() == []

    play(story, tmp_path, main=MAIN, settle=False)
