"""One call over two bad networks: what RTCP and the record say is what was lost, and nothing stalls.

SRTP on the caller's side by libsrtp, plain RTP with another number for telephone-event on the other; RTCP read by
aiortc. Each packet that is sent is waited for, so the test takes no longer than the machine does.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from media.engine import Address
from media.srtp import CryptoSuite
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier, Limit
from tests.support.peer_sip import SipText, response
from tests.support.ports import LOOPBACK
from tests.support.rtcp_peer import Report, RtcpPeer, pair
from tests.support.rtp_peer import Packet, RtpPeer
from tests.support.scripted import ScriptedCallee, ScriptedCaller
from tests.support.srtp_peer import SrtpPeer, new_key

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
KEYS = "0123456789*#ABCD"
CALLERS_EVENT, AGENTS_EVENT = 101, 96
MEDIA = {"srtp": {"keys_in_clear": True}}
TRUNKS = {"trunks": {"sbc": {"accept": {"addresses": [LOOPBACK]}, "srtp": "required"}}}


def description(port: int, profile: str, event: int, *more: str) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {LOOPBACK}", "s=-", f"c=IN IP4 {LOOPBACK}", "t=0 0"]
    lines += [f"m=audio {port} {profile} 0 {event}", f"a=rtpmap:{event} telephone-event/8000", *more]
    return "\r\n".join([*lines, ""])


class SecureCaller(ScriptedCaller):
    """A caller whose audio is SRTP."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = SrtpPeer(SUITE)
        self.reports = RtcpPeer()

    def sdp(self, direction: str = "sendrecv") -> str:
        """Its own audio, under its present key."""
        key = base64.b64encode(self.audio.key).decode()
        crypto = f"a=crypto:1 {SUITE} inline:{key}"
        rtcp = f"a=rtcp:{self.reports.address[1]}"
        port = self.audio.address[1]
        return description(port, "RTP/SAVP", CALLERS_EVENT, crypto, rtcp, f"a={direction}")

    def take(self, answer: SipText) -> Address:
        """The key of an answer, and where it wants audio."""
        assert answer.status == 200, answer.start_line
        said = re.search(r"inline:(\S+)", answer.body)
        assert said is not None, answer.body
        self.audio.our_key = base64.b64decode(said[1])
        self.audio.begin()
        return answer.media_address()


@dataclass
class Way:
    """One direction of the call: who talks, where to, who hears it, and what the network loses on the way to us."""

    talker: RtpPeer
    target: Address
    listener: RtpPeer
    chance: random.Random
    in_order: bool
    """A burst comes out as it went in."""
    lost: int = 0

    async def talk(self, packets: int) -> None:
        """10 % are lost and as many overtaken. All that is not lost must come out."""
        overtaken: Packet | None = None
        for number in range(packets):
            packet = Packet(
                self.talker.sequence, self.talker.timestamp, self.talker.ssrc, bytes([number % 256]) * 160
            )
            self.talker.sequence = (self.talker.sequence + 1) & 0xFFFF
            self.talker.timestamp += 160
            # The first and last of a stretch come, so that it is known what is missing.
            fate = self.chance.random() if 0 < number < packets - 2 else 1.0
            if fate < 0.1:
                self.lost += 1
            elif fate < 0.2 and overtaken is None:
                overtaken = packet
            else:
                await self._cross(packet)
                if overtaken is not None:
                    await self._cross(overtaken)
                    overtaken = None

    async def until_it_crosses(self) -> None:
        """Packets until one comes out, and with it all that were sent after it."""
        sent: list[bytes] = []
        while len(sent) < 100:
            sent.append(self.talker.say(self.target, bytes([len(sent)]) * 160).payload)
            try:
                async with asyncio.timeout(0.05):
                    came = (await self.listener.hear()).payload
            except TimeoutError:
                continue
            under_way = set(sent[sent.index(came) + 1 :])
            while under_way:
                under_way.discard((await self.listener.hear()).payload)
            return
        raise AssertionError("nothing comes out")

    async def _cross(self, packet: Packet) -> None:
        self.talker.send(self.target, packet.encode())
        assert (await self.listener.hear()).payload == packet.payload

    async def press(self, keys: str, heard_as: int) -> None:
        """Each key is one event of the listener's number."""
        for code, _ in enumerate(keys):
            self.talker.press(self.target, code)
            events = await self.listener.hear_many(8)
            if not self.in_order:
                events.sort(key=lambda event: event.sequence)
            assert {event.payload_type for event in events} == {heard_as}
            assert {event.payload[0] for event in events} == {code}
            assert len({event.timestamp for event in events}) == 1, "one key, one timestamp"
            assert [bool(event.payload[1] & 0x80) for event in events] == [False] * 5 + [True] * 3


