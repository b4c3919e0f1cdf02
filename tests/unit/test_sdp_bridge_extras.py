"""Comfort noise and RTCP on the RTP port: what a description says of them, and what is agreed then."""

from __future__ import annotations

from b2bua.sdp_bridge import LegDescription, RemoteOffer
from media.engine import G711, Codec, StreamParameters

HOST = "192.0.2.10"


def a_leg(*, noise_beyond: bool = False) -> LegDescription:
    """A leg of ours; `noise_beyond`: the other side of the bridge has comfort noise."""
    leg = LegDescription(address=("198.51.100.1", 16384), codecs=G711, session_id=7001)
    leg.comfort_noise = noise_beyond
    return leg


def theirs(formats: str = "0", *attributes: str) -> bytes:
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {HOST}",
        "s=-",
        f"c=IN IP4 {HOST}",
        "t=0 0",
        f"m=audio 4000 RTP/AVP {formats}",
        *(f"a={attribute}" for attribute in attributes),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def agreed(leg: LegDescription) -> StreamParameters:
    assert leg.parameters is not None
    return leg.parameters


def formats_of(body: bytes) -> list[str]:
    (line,) = [line for line in body.decode().splitlines() if line.startswith("m=audio")]
    return line.split()[3:]


class TestComfortNoise:
    """Of use only when both sides of the bridge have it."""

    def test_it_is_answered_when_the_other_side_has_it(self) -> None:
        leg = a_leg(noise_beyond=True)
        leg.receive_offer(RemoteOffer.read(theirs("0 13")))
        assert formats_of(leg.make_answer()) == ["0", "13"]
        assert b"a=rtpmap:13 CN/8000\r\n" in leg.body
        assert agreed(leg).comfort_noise

    def test_it_is_not_answered_when_the_other_side_lacks_it(self) -> None:
        """Else the caller would stop sending in pauses, and an assistant would wait for the end of a sentence."""
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs("0 13")))
        assert leg.remote_comfort_noise
        assert formats_of(leg.make_answer()) == ["0"]
        assert not agreed(leg).comfort_noise

    def test_it_is_not_answered_unasked(self) -> None:
        leg = a_leg(noise_beyond=True)
        leg.receive_offer(RemoteOffer.read(theirs("0")))
        assert formats_of(leg.make_answer()) == ["0"]

    def test_it_is_offered_when_the_other_side_has_it_and_agreed_when_answered(self) -> None:
        for answer, has_it in (("0 13", True), ("0", False)):
            leg = a_leg(noise_beyond=True)
            offer = leg.make_offer()
            assert formats_of(offer.body) == ["0", "8", "13", "101"]
            leg.receive_response(offer, 200, theirs(answer))
            assert agreed(leg).comfort_noise is has_it
            assert leg.remote_comfort_noise is has_it

    def test_it_is_not_agreed_when_it_was_not_offered(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        assert "13" not in formats_of(offer.body)
        leg.receive_response(offer, 200, theirs("0 13"))
        assert not agreed(leg).comfort_noise


class TestRtcpMux:
    """RFC 5761: answered when offered, never offered first."""

    def test_it_is_answered_when_offered(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs("0", "rtcp-mux")))
        assert agreed(leg).rtcp_mux, "for early media too"
        assert b"\r\na=rtcp-mux\r\n" in leg.make_answer()
        assert agreed(leg).rtcp_mux

    def test_it_is_not_answered_unasked_nor_offered(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs()))
        assert b"rtcp-mux" not in leg.make_answer()
        ours = a_leg()
        offer = ours.make_offer()
        assert b"rtcp-mux" not in offer.body
        ours.receive_response(offer, 200, theirs("0", "rtcp-mux"))
        assert not agreed(ours).rtcp_mux

    def test_it_stays_in_our_offers_of_a_session_that_has_it(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs("0", "rtcp-mux")))
        leg.make_answer()
        offer = leg.make_full_reoffer()
        assert b"\r\na=rtcp-mux\r\n" in offer.body
        leg.receive_response(offer, 200, theirs("0"))
        assert not agreed(leg).rtcp_mux, "the peer gave it up"

    def test_a_reoffer_may_end_it(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs("0", "rtcp-mux")))
        leg.make_answer()
        assert b"rtcp-mux" not in leg.receive_reoffer(theirs("0")).answer
        assert not agreed(leg).rtcp_mux

    def test_payload_types_that_look_like_rtcp_rule_it_out(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(theirs("72", "rtpmap:72 PCMU/8000", "rtcp-mux")))
        assert b"rtcp-mux" not in leg.make_answer()
        assert not agreed(leg).rtcp_mux


def test_an_offer_has_the_payload_type_of_events_that_the_other_side_has() -> None:
    """Pitfall 80, with an engine that passes events on under the number they came with."""
    leg = LegDescription(
        address=("198.51.100.1", 16384), codecs=[Codec.PCMU], session_id=7001, event_type=120
    )
    offer = leg.make_offer()
    assert b"m=audio 16384 RTP/AVP 0 120\r\n" in offer.body
    assert b"a=rtpmap:120 telephone-event/8000\r\n" in offer.body
