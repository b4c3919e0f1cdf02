"""Trunks that show credentials: challenged, let in, kept out, locked out; never in the middle of a call."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sip_stack.auth.digest import Credentials
from sip_stack.events import Answered, Cancelled, Challenged, Ended, Failed, Progress, Rejected
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, Phone, World, offer, play, ring
from tests.support.raw_phone import RawPhone

PBX = "203.0.113.9"
GATEWAY = "198.51.100.200"
LOGIN = Credentials("pbx", "s3cret-of-the-pbx")
WRONG = Credentials("pbx", "guess")
GATEWAY_LOGIN = Credentials("gateway", "s3cret-of-the-gateway")
MAIN = CONFIGURATION.replace(
    "routes:\n",
    f"""\
  pbx:
    accept: {{auth: {{username: pbx, password: {LOGIN.password}}}}}
  gateway:
    accept: {{addresses: {GATEWAY}, auth: {{username: gateway, password: {GATEWAY_LOGIN.password}}}}}
routes:
  - {{to: desk, destination: front-desk}}
""",
)


def statuses(phone: Phone) -> list[int]:
    """The final responses that refused this phone's calls."""
    return [event.response.status for event in phone.events if isinstance(event, Rejected)]


def sent_by_us(world: World, title: str) -> int:
    return world.network.titles([(B2BUA, 5060)]).count(title)


def test_a_pbx_logs_in_from_anywhere_and_its_call_is_recorded_under_its_trunk(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        pbx = await world.phone(PBX)
        call = pbx.call("desk", credentials=LOGIN)
        assert (await pbx.until(Challenged)).response.status == 401
        await pbx.until(Answered)
        pbx.do(call.bye)
        record = await world.record()
        assert record.trunk == "pbx"
        assert record.outcome is not None
        assert record.outcome.code == 4000
        assert [invite.headers.get("Authorization") for invite in desk.invites()] == [None], "never handed on"
        assert sent_by_us(world, "401 INVITE") == 1

    play(story, tmp_path, main=MAIN)


def test_a_stranger_does_not_become_a_trunk_by_naming_its_address_as_contact(tmp_path: Path) -> None:
    """The next hop of the dialog is the trunk's, and the call the stranger's: who calls is where the INVITE is from."""

    async def story(world: World) -> None:
        await world.phone(DESK)
        thief = RawPhone(world.network, PBX, B2BUA, "desk")
        thief.contact = f"sip:raw@{SBC}:5060"
        thief.headers = [
            'Authorization: Digest username="pbx", realm="x", nonce="x", uri="sip:x", response="x"'
        ]
        cseq = thief.invite(offer(PBX))
        assert (await thief.final("INVITE", cseq)).status == 401
        assert not world.records

    play(story, tmp_path, main=MAIN)


def test_requests_of_a_call_are_not_challenged(tmp_path: Path) -> None:
    """ACK and CANCEL cannot be, and for BYE it would only delay the end."""

    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        pbx = await world.phone(PBX)
        call = pbx.call("desk", credentials=LOGIN)
        await pbx.until(Progress, count=2)
        pbx.do(call.cancel)
        assert getattr((await pbx.until(Ended)).message, "status", None) == 487
        assert (await world.record()).outcome.code == 1000  # type: ignore[union-attr]
        assert sent_by_us(world, "401 INVITE") == 1
        assert not [
            title for title in world.network.titles() if title.startswith("401 ") and "INVITE" not in title
        ]

    play(story, tmp_path, main=MAIN)


def test_a_wrong_password_is_refused_without_a_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        pbx = await world.phone(PBX)
        pbx.call("desk", credentials=WRONG)
        rejected = await pbx.until(Rejected)
        assert (rejected.response.status, rejected.auth) == (401, "rejected")
        assert desk.invites() == []
        assert world.records == []
        assert world.media.calls == []

    play(story, tmp_path, main=MAIN)


def test_a_caller_without_credentials_hears_401_however_often_it_asks(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        pbx = await world.phone(PBX)
        for number in range(1, 21):
            pbx.call("desk")
            await pbx.until(Rejected, count=number)
            await asyncio.sleep(1)
        assert statuses(pbx) == [401] * 20
        assert world.registry.trunks.doorkeeper.counters.authentication_failures == 0

    play(story, tmp_path, main=MAIN)


def test_an_address_that_must_also_log_in(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        gateway = await world.phone(GATEWAY)
        gateway.call("desk")
        await gateway.until(Rejected)
        call = gateway.call("desk", credentials=GATEWAY_LOGIN)
        await gateway.until(Answered)
        gateway.do(call.bye)
        assert (await world.record()).trunk == "gateway"
        stranger = await world.phone(PBX)
        stranger.call("desk", credentials=GATEWAY_LOGIN)
        await stranger.until(Rejected)
        assert statuses(stranger) == [401]

    play(story, tmp_path, main=MAIN)


def test_guessing_passwords_ends_in_silence_for_a_minute(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        pbx = await world.phone(PBX)
        for number in range(1, 11):
            pbx.call("desk", credentials=WRONG)
            await pbx.until(Rejected, count=number)
        await asyncio.sleep(1)
        unheard = pbx.call("desk", credentials=LOGIN)
        assert (await pbx.until(Failed)).reason == "timeout"
        ours = [each.message for each in world.network.wire.log if each.source == (B2BUA, 5060)]
        assert not [message for message in ours if message.call_id == unheard.call_id], "not a word"
        await asyncio.sleep(30)
        call = pbx.call("desk", credentials=LOGIN)
        await pbx.until(Answered)
        pbx.do(call.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)


def test_calls_under_way_outlive_the_lock_out_of_their_trunk(tmp_path: Path) -> None:
    """A password is changed on one side only: new calls fail, the old ones end as they should."""

    async def story(world: World) -> None:
        await world.phone(DESK)
        gateway = await world.phone(GATEWAY)
        call = gateway.call("desk", credentials=GATEWAY_LOGIN)
        await gateway.until(Answered)
        for number in range(1, 11):
            gateway.call("desk", credentials=Credentials("gateway", "of-tomorrow"))
            await gateway.until(Rejected, count=number)
        assert world.registry.trunks.doorkeeper.counters.lockouts == 1
        gateway.call("desk", credentials=GATEWAY_LOGIN)
        await asyncio.sleep(5)
        gateway.do(call.bye)
        ended = await gateway.until(Ended)
        assert ended.by == "local"
        assert getattr(ended.message, "status", None) == 200
        assert (await world.record()).outcome.code == 4000  # type: ignore[union-attr]
        await gateway.until(Failed)

    play(story, tmp_path, main=MAIN)


def test_a_caller_that_gives_up_while_it_is_challenged(tmp_path: Path) -> None:
    """The CANCEL crosses the 401: it is answered, and the call ends without one of ours."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        gateway = await world.phone(GATEWAY)
        world.network.wire.hold("401 INVITE", 0.4)
        call = gateway.call("desk", credentials=GATEWAY_LOGIN)
        await gateway.until(Progress)
        gateway.do(call.cancel)
        await asyncio.sleep(40)
        assert desk.invites() == []
        assert not [event for event in gateway.events if isinstance(event, Answered | Cancelled)]
        assert world.records == []

    play(story, tmp_path, main=MAIN)
