"""Packets of any length cross as they are: nobody's ptime is changed on the way (pitfall 86)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.engine import G711, Codec
from tests.support.native_calls import Bridged, story
from tests.support.rtp_peer import Packet, RtpPeer

OTHER = {Codec.PCMU: Codec.PCMA, Codec.PCMA: Codec.PCMU}


@pytest.mark.parametrize("codec", G711)
@pytest.mark.parametrize("transcoded", [False, True])
def test_ptime_differences_are_relayed_as_they_are(codec: Codec, transcoded: bool) -> None:
    """One side has 20 ms and changes to 40, 10, 30 and 60 in the middle of the call, the other has 30 all the time."""

    @story(codec, OTHER[codec] if transcoded else codec)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        one, other = people
        lengths = [ms * 8 for ms in (20, 20, 40, 40, 10, 10, 30, 60, 60, 20)]
        sequence, timestamp = 500, 7_000
        heard = []
        for length in lengths:
            packet = Packet(sequence, timestamp, one.ssrc, b"\xd5" * length, one.payload_type)
            sequence, timestamp = sequence + 1, timestamp + length
            one.send(bridged.legs[0].local_address, packet.encode())
            heard.append(await other.hear())
            other.say(bridged.legs[1].local_address, b"\x55" * 240)
            assert len((await one.hear()).payload) == 240
        assert [len(packet.payload) for packet in heard] == lengths
        assert {packet.payload_type for packet in heard} == {other.payload_type}
        for before, after in pairwise(heard):
            assert after.timestamp - before.timestamp & 0xFFFFFFFF == len(before.payload)
            assert after.sequence - before.sequence & 0xFFFF == 1
            assert not after.marker, "another length is no switch"

    told()
