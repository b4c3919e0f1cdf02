"""Anything at all on the ports of a call: the engine counts it, and the people go on hearing each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from media.engine import Codec
from tests.support.native_calls import Bridged, becomes_true, peers, running

RTP_LIKE = st.builds(
    lambda first, kind, rest: bytes([first, kind]) + rest,
    st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x40]),
    st.sampled_from([0, 8, 13, 101, 128, 229, 200, 201, 203]),
    st.binary(max_size=300),
)
RTCP_LIKE = st.builds(
    lambda first, kind, length, rest: bytes([first, kind]) + length.to_bytes(2) + rest,
    st.integers(0x80, 0xBF),
    st.integers(199, 208),
    st.integers(0, 30),
    st.binary(max_size=120),
)
"""Shaped like the real thing, so that more than the first check sees them."""

DATAGRAM = st.one_of(st.binary(max_size=100), RTP_LIKE, RTCP_LIKE, st.binary(min_size=2040, max_size=2060))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), DATAGRAM), max_size=40), st.booleans())
def test_garbage_is_counted_and_never_stalls_a_call(garbage: list[tuple[bool, bytes]], mux: bool) -> None:
    async def run() -> None:
        async with running() as engine:
            with peers(Codec.PCMU, Codec.PCMU) as (caller, assistant):
                bridged = Bridged(engine, [caller, assistant])
                leg, other = bridged.legs
                host, port = leg.local_address
                leg.set_remote(replace(caller.parameters(), rtcp_mux=mux, comfort_noise=mux))
                for rtcp, datagram in garbage:
                    caller.send((host, port + rtcp), datagram)
                await becomes_true(lambda: _counted(bridged) == len(garbage))
                # Whatever sequence it pretended to be, two packets in a row are a stream.
                caller.ssrc = 0xFEEDBEEF
                for _ in range(3):
                    caller.say(leg.local_address, b"\x33" * 160)
                while (heard := await assistant.hear()).payload != b"\x33" * 160:
                    assert heard.payload_type in (0, 101)
                assistant.say(other.local_address)
                assert (await caller.hear()).payload_type == 0

    asyncio.run(run())


def _counted(bridged: Bridged) -> int:
    counters = bridged.legs[0].statistics()
    return counters.packets_in + counters.foreign + counters.malformed + counters.dropped + counters.rtcp_in
