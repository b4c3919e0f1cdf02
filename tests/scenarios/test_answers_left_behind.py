"""A process is killed when its 200 has not reached the caller, or the ACK has not reached it: the next one goes on, or
ends the call, with a caller who may still hear that it rings."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from b2bua.feed import CallAnswered, Entry
from b2bua.journal.seal import Seal
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.events import Acknowledged, Answered, Ended, Rejected, RequestReceived
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, Phone, World, offer, play
from tests.support.handoff_cast import answer_at_once
from tests.support.kept_history import as_object, as_objects
from tests.support.next_process import Watched
from tests.support.taken_over import fates, killed
from tests.support.taking_a_place import SECOND, dialog, take

ANSWER = "200 INVITE"
TIMEOUT = 32.0
"""64*T1."""

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


async def answered(
    world: World, seconds: float = 0.5, *, outlives: bool = True, **call: object
) -> tuple[Watched, Phone, Phone, ClientSession]:
    """The front desk has answered at once, for so long ago; the caller's call takes the options `call`."""
    world.media.outlives = outlives
    watched = Watched(world)
    desk = await world.phone(DESK, answer_at_once)
    alice = await world.phone(SBC)
    session = alice.call("desk", **call)  # type: ignore[arg-type]
    await desk.until(Acknowledged)
    await asyncio.sleep(seconds)
    return watched, alice, desk, session


def lose_answers(world: World, times: int = 1_000_000) -> None:
    """The caller does not get so many of our 200."""
    world.network.wire.drop(ANSWER, times, source=B2BUA)


def find_answers(world: World) -> None:
    """From now on nothing is lost."""
    world.network.wire._drops.clear()


def answers(world: World, since: int = 0) -> int:
    """How often our 200 was sent."""
    log = world.network.wire.log[since:]
    return sum((each.title, each.source[0]) == (ANSWER, B2BUA) for each in log)


async def recorded(world: World, watched: Watched, name: str = "normal_hangup") -> dict[str, object]:
    """The one record of the call, which stands in no journal any more."""
    await world.record()
    (record,) = world.records
    told = record.as_json()
    assert as_object(told["outcome"])["name"] == name
    assert all(each["ended"] for each in as_objects(told["legs"]))
    assert await watched.entries() == []
    await watched.close()
    return told


# -- calls that go on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["caller", "human"])
def test_a_200_that_was_lost_is_repeated_and_they_talk(tmp_path: Path, who: str) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, desk, session = await answered(world)
        assert alice.events_of(Answered) == []
        find_answers(world)
        await killed(world, watched)
        await alice.until(Answered)
        await asyncio.sleep(40.0)
        assert session.state is SessionState.CONFIRMED
        if who == "caller":
            alice.do(session.bye)
            assert (await desk.until(Ended)).by == "remote"
        else:
            desk.do(desk.sessions[0].bye)
            assert (await alice.until(Ended)).by == "remote"
        assert (await recorded(world, watched))["answered"]

    play(story, tmp_path)


