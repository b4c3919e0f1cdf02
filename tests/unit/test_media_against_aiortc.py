"""RTP headers and G.711 of the native engine against aiortc and PyAV, independent implementations of both."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.g711 import PcmaDecoder, PcmaEncoder, PcmuDecoder, PcmuEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from media.engine import G711, Codec
from media.native import NativeEngine, NativeSettings
from tests.support.rtp_peer import RtpPeer

DECODERS = {Codec.PCMU: PcmuDecoder, Codec.PCMA: PcmaDecoder}
ENCODERS = {Codec.PCMU: PcmuEncoder, Codec.PCMA: PcmaEncoder}


async def relayed(packets: list[bytes], source: Codec, target: Codec) -> list[bytes]:
    """Sends datagrams through a bridged call and returns what the other side gets; none may be refused."""
    engine = NativeEngine(NativeSettings(ports=(0, 0)))
    await engine.start()
    try:
        with RtpPeer(source) as caller, RtpPeer(target) as agent:
            call = engine.open_call(lambda event: None)
            near, far = call.open_leg("caller"), call.open_leg("agent")
            near.set_remote(caller.parameters())
            far.set_remote(agent.parameters())
            call.bridge(near, far)
            heard = []
            for packet in packets:
                caller.send(near.local_address, packet)
                heard.append((await agent.hear()).encode())
            return heard
    finally:
        await engine.close()


def linear(payload: bytes, codec: Codec) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Samples of a payload by aiortc's decoder."""
    (frame,) = DECODERS[codec]().decode(JitterFrame(payload, 0))
    assert isinstance(frame, av.AudioFrame)
    return np.asarray(frame.to_ndarray(), np.int16).reshape(-1)


def compressed(samples: np.ndarray[tuple[int], np.dtype[np.int16]], codec: Codec) -> bytes:
    """Payload of samples by aiortc's encoder, which wants frames of 20 ms."""
    payloads = b""
    encoder = ENCODERS[codec]()
    for start in range(0, len(samples), 160):
        frame = av.AudioFrame.from_ndarray(samples[start : start + 160].reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        encoded, _ = encoder.encode(frame)
        payloads += b"".join(encoded)
    return payloads


@pytest.mark.parametrize("source", G711)
def test_every_octet_crosses_to_the_nearest_value_of_the_other_law(source: Codec) -> None:
    target = Codec.PCMA if source is Codec.PCMU else Codec.PCMU
    octets = bytes(range(256)) + bytes(64)  # 320: two frames for aiortc
    packet = RtpPacket(payload_type=0 if source is Codec.PCMU else 8, payload=octets, ssrc=1)
    (heard,) = asyncio.run(relayed([packet.serialize()], source, target))
    ours = linear(RtpPacket.parse(heard).payload, target).astype(int)
    original = linear(octets, source).astype(int)
    theirs = linear(compressed(linear(octets, source), target), target).astype(int)
    assert np.array_equal(np.sign(ours) * np.sign(original) >= 0, np.ones(len(ours), bool))
    # Where two values are equally near, encoders may choose differently; neither may be farther off.
    assert np.array_equal(np.abs(ours - original), np.abs(theirs - original))


@pytest.mark.parametrize("codec", G711)
def test_the_same_law_passes_untouched(codec: Codec) -> None:
    octets = random.Random(7).randbytes(320)
    packet = RtpPacket(payload_type=0 if codec is Codec.PCMU else 8, payload=octets, ssrc=1)
    (heard,) = asyncio.run(relayed([packet.serialize()], codec, codec))
    assert RtpPacket.parse(heard).payload == octets


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of a header that a relay need not keep."""

    marker: int
    ssrc: int
    sources: list[int]
    padding: int
    payload: bytes
    mid: str | None


forms = st.builds(
    Form,
    marker=st.integers(0, 1),
    ssrc=st.integers(0, 2**32 - 1),
    sources=st.lists(st.integers(0, 2**32 - 1), max_size=15),
    padding=st.integers(0, 255),
    payload=st.binary(min_size=8, max_size=320),
    mid=st.none() | st.text("abc", min_size=1, max_size=3),
)


@settings(max_examples=25)
@given(form=forms, sequence=st.integers(0, 65_535), timestamp=st.integers(0, 2**32 - 1))
def test_headers_of_any_shape_are_read_as_aiortc_writes_them(
    form: Form, sequence: int, timestamp: int
) -> None:
    """A row of three packets in every header form: the payload arrives whole, behind a plain header of ours."""
    extensions = HeaderExtensionsMap()
    extensions.configure(_mid_extension())
    sent = [_packet(form, sequence + n, timestamp + 160 * n) for n in range(3)]
    datagrams = [packet.serialize(extensions) for packet in sent]
    heard = [RtpPacket.parse(data) for data in asyncio.run(relayed(datagrams, Codec.PCMU, Codec.PCMU))]
    assert [packet.payload for packet in heard] == [packet.payload for packet in sent]
    assert {(packet.version, packet.payload_type, packet.padding_size) for packet in heard} == {(2, 0, 0)}
    assert [packet.csrc for packet in heard] == [[], [], []]
    assert len({packet.ssrc for packet in heard}) == 1
    first = heard[0]
    assert [(packet.sequence_number - first.sequence_number) % 2**16 for packet in heard] == [0, 1, 2]
    assert [(packet.timestamp - first.timestamp) % 2**32 for packet in heard] == [0, 160, 320]
    assert [packet.marker for packet in heard] == [1, form.marker, form.marker]


def _mid_extension() -> RTCRtpParameters:
    uri = "urn:ietf:params:rtp-hdrext:sdes:mid"
    return RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=1, uri=uri)])


def _packet(form: Form, sequence: int, timestamp: int) -> RtpPacket:
    packet = RtpPacket(
        payload_type=0,
        marker=form.marker,
        sequence_number=sequence % 2**16,
        timestamp=timestamp % 2**32,
        ssrc=form.ssrc,
        payload=form.payload,
    )
    packet.csrc = form.sources
    packet.padding_size = form.padding
    packet.extensions.mid = form.mid
    return packet
