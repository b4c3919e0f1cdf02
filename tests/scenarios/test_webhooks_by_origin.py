"""Webhooks of handoffs that are challenged, consulted, asked for by the human, or in a call of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from b2bua.call import joining
from b2bua.call_order import CallOrder
from b2bua.handoff.begin import begin
from b2bua.handoff.consultation import ConsultPhase, tell
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ServerSession
from sip_stack.events import Ended, RequestReceived
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, BILLING, DESK, DESTINATIONS, SBC, Phone, World, answer, play
from tests.support.handoff_cast import MAIN, answer_at_once, talking
from tests.support.told_application import URLS, Application, Told, webhooks_of

TALK = ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
"""What a handoff is told with that works."""


def told_of(
    folder: Path, act: Callable[[World], Awaitable[None]], destinations: str = DESTINATIONS, main: str = MAIN
) -> Told:
    """What the application heard in a story, which lasts until every call has ended."""
    application = Application()

    async def story(world: World) -> None:
        webhooks = webhooks_of(world, application)
        await act(world)
        await world.until(lambda: not world.registry.calls)
        await webhooks.close(100)

    play(story, folder, main=main, destinations=destinations)
    return application.told


def test_silence_after_credentials_is_a_timeout(tmp_path: Path) -> None:
    async def challenge(phone: Phone, session: ServerSession, request: Request) -> None:
        headers = [("Proxy-Authenticate", 'Digest realm="cc", nonce="n", algorithm=MD5, qop="auth"')]
        phone.do(lambda now: session.reject(now, 407, headers=headers))
        phone.world.network.wire.drop("INVITE")  # the one with credentials, each time it is sent

    async def story(world: World) -> None:
        await world.phone(BILLING, challenge)
        cast = await talking(world)
        await cast.until_over(world.hand_off(destination="billing", **URLS))
        cast.hang_up()

    hung_up, final = told_of(tmp_path, story)
    assert (hung_up["Event"], hung_up["DialBLegHangupCauseName"]) == ("DialHangup", "sip_auth_timeout")
    assert (hung_up["DialBLegHangupCauseCode"], hung_up["DialBLegHangupSource"]) == ("4250", "Call recipient")
    assert (final["DialStatus"], final["DialHangupCause"], final["DialRingStatus"]) == (
        *("timeout", "sip_auth_timeout", "false"),
    )


def test_a_consulted_human_is_connected_when_they_get_the_caller(tmp_path: Path) -> None:
    heard: dict[str, list[str]] = {}

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", consult=True, **URLS)
        await world.until(lambda: handoff.consult is ConsultPhase.WAITING)
        await asyncio.sleep(10)
        (call,) = world.registry.calls.values()
        heard["consulted"] = [str(handoff.state)]
        tell(call, handoff, "accept")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        await asyncio.sleep(5)
        cast.hang_up()

    told = told_of(tmp_path, story)
    assert [each["Event"] for each in told] == TALK
    assert heard["consulted"] == ["ringing"]
    assert int(told[2]["DialBLegDuration"]) >= 15, "from their answer on"
    assert told[-1]["DialStatus"] == "completed"


def test_a_declined_human_was_never_connected(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", consult=True, **URLS)
        await world.until(lambda: handoff.consult is ConsultPhase.WAITING)
        (call,) = world.registry.calls.values()
        tell(call, handoff, "decline")
        await cast.until_over(handoff)
        cast.hang_up()

    told = told_of(tmp_path, story)
    assert [each["Event"] for each in told] == ["DialAnswer", "DialHangup", "DialAction"]
    assert (told[1]["DialBLegHangupCauseCode"], told[1]["DialBLegHangupSource"]) == ("9110", "API Request")
    assert told[-1]["DialStatus"] == "failed"


BY_THE_SBC = (
    DESTINATIONS
    + f"""\
by-refer:
  method: refer
  route: sip:operator@{SBC}
back:
  method: bye
"""
)


@pytest.mark.parametrize("destination", ["by-refer", "back"])
def test_what_the_sbc_does_is_told_once_when_it_is_done(tmp_path: Path, destination: str) -> None:
    def take(phone: Phone, event: RequestReceived) -> None:
        event.session.respond(phone.now, event.transaction, 202 if event.request.method == "REFER" else 200)
        if event.request.method == "REFER":
            event.session.bye(phone.now)

    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = take
        world.hand_off(destination=destination, **URLS)

    (final,) = told_of(tmp_path, story, BY_THE_SBC)
    assert (final["Event"], final["DialStatus"], final["Destination"]) == (
        *("DialAction", "completed", destination),
    )
    assert (final["DialRingStatus"], final["DialBLegUUID"]) == ("false", "")


HUMANS = DESTINATIONS.replace("  route: sip:operator", "  agent_may_transfer: true\n  route: sip:operator")
HUMANS = HUMANS.replace(
    "billing:\n", f"billing:\n  callback_url: {URLS['callback_url']}\n  action_url: {URLS['action_url']}\n"
)


def test_what_the_human_asks_for_is_told_to_the_urls_of_its_destination(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        billing = await world.phone(BILLING, answer)
        cast = await talking(world)
        first = world.hand_off(destination="front-desk", shared_id="first", **URLS)
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(first)
        session = desk.sessions[0]
        desk.do(lambda now: session.request(now, "REFER", headers=[("Refer-To", f"<sip:billing@{B2BUA}>")]))
        await world.until(lambda: billing.sessions)
        await cast.until_awaited()
        cast.agent().hear()
        await desk.until(Ended)
        await asyncio.sleep(3)
        billing.do(billing.sessions[0].bye)

    told = told_of(tmp_path, story, HUMANS)
    first = [each for each in told if each.get("SharedID") == "first"]
    second = [each for each in told if "SharedID" not in each]
    assert [each["Event"] for each in first] == TALK
    assert [each["Event"] for each in second] == TALK
    assert {each["HandoffID"] for each in first}.isdisjoint(each["HandoffID"] for each in second)
    assert {each["Destination"] for each in second} == {"billing"}
    assert len({each["CallUUID"] for each in told}) == 1
    assert told.index(first[-1]) < told.index(second[-1]), "in order within the call"
    assert (second[-1]["DialStatus"], second[-1]["DialBLegHangupSource"]) == ("completed", "Call recipient")


def test_a_handoff_in_a_call_of_ours_is_outbound(tmp_path: Path) -> None:
    third = "198.51.100.3"
    destinations = DESTINATIONS + f"third:\n  method: invite\n  encryption: udp/rtp\n  route: sip:c@{third}\n"

    async def story(world: World) -> None:
        desk, billing = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
        await world.phone(third, answer_at_once)
        one = world.registry.place(CallOrder(HandoffRequest(destination="front-desk"), from_user="4711"))
        other = world.registry.place(CallOrder(HandoffRequest(destination="billing")))
        await world.until(lambda: one.answered and other.answered)
        joining.bridge(one, other)
        handoff = begin(one, HandoffRequest(destination="third", **URLS))  # type: ignore[arg-type]
        media = world.media.calls[0]
        await world.until(lambda: any(leg.awaits for leg in media.legs))
        media.legs[-1].hear()
        await world.until(lambda: handoff.is_connected)
        await billing.until(Ended)
        await asyncio.sleep(1)
        desk.do(desk.sessions[0].bye)

    told = told_of(tmp_path, story, destinations)
    assert [each["Event"] for each in told] == TALK
    assert {(each["Direction"], each["From"], each["To"]) for each in told} == {
        ("outbound", "4711", "front-desk")
    }