def test_it_is_repeated_for_as_long_as_it_is_lost(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, _, session = await answered(world)
        await killed(world, watched)
        await asyncio.sleep(10.0)
        assert alice.events_of(Answered) == []
        find_answers(world)
        said = len(world.network.wire.log)
        await alice.until(Answered, patience=5.0)
        await asyncio.sleep(40.0)
        assert answers(world, said) == 1, "it is acknowledged"
        alice.do(session.bye)
        await recorded(world, watched)

    play(story, tmp_path)


def test_a_caller_who_had_acknowledged_it_does_so_again_and_the_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("ACK", source=SBC)
        watched, alice, desk, session = await answered(world)
        await alice.until(Answered)
        find_answers(world)
        await killed(world, watched)
        await asyncio.sleep(60.0)
        assert session.state is SessionState.CONFIRMED
        alice.do(session.bye)
        assert (await desk.until(Ended)).by == "remote"
        await recorded(world, watched)

    play(story, tmp_path)


def test_without_an_ack_the_call_ends_after_64_t1(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("ACK", source=SBC)
        watched, alice, desk, _ = await answered(world)
        await killed(world, watched)
        began = world.stack.now()
        assert (await desk.until(Ended)).by == "remote"
        assert world.stack.now() - began > TIMEOUT - 2
        assert (await alice.until(Ended)).by == "remote"
        await recorded(world, watched, "not_acknowledged")

    play(story, tmp_path)


def test_of_a_call_that_has_been_answered_for_long_nothing_is_repeated(tmp_path: Path) -> None:
    """Its ACK came after the entry was written, and the caller would not send it again."""

    async def story(world: World) -> None:
        world.network.wire.drop("ACK", 1, source=SBC)
        watched, alice, _, session = await answered(world, 28.0)
        (entry,) = await watched.entries()
        assert entry.waiting
        said = len(world.network.wire.log)
        await killed(world, watched)
        assert world.network.wire.log[said:] == []
        await asyncio.sleep(40.0)
        assert session.state is SessionState.CONFIRMED
        alice.do(session.bye)
        await recorded(world, watched)

    play(story, tmp_path)


def test_killed_twice_it_is_repeated_by_each(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, _, session = await answered(world)
        await watched.kill_and_restart()
        await asyncio.sleep(1.0)
        find_answers(world)
        said = len(world.network.wire.log)
        await killed(world, watched)
        assert answers(world, said) == 1
        await alice.until(Answered)
        await asyncio.sleep(40.0)
        alice.do(session.bye)
        await recorded(world, watched)

    play(story, tmp_path)


def test_a_human_who_hangs_up_before_the_caller_has_it_ends_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, desk, _ = await answered(world)
        await killed(world, watched)
        desk.do(desk.sessions[0].bye)
        await asyncio.sleep(1.0)
        find_answers(world)
        await alice.until(Answered)
        assert (await alice.until(Ended)).by == "remote"
        await recorded(world, watched)

    play(story, tmp_path)


def test_a_caller_who_gives_up_meanwhile_is_hung_up_by_themselves(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, desk, session = await answered(world)
        await watched.kill()
        find_answers(world)
        alice.do(session.cancel)
        await asyncio.sleep(1.0)
        await watched.restart()
        assert (await desk.until(Ended)).by == "remote"
        assert (await alice.until(Ended)).by == "local"
        await recorded(world, watched)

    play(story, tmp_path)


def test_what_is_asked_of_the_caller_waits_until_they_have_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        timer = Extensions(TimerTerms("supported", 90, refresher="far_end"))
        watched, alice, desk, session = await answered(world, extensions=timer)
        await killed(world, watched)
        body = b"Signal=5\r\n"
        desk.do(
            lambda now: desk.sessions[0].request(
                now, "INFO", body=body, content_type="application/dtmf-relay"
            )
        )
        await asyncio.sleep(3.0)
        sent = world.network.titles([(B2BUA, 5060)])
        assert not {"UPDATE", "INFO"} & set(sent), "it would be answered 481"
        find_answers(world)
        await alice.until(RequestReceived)
        await asyncio.sleep(120.0)
        assert session.state is SessionState.CONFIRMED
        alice.do(session.bye)
        await recorded(world, watched)

    main = CONFIGURATION.replace("sip:\n", "sip:\n  session_timers: {expires: 90s}\n")
    play(story, tmp_path, main=main)


@pytest.mark.parametrize("whose", ["caller", "human"])
def test_a_phone_that_takes_a_place_gets_its_200_again(tmp_path: Path, whose: str) -> None:
    async def story(world: World) -> None:
        watched, alice, desk, session = await answered(world)
        await alice.until(Answered)
        lose_answers(world)
        phone = await world.phone(SECOND) if whose == "caller" else desk
        late = take(phone, dialog(session if whose == "caller" else desk.sessions[0]))
        await asyncio.sleep(0.3)
        find_answers(world)
        await killed(world, watched)
        await phone.until(Answered)
        assert (await (alice if whose == "caller" else desk).until(Ended)).by == "remote"
        await asyncio.sleep(40.0)
        assert late.state is SessionState.CONFIRMED
        phone.do(late.bye)
        stays = desk if whose == "caller" else alice
        assert (await stays.until(Ended)).by == "remote"
        await recorded(world, watched)

    play(story, tmp_path)


def test_keys_in_the_200_stand_in_no_store(tmp_path: Path) -> None:
    key = base64.b64encode(b"\x07" * 30).decode()
    body = offer(SBC).replace(b"RTP/AVP", b"RTP/SAVP")
    body += f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n".encode()

    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, _, session = await answered(world, 0.0, body=body)
        watched.seal = watched.journal.seal = Seal(b"our private key")
        await watched.kill()
        written = " ".join(each.body for each in watched.keeping.backend.documents.values())
        assert "m=audio" not in written
        find_answers(world)
        await watched.restart()
        assert b"a=crypto" in (await alice.until(Answered)).response.body
        alice.do(session.bye)
        await recorded(world, watched)

    main = CONFIGURATION.replace("media:\n", "media:\n  srtp: {keys_in_clear: true}\n")
    play(story, tmp_path, main=main.replace("max_calls: 100\n", "max_calls: 100\n    srtp: required\n"))


# -- calls that are ended ----------------------------------------------------------------------------------------------


def test_where_the_audio_is_gone_a_caller_who_rings_gets_503(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lose_answers(world)
        watched, alice, desk, _ = await answered(world, outlives=False)
        find_answers(world)
        await killed(world, watched, "ended")
        response = (await alice.until(Rejected)).response
        assert response.status == 503
        assert response.headers.get("Reason") == 'Q.850;cause=41;text="process_lost"'
        assert (await desk.until(Ended)).by == "remote"
        assert fates(world) == {("ended",): 1}
        await recorded(world, watched, "process_lost")

    play(story, tmp_path)


def test_where_the_audio_is_gone_so_does_a_phone_that_takes_a_place(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, desk, _ = await answered(world, outlives=False)
        await alice.until(Answered)
        lose_answers(world)
        take(desk, dialog(desk.sessions[0]))
        await asyncio.sleep(0.3)
        find_answers(world)
        await killed(world, watched, "ended")
        assert (await desk.until(Rejected)).response.status == 503
        for phone in (alice, desk):
            assert (await phone.until(Ended)).by == "remote"
        await recorded(world, watched, "process_lost")

    play(story, tmp_path)


def test_a_caller_who_has_it_hears_bye(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("ACK", source=SBC)
        watched, alice, desk, _ = await answered(world, outlives=False)
        await killed(world, watched, "ended")
        for phone in (alice, desk):
            assert (await phone.until(Ended)).by == "remote"
        await recorded(world, watched, "process_lost")

    play(story, tmp_path)


# -- a 200 that waits for the caller's PRACK ---------------------------------------------------------------------------


async def preview_and_answer(phone: Phone, session: ServerSession, request: Request) -> None:
    """Early media, and 200 half a second later."""
    phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
    await asyncio.sleep(0.5)
    phone.do(lambda now: session.answer(now, body=offer(phone.host)))


async def held(world: World, seconds: float = 3.0) -> tuple[Watched, Phone, Phone, ClientSession]:
    """The desk has answered, and the caller, who does without a 200, has not acknowledged what they heard before."""
    world.media.outlives = True
    watched = Watched(world)
    desk, alice = await world.phone(DESK, preview_and_answer), await world.phone(SBC)
    session = alice.call("desk", extensions=Extensions(reliable="supported"))
    await asyncio.sleep(seconds)
    assert alice.events_of(Answered) == []
    return watched, alice, desk, session


def told_answered(world: World) -> list[CallAnswered]:
    """Where the feed tells that calls are answered, from now on."""
    told: list[CallAnswered] = []

    class Listener:
        def hear(self, entry: Entry) -> None:
            assert isinstance(entry.event, CallAnswered)
            told.append(entry.event)

    world.registry.services.feed.listen(Listener(), [CallAnswered])
    return told


RELIABLY = CONFIGURATION.replace("    max_calls: 100", "    100rel: supported\n    max_calls: 100")


def test_a_caller_whose_200_waits_has_not_been_answered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("PRACK", source=SBC)
        told = told_answered(world)
        watched, alice, desk, _ = await held(world)
        await killed(world, watched, "ended")
        assert (await desk.until(Ended)).by == "remote"
        response = (await alice.until(Rejected)).response
        assert (response.status, told) == (503, [])
        record = await recorded(world, watched, "process_lost")
        assert (record["answered"], as_object(record["outcome"])["code"]) == (None, 11073)

    play(story, tmp_path, main=RELIABLY)


def test_once_it_is_sent_the_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.hold("PRACK", 2.0, times=20)
        told = told_answered(world)
        watched, alice, desk, _ = await held(world, 1.0)
        assert told == []
        await alice.until(Answered)
        answered_at = world.stack.now()
        await asyncio.sleep(0.5)
        (event,) = told
        assert abs(event.at - answered_at) < 0.1
        await killed(world, watched)
        desk.do(desk.sessions[0].bye)
        assert (await alice.until(Ended)).by == "remote"
        assert (await recorded(world, watched))["answered"]

    play(story, tmp_path, main=RELIABLY)


@pytest.mark.parametrize("who", ["caller", "human"])
def test_a_call_that_ends_while_it_waits_was_never_answered(tmp_path: Path, who: str) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("PRACK", source=SBC)
        told = told_answered(world)
        watched, alice, desk, session = await held(world)
        if who == "caller":
            alice.do(session.cancel)
            assert (await desk.until(Ended)).by == "remote"
        else:
            desk.do(desk.sessions[0].bye)
            assert (await alice.until(Rejected)).response.status == 480
        record = await recorded(world, watched, "cancel" if who == "caller" else "normal_hangup")
        assert (record["answered"], told) == (None, [])

    play(story, tmp_path, main=RELIABLY)