@contextmanager
def agents(audio: RtpPeer) -> Iterator[ScriptedCallee]:
    """Who answers every offer, and lets itself be held."""

    def answer(invite: SipText) -> list[bytes]:
        held = ["a=recvonly"] if "a=sendonly" in invite.body else []
        assert audio.telephone_event is not None
        body = description(audio.address[1], "RTP/AVP", audio.telephone_event, *held)
        return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], body)]

    with ScriptedCallee(answer) as callee:
        yield callee


async def last_report(peer: RtcpPeer, protected: SrtpPeer | None) -> Report:
    """The report that comes with BYE."""
    while True:
        data = await peer.hear_data()
        report = Report.read(data if protected is None else protected.inbound.unprotect_rtcp(data))
        if report.goodbye:
            return report


def test_rtcp_and_the_record_tell_the_truth_through_hold_new_keys_and_digits(
    engine: Carrier, tmp_path: Path
) -> None:
    """Of rtpengine what crosses alone."""
    agent_audio, agent_reports = pair()
    agents_event = AGENTS_EVENT if engine.can(Limit.RENUMBER_EVENTS) else CALLERS_EVENT
    agent_audio.telephone_event = agents_event

    async def talk(
        b2bua: B2bua, caller: SecureCaller, callee: ScriptedCallee
    ) -> tuple[Way, Way, Report, Report] | None:
        caller.call(b2bua.address, "desk")
        ours = caller.take(caller.final()[0])
        theirs = callee.requests("INVITE")[0].media_address()
        chance = random.Random(6)
        in_order = engine.can(Limit.EXACT_PACKET)
        to_agent = Way(caller.audio, ours, agent_audio, chance, in_order)
        to_caller = Way(agent_audio, theirs, caller.audio, chance, in_order)

        async def both(packets: int) -> None:
            await to_agent.talk(packets)
            await to_caller.talk(packets)

        async def agreed() -> None:
            if not engine.can(Limit.EXACT_PACKET):
                await to_agent.until_it_crosses()
                await to_caller.until_it_crosses()

        await agreed()
        await both(400)
        first_key = caller.audio.our_key
        assert caller.take(caller.reoffer(caller.sdp("sendonly"))) == ours
        caller.take(caller.reoffer(caller.sdp()))
        assert caller.audio.our_key == first_key, "a key that is repeated changes nothing"
        await agreed()
        await both(200)
        caller.audio.key = new_key(SUITE)
        caller.take(caller.reoffer(caller.sdp()))
        await agreed()
        await both(200)
        await to_agent.press(KEYS, agents_event)
        await to_caller.press(KEYS, CALLERS_EVENT)
        await both(50)
        caller.hang_up()
        if not engine.can(Limit.COUNT_LOSS):
            return None
        reports = (await last_report(caller.reports, caller.audio), await last_report(agent_reports, None))
        return to_agent, to_caller, *reports

    with (
        agent_audio,
        agent_reports,
        agents(agent_audio) as callee,
        SecureCaller() as caller,
        caller.audio,
        caller.reports,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{callee.address}"}},
            media={**engine.media, **MEDIA},
            main=TRUNKS,
        ) as b2bua,
    ):
        told = asyncio.run(talk(b2bua, caller, callee))
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["code"] == 4000
    if told is None:
        return
    *ways, to_the_caller, to_the_agent = told
    for way, report, role in zip(ways, (to_the_caller, to_the_agent), ("caller", "agent"), strict=True):
        assert way.lost > 60, "a bad network"
        assert report.block is not None
        assert report.block.packets_lost == way.lost == record["media"][role]["lost"]
        assert report.block.ssrc == way.talker.ssrc
        assert record["media"][role]["late"] > 20
        assert record["media"][role]["unauthenticated"] == record["media"][role]["replayed"] == 0
    assert to_the_caller.sender is not None
    # One more may leave between the record's look and the last report.
    assert to_the_caller.sender.packet_count - record["media"]["caller"]["packets_out"] in (0, 1)
