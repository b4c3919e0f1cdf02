"""A process is killed when it has answered an INVITE without an offer, and no ACK has come: the next one repeats our
offer in the 200, and takes the answer in the ACK."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from b2bua.journal.seal import Seal
from sip_stack.events import Acknowledged, Ended
from sip_stack.sdp import Direction
from tests.scenarios.test_answers_left_behind import ANSWER, find_answers, lose_answers, recorded
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, Phone, World, offer, play
from tests.support.handoff_cast import answer_at_once
from tests.support.next_process import Watched
from tests.support.raw_phone import RawPhone
from tests.support.taken_over import killed

KEY = base64.b64encode(b"\x07" * 30)

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


async def offered(world: World, lost: str, seal: Seal | None = None) -> tuple[Watched, RawPhone, Phone, int]:
    """A caller without an offer has been answered, and the message `lost` does not arrive until the next process is
    there."""
    world.media.outlives = True
    watched = Watched(world)
    watched.seal = watched.journal.seal = seal
    desk = await world.phone(DESK, answer_at_once)
    sbc = RawPhone(world.network, SBC, B2BUA, "desk")
    lose_answers(world) if lost == ANSWER else world.network.wire.drop("ACK", source=SBC)
    cseq = sbc.invite()
    await desk.until(Acknowledged)
    if lost == "ACK":
        await sbc.final("INVITE", cseq)
        sbc.acknowledge(cseq, offer(SBC))
    await asyncio.sleep(0.5)
    find_answers(world)
    return watched, sbc, desk, cseq


@pytest.mark.parametrize("lost", [ANSWER, "ACK"])
@pytest.mark.parametrize("kills", [1, 2])
def test_our_offer_is_repeated_until_its_answer_comes(tmp_path: Path, lost: str, kills: int) -> None:
    async def story(world: World) -> None:
        watched, sbc, desk, cseq = await offered(world, lost)
        for _ in range(kills):
            sbc.heard.clear()
            await watched.kill_and_restart()
            assert b" RTP/AVP 0 8 101\r\n" in (await sbc.final("INVITE", cseq)).body
        sbc.acknowledge(cseq, offer(SBC, payload="8 101"))
        await asyncio.sleep(0.5)
        caller, agent = world.legs()
        assert caller.parameters is not None
        assert (caller.parameters.remote, str(caller.parameters.codec)) == ((SBC, 4000), "PCMA")
        assert (caller.peer, agent.peer) == (agent, caller)
        await asyncio.sleep(40.0)
        desk.reoffer(desk.sessions[0], Direction.SENDONLY)
        told = await sbc.request("INVITE")
        assert b"o=- " in told.body
        assert told.body.split(b"\r\n")[1].split()[2] == b"2", "the version that follows"
        sbc.bye()
        await recorded(world, watched)

    play(story, tmp_path)


def test_without_a_good_answer_to_our_offer_the_call_ends(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, sbc, desk, cseq = await offered(world, ANSWER)
        await killed(world, watched)
        await sbc.final("INVITE", cseq)
        sbc.acknowledge(cseq)
        assert (await desk.until(Ended)).by == "remote"
        await sbc.request("BYE")
        await recorded(world, watched, "media_not_acceptable")

    play(story, tmp_path)


def test_a_caller_who_never_answers_our_offer_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, sbc, desk, _ = await offered(world, ANSWER)
        await killed(world, watched)
        assert (await desk.until(Ended)).by == "remote"
        await sbc.request("BYE")
        await recorded(world, watched, "not_acknowledged")

    play(story, tmp_path)


def test_the_keys_of_our_offer_stand_in_no_store_and_are_those_of_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, sbc, _, cseq = await offered(world, ANSWER, Seal(b"our private key"))
        await watched.kill()
        written = " ".join(each.body for each in watched.keeping.backend.documents.values())
        assert "inline:" not in written
        await watched.restart()
        body = (await sbc.final("INVITE", cseq)).body
        said = [line for line in body.split(b"\r\n") if line.startswith(b"a=crypto:")]
        (ours,) = [line for line in said if b"AES_CM_128_HMAC_SHA1_80" in line]
        theirs = b"a=crypto:" + ours.split(b":")[1].split()[0] + b" AES_CM_128_HMAC_SHA1_80 inline:" + KEY
        secure = offer(SBC).replace(b"RTP/AVP", b"RTP/SAVP") + theirs + b"\r\n"
        sbc.acknowledge(cseq, secure)
        await asyncio.sleep(0.5)
        keys = world.legs()[0].parameters.keys  # type: ignore[union-attr]
        assert keys is not None
        assert base64.b64encode(keys.local) in ours
        assert base64.b64encode(keys.remote) == KEY
        sbc.bye()
        await recorded(world, watched)

    main = CONFIGURATION.replace("media:\n", "media:\n  srtp: {keys_in_clear: true}\n")
    play(story, tmp_path, main=main.replace("max_calls: 100\n", "max_calls: 100\n    srtp: required\n"))
