"""Somebody sends audio to all of our ports, from before a call on and without end ("RTP bleed"), and the caller is
behind a NAT: it is heard all the same, and the stranger hears no more of the call.

Hosts are addresses of 127.0.0.0/8: the caller's SIP and audio come from one, its SDP names another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media.engine import Address
from tests.support.b2bua_process import B2bua
from tests.support.engines import over_rtpengine
from tests.support.peer_sip import SipText, response
from tests.support.ports import LOOPBACK, free_port_range
from tests.support.rtp_peer import STALL, Packet, RtpPeer
from tests.support.rtpengine import RtpengineDaemon
from tests.support.scripted import ScriptedCallee, ScriptedCaller

INSIDE, ELSEWHERE = "127.0.0.5", "127.0.0.7"
PORTS = 20
OF_STRANGER, OF_CALLER, TO_STRANGER, TO_CALLER = 0x66, 0x77, 0x44, 0x55
"""What is said."""


def description(host: str, port: int) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0"]
    return "\r\n".join([*lines, ""])


class CallerBehindNat(ScriptedCaller):
    """Names an address that it has inside."""

    def sdp(self) -> str:
        return description(INSIDE, 4000)


class Caller(ScriptedCaller):
    """Names the address of its audio."""

    def __init__(self, audio: RtpPeer) -> None:
        super().__init__()
        self._audio = audio

    def sdp(self) -> str:
        return description(*self._audio.address)


@contextmanager
def agents(audio: RtpPeer) -> Iterator[ScriptedCallee]:
    def answer(invite: SipText) -> list[bytes]:
        body = description(*audio.address)
        return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], body)]

    with ScriptedCallee(answer) as callee:
        yield callee


async def spray(stranger: RtpPeer, ports: range) -> None:
    """50 packets a second to each port, until cancelled."""
    while True:
        for port in ports:
            stranger.say((LOOPBACK, port), bytes([OF_STRANGER]) * 160)
        await asyncio.sleep(0.02)


async def exchange(talker: RtpPeer, to: Address, said: int, listener: RtpPeer) -> Packet:
    """Says it again and again until it is heard, whatever else comes."""
    for _ in range(int(STALL / 0.02)):
        talker.say(to, bytes([said]) * 160)
        try:
            async with asyncio.timeout(0.02):
                while (heard := await listener.hear()).payload[0] != said:
                    pass
        except TimeoutError:
            continue
        return heard
    raise AssertionError(f"{said:#x} is not heard")


def heard_so_far(peer: RtpPeer) -> set[int]:
    """What has come and was not taken, by the first octet of audio."""
    heard = set()
    while peer.has_heard():
        heard.add(peer.peek()[12])
    return heard


def test_a_caller_behind_a_nat_is_heard_and_the_stranger_hears_no_more(tmp_path: Path) -> None:
    first, last = free_port_range(PORTS)

    async def talk(b2bua: B2bua, caller: CallerBehindNat, callee: ScriptedCallee) -> None:
        spraying = asyncio.create_task(spray(stranger, range(first, last, 2)))
        caller.call(b2bua.address, "desk")
        answer = await asyncio.to_thread(caller.final)
        ours, theirs = answer[0].media_address(), callee.requests("INVITE")[0].media_address()
        # The caller says nothing yet: for all we know it is the stranger, who is heard and hears.
        await exchange(stranger, ours, OF_STRANGER, agent)
        await exchange(agent, theirs, TO_STRANGER, stranger)

        await exchange(audio, ours, OF_CALLER, agent)
        await exchange(agent, theirs, TO_CALLER, audio)
        heard_so_far(stranger)
        for _ in range(25):
            audio.say(ours, bytes([OF_CALLER]) * 160)
            agent.say(theirs, bytes([TO_CALLER]) * 160)
            assert (await agent.hear()).payload[0] == OF_CALLER
            assert (await audio.hear()).payload[0] == TO_CALLER
            await asyncio.sleep(0.02)
        assert heard_so_far(agent) <= {OF_CALLER}
        assert heard_so_far(stranger) == set()
        spraying.cancel()
        caller.hang_up()

    with (
        RtpPeer() as agent,
        RtpPeer() as audio,
        RtpPeer(host=ELSEWHERE, ssrc=7) as stranger,
        agents(agent) as callee,
        CallerBehindNat() as caller,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{callee.address}"}},
            media={"ports": f"{first}-{last}"},
        ) as b2bua,
    ):
        asyncio.run(talk(b2bua, caller, callee))
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["code"] == 4000


def test_who_does_not_reach_the_insides_of_rtpengine_is_heard_by_nobody(tmp_path: Path) -> None:
    """With one interface for both sides, the stranger is heard by caller and agent."""
    separate = (f"outside/{LOOPBACK}", "inside/127.0.0.2")
    sides = {"inside": "inside", "outside": "outside"}

    async def talk(b2bua: B2bua, caller: ScriptedCaller, callee: ScriptedCallee, ports: range) -> None:
        caller.call(b2bua.address, "desk")
        answer = await asyncio.to_thread(caller.final)
        ours, theirs = answer[0].media_address(), callee.requests("INVITE")[0].media_address()
        await exchange(audio, ours, OF_CALLER, agent)
        await exchange(agent, theirs, TO_CALLER, audio)
        spraying = asyncio.create_task(spray(stranger, ports))
        for _ in range(50):
            audio.say(ours, bytes([OF_CALLER]) * 160)
            agent.say(theirs, bytes([TO_CALLER]) * 160)
            assert (await agent.hear()).payload[0] == OF_CALLER
            assert (await audio.hear()).payload[0] == TO_CALLER
            await asyncio.sleep(0.02)
        assert heard_so_far(agent) <= {OF_CALLER}
        assert heard_so_far(audio) <= {TO_CALLER}
        assert heard_so_far(stranger) == set()
        spraying.cancel()
        caller.hang_up()

    with (
        RtpengineDaemon(tmp_path, interfaces=separate) as daemon,
        RtpPeer() as agent,
        RtpPeer() as audio,
        RtpPeer(host=ELSEWHERE, ssrc=7) as stranger,
        agents(agent) as callee,
        Caller(audio) as caller,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{callee.address}"}},
            media=over_rtpengine([daemon], interfaces=sides).media,
        ) as b2bua,
    ):
        asyncio.run(talk(b2bua, caller, callee, range(daemon.ports.first, daemon.ports.last, 2)))
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["code"] == 4000
