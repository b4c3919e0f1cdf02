"""SRTP of the native engine over real sockets, against libsrtp: what is heard, and what nobody hears."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiortc.rtp import RtcpReceiverInfo

from media.engine import MediaError
from media.events import FirstPacket
from media.srtp import CryptoSuite, SrtpKeys
from tests.support.listening import AGENT, ASSISTANT, assert_one_stream, heard_until, story_of, talking
from tests.support.native_calls import Bridged, becomes_true, running
from tests.support.rtcp_peer import Report, RtcpPeer, receiver_report
from tests.support.rtp_peer import Packet, RtpPeer
from tests.support.srtp_peer import PROFILES, Error, SrtpPeer, new_key, srtp_peers

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
GCM = CryptoSuite.AEAD_AES_128_GCM
Story = Callable[[Bridged, list[RtpPeer]], Awaitable[None]]


def tell(story: Story, *suites: CryptoSuite | None) -> None:
    """Plays a story between peers of these suites."""

    async def play() -> None:
        async with running() as engine:
            with srtp_peers(*suites) as people:
                await story(Bridged(engine, people), people)

    asyncio.run(play())


def protected(peer: RtpPeer) -> SrtpPeer:
    assert isinstance(peer, SrtpPeer)
    return peer


@pytest.mark.parametrize("other", [None, SUITE, GCM])
@pytest.mark.parametrize("suite", PROFILES)
def test_both_sides_hear_each_other(suite: CryptoSuite, other: CryptoSuite | None) -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        said = caller.say(bridged.legs[0].local_address, bytes(range(160)))
        answered = agent.say(bridged.legs[1].local_address, bytes(reversed(range(160))))
        assert (await agent.hear()).payload == said.payload
        assert (await caller.hear()).payload == answered.payload
        statistics = bridged.legs[0].statistics()
        assert (statistics.packets_in, statistics.octets_in, statistics.octets_out) == (1, 160, 160)
        assert (statistics.unauthenticated, statistics.replayed) == (0, 0)

    tell(story, suite, other)


def on_the_wire(peer: RtpPeer, packet: Packet) -> bytes:
    return peer.outbound.protect(packet.encode()) if isinstance(peer, SrtpPeer) else packet.encode()


def test_no_plain_audio_is_on_the_wire() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller = protected(people[0])
        said = people[1].say(bridged.legs[1].local_address, bytes(range(160)))
        wire = await caller.hear_wire()
        assert len(wire) == 12 + 160 + 10
        assert said.payload[:8] not in wire
        assert caller.inbound.unprotect(wire)[12:] == said.payload

    tell(story, SUITE, None)


@pytest.mark.parametrize("suite", PROFILES)
@pytest.mark.parametrize("seed", range(3))
def test_random_streams_with_loss_reordering_and_rollover_agree_with_libsrtp(
    suite: CryptoSuite, seed: int
) -> None:
    """Both ways: a protected and a plain peer say the same stream; what arrives is heard."""
    chance = random.Random(seed)

    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        for peer in people:
            peer.sequence = 0xFF00 + chance.randrange(200)
            peer.timestamp = 0xFFFF_FF00  # wraps at once
        for talker, listener, leg in ((people[0], people[1], 0), (people[1], people[0], 1)):
            held: list[tuple[Packet, bytes]] = []
            heard = True
            for number in range(300):
                # Up to 2999 missing are loss to RFC 3550 A.1: twenty-odd such gaps are once round.
                talker.sequence = (talker.sequence + chance.choice((0, 0, 1, 40, 2900 * heard))) & 0xFFFF
                talker.timestamp = (talker.timestamp + 160) & 0xFFFF_FFFF
                packet = Packet(
                    talker.sequence, talker.timestamp, talker.ssrc, number.to_bytes(2, "big") * 80
                )
                talker.sequence = (talker.sequence + 1) & 0xFFFF
                heard = not number or chance.random() < 0.8
                if not heard:
                    if chance.random() < 0.5:
                        held.append(
                            (packet, on_the_wire(talker, packet))
                        )  # overtaken by what follows; else lost
                    continue
                talker.send(bridged.legs[leg].local_address, packet.encode())
                assert (await listener.hear()).payload == packet.payload
                if held and chance.random() < 0.3:
                    late, wire = held.pop()
                    if (packet.sequence - late.sequence) & 0xFFFF < 64:  # the width of the window
                        RtpPeer.send(talker, bridged.legs[leg].local_address, wire)
                        assert (await listener.hear()).payload == late.payload
            assert bridged.legs[leg].statistics().unauthenticated == 0

    tell(story, suite, None)


def test_a_replay_is_heard_once_and_counted() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller = protected(people[0])
        to = bridged.legs[0].local_address
        wire = caller.outbound.protect(Packet(7, 160, 1, b"\x01" * 160).encode())
        caller.send_raw(to, wire)
        caller.send_raw(to, wire)
        caller.send(to, Packet(8, 320, 1, b"\x02" * 160).encode())
        assert [packet.payload[0] for packet in await people[1].hear_many(2)] == [1, 2]
        assert bridged.legs[0].statistics().replayed == 1

    tell(story, SUITE, None)


def test_what_is_not_authenticated_neither_latches_nor_counts() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, leg = protected(people[0]), bridged.legs[0]
        with SrtpPeer(SUITE) as intruder, RtpPeer() as plain:
            intruder.say(leg.local_address)
            plain.say(leg.local_address)
            await becomes_true(lambda: leg.statistics().unauthenticated == 2)
            assert bridged.events.empty()
            assert (leg.statistics().packets_in, leg.statistics().malformed) == (0, 0)
            # Nothing was learned from them: the audio still goes where the SDP says, in its own cipher.
            people[1].say(bridged.legs[1].local_address, b"\x05" * 160)
            assert (await caller.hear()).payload == b"\x05" * 160
            caller.say(leg.local_address, b"\x06" * 160)
            assert (await people[1].hear()).payload == b"\x06" * 160
            assert await bridged.events.next() == FirstPacket(bridged.legs[1])
            assert await bridged.events.next() == FirstPacket(leg)
            intruder.say(leg.local_address)
            await becomes_true(lambda: leg.statistics().foreign == 1)

    tell(story, SUITE, None)


def test_the_same_keys_again_change_nothing() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        before = agent.say(bridged.legs[1].local_address), await caller.hear()
        caller.say(bridged.legs[0].local_address)
        await agent.hear()
        bridged.legs[0].set_remote(caller.parameters(send=False, receive=False))  # held
        bridged.legs[0].set_remote(caller.parameters())
        caller.say(bridged.legs[0].local_address)
        await agent.hear()
        agent.say(bridged.legs[1].local_address)
        after = await caller.hear()  # libsrtp would refuse an index it has seen
        assert (after.ssrc, after.sequence) == (before[1].ssrc, before[1].sequence + 1)

    tell(story, SUITE, None)


def test_a_new_key_of_the_peer_is_taken_and_ours_goes_on() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = protected(people[0]), people[1]
        agent.say(bridged.legs[1].local_address)
        first = await caller.hear()
        caller.say(bridged.legs[0].local_address)
        await agent.hear()
        trailing = caller.outbound.protect(
            Packet(caller.sequence, caller.timestamp, caller.ssrc, b"\x01" * 160).encode()
        )
        caller.sequence += 1
        caller.key = new_key(SUITE)
        bridged.legs[0].set_remote(caller.parameters())
        caller.send_raw(bridged.legs[0].local_address, trailing)
        assert (await agent.hear()).payload == b"\x01" * 160
        inbound = caller.inbound
        caller.begin()
        caller.inbound = inbound
        caller.say(bridged.legs[0].local_address, b"\x02" * 160)
        assert (await agent.hear()).payload == b"\x02" * 160
        agent.say(bridged.legs[1].local_address)
        second = await caller.hear()
        assert (second.ssrc, second.sequence) == (first.ssrc, first.sequence + 1)

    tell(story, SUITE, None)


def test_a_new_key_of_ours_begins_a_new_stream() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = protected(people[0]), people[1]
        agent.say(bridged.legs[1].local_address)
        first = await caller.hear()
        caller.our_key = new_key(SUITE)
        bridged.legs[0].set_remote(caller.parameters())
        caller.begin()
        agent.say(bridged.legs[1].local_address)
        second = await caller.hear()
        assert second.ssrc != first.ssrc
        assert second.marker
        assert second.sequence < 1 << 15
        assert 160 <= (second.timestamp - first.timestamp) & 0xFFFFFFFF < 8000

    tell(story, SUITE, None)


def test_a_leg_that_was_plain_begins_a_new_stream_when_it_is_protected() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        agent = people[1]
        with SrtpPeer(SUITE) as caller:
            plain = replace(caller.parameters(), keys=None)
            bridged.legs[0].set_remote(plain)
            agent.say(bridged.legs[1].local_address)
            first = Packet.decode(await caller.hear_wire())
            bridged.legs[0].set_remote(caller.parameters())
            agent.say(bridged.legs[1].local_address)
            second = await caller.hear()
            assert second.ssrc != first.ssrc
            bridged.legs[0].set_remote(plain)
            bridged.legs[0].set_remote(caller.parameters())
            agent.say(bridged.legs[1].local_address)
            third = (
                await caller.hear()
            )  # the key goes on where it was, or libsrtp would take this for a replay
            assert (third.ssrc, third.sequence) == (second.ssrc, second.sequence + 1)

    tell(story, None, None)


def test_a_peer_that_moves_may_begin_anew_under_its_key() -> None:
    """Some systems do so at a re-INVITE with a new address, although the ROC should go on."""

    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = protected(people[0]), people[1]
        for sequence in (0x7000, 0xE000, 0x5000):  # once round
            for step in range(2):  # two in a row confirm a jump
                at = Packet(sequence + step, 0, caller.ssrc, b"\x01" * 160)
                caller.send(bridged.legs[0].local_address, at.encode())
        await agent.hear_many(4)
        with SrtpPeer(SUITE, ssrc=caller.ssrc) as moved:
            moved.key, moved.our_key = caller.key, caller.our_key
            moved.begin()
            bridged.legs[0].set_remote(moved.parameters())
            moved.sequence = 0x100
            moved.say(bridged.legs[0].local_address, b"\x02" * 160)
            moved.say(bridged.legs[0].local_address, b"\x03" * 160)
            assert (await agent.hear()).payload[0] in (2, 3)

    tell(story, SUITE, None)


@pytest.mark.parametrize("keys", [(b"\0" * 29, b"\0" * 30), (b"\0" * 30, b"\0" * 31), (b"", b"")])
def test_keys_that_do_not_fit_their_suite_are_refused(keys: tuple[bytes, bytes]) -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        with pytest.raises(MediaError, match="does not fit"):
            bridged.legs[0].set_remote(replace(people[0].parameters(), keys=SrtpKeys(SUITE, *keys)))

    tell(story, None)


def test_keys_are_not_printed() -> None:
    keys = SrtpKeys(SUITE, b"our secret", b"their secret")
    with RtpPeer() as peer:
        assert "secret" not in repr(replace(peer.parameters(), keys=keys))


def test_a_prompt_and_silence_are_protected() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller = protected(people[0])
        for source in (bridged.engine.ringback(), None):
            bridged.call.hear(bridged.legs[0], source)
            heard = await caller.hear_many(3)
            assert len({packet.ssrc for packet in heard}) == 1

    tell(story, SUITE, None)


def test_a_digit_crosses_between_encryptions() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        people[0].say(bridged.legs[0].local_address)
        people[0].press(bridged.legs[0].local_address, 5)
        heard = await people[1].hear_many(9)
        assert [packet.payload_type for packet in heard[1:]] == [101] * 8

    tell(story, SUITE, GCM)


def test_reading_what_is_plain_with_a_key_fails_in_libsrtp_too() -> None:
    with SrtpPeer(SUITE) as peer, pytest.raises(Error):
        peer.inbound.unprotect(Packet(1, 1, 1, b"\0" * 160).encode())


def test_reports_are_protected_both_ways_and_forged_ones_are_not_believed() -> None:
    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, leg = protected(people[0]), bridged.legs[0]
        with RtcpPeer() as rtcp, RtcpPeer() as forger:
            leg.set_remote(replace(caller.parameters(), remote_rtcp=rtcp.address))
            people[1].say(bridged.legs[1].local_address)
            ours = (await caller.hear()).ssrc
            host, port = leg.local_address
            report = receiver_report(caller.ssrc, RtcpReceiverInfo(ours, 0, 9, 1, 0, 0, 0))
            forger.send((host, port + 1), report)
            await becomes_true(lambda: leg.statistics().unauthenticated == 1)
            wire = caller.outbound.protect_rtcp(report)
            rtcp.send((host, port + 1), wire)
            await becomes_true(lambda: leg.statistics().rtcp_in == 1)
            rtcp.send((host, port + 1), wire)
            await becomes_true(lambda: leg.statistics().replayed == 1)
            assert leg.statistics().remote_lost == 9
            bridged.call.close_leg(leg)
            goodbye = Report.read(caller.inbound.unprotect_rtcp(await rtcp.hear_data()))
            assert (goodbye.ssrc, goodbye.goodbye) == (ours, True)

    tell(story, GCM, None)
    tell(story, SUITE, None)


@pytest.mark.parametrize("suites", [(SUITE, None, GCM), (None, GCM, SUITE), (GCM, SUITE, None)])
def test_a_handoff_between_encryptions_has_no_seam(suites: tuple[CryptoSuite | None, ...]) -> None:
    """Assistant, music, human: one stream to the caller, whatever each leg is protected with."""

    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, assistant, agent = people
        legs, call = bridged.legs, bridged.call
        async with talking(assistant, legs[1].local_address, ASSISTANT):
            taken = await heard_until(caller, ASSISTANT)
            call.hear_when_heard(legs[0], legs[2], within_ms=5_000)
            async with talking(agent, legs[2].local_address, AGENT):
                taken += await heard_until(caller, AGENT)
        assert story_of(taken) == [ASSISTANT, AGENT]
        assert_one_stream(taken)

    tell(story, *suites)


@pytest.mark.parametrize("suite", [None, SUITE])
def test_probes_and_injected_packets_reach_nobody_and_are_answered_by_nothing(
    suite: CryptoSuite | None,
) -> None:
    """As rtpbleed does it: empty and plausible RTP to every port, and RTCP, from an address that is not the peer's."""

    async def story(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        caller.say(bridged.legs[0].local_address, b"\x01" * 160)
        agent.say(bridged.legs[1].local_address, b"\x02" * 160)
        await agent.hear()
        await caller.hear()
        before = [leg.statistics() for leg in bridged.legs]
        with RtpPeer(ssrc=caller.ssrc) as intruder:
            for leg in bridged.legs:
                host, port = leg.local_address
                for data in (
                    b"",
                    b"\x80",
                    b"\x80" + bytes(11),
                    Packet(1001, 50_160, caller.ssrc, b"\x66" * 160).encode(),
                ):
                    intruder.send((host, port), data)
                    intruder.send((host, port + 1), data)
                intruder.send((host, port + 1), receiver_report(1, RtcpReceiverInfo(2, 0, 0, 1, 0, 0, 0)))
            caller.say(bridged.legs[0].local_address, b"\x03" * 160)
            agent.say(bridged.legs[1].local_address, b"\x04" * 160)
            # What follows the probes on the same path is the next that is heard: nothing of them was relayed.
            assert (await agent.hear()).payload == b"\x03" * 160
            assert (await caller.hear()).payload == b"\x04" * 160
            after = [leg.statistics() for leg in bridged.legs]
            assert all(now.packets_in == then.packets_in + 1 for now, then in zip(after, before, strict=True))
            with pytest.raises(BlockingIOError):
                intruder.peek()  # nothing came back

    tell(story, suite, None)
