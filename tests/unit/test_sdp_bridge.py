"""What a leg says and agrees to.

Golden files `data/sdp/*.txt`: a note, SDP in, SDP out, what the engine is told, parted by `----`. The first
word of a file's name says what is done with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import or_
from pathlib import Path

import pytest

from b2bua.sdp_bridge import Change, Glare, LegDescription, LocalOffer, RemoteOffer, StaleOffer, Wish
from media.engine import Codec, StreamParameters
from sip_stack.errors import LocalError, RemoteError

GOLDEN = Path(__file__).parent / "data" / "sdp"

OFFER = """\
v=0
o=- 8111 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 4000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=ptime:20
a=sendrecv
"""


def a_leg(*codecs: Codec, host: str = "198.51.100.1") -> LegDescription:
    """A leg of ours with a known address and identity."""
    return LegDescription(address=(host, 16384), codecs=codecs or (Codec.PCMU, Codec.PCMA), session_id=7001)


def an_answered_leg() -> LegDescription:
    """A leg in a session: `OFFER` was received and answered."""
    leg = a_leg()
    leg.receive_offer(RemoteOffer.read(octets(OFFER)))
    leg.make_answer()
    return leg


def answered(leg: LegDescription, text: str, offer: LocalOffer | None = None) -> StreamParameters:
    """What the leg agrees to when its offer (the first, unless given) is answered so in a 200."""
    leg.receive_response(offer or leg.make_offer(), 200, octets(text))
    return agreed(leg)


def agreed(leg: LegDescription) -> StreamParameters:
    """What holds; there must be something."""
    assert leg.parameters is not None
    return leg.parameters


def octets(text: str) -> bytes:
    """Text of a golden file as it goes over the wire."""
    return (text.strip("\n") + "\n").replace("\n", "\r\n").encode()


def golden(kind: str) -> list[object]:
    """The parts of each golden file of a kind, the note left out."""
    files = sorted(GOLDEN.glob(f"{kind}-*.txt"))
    assert files, f"no golden file {kind}-*.txt"
    return [pytest.param(*file.read_text().split("\n----\n")[1:], id=file.stem) for file in files]


def told(leg: LegDescription) -> str:
    """What the engine is told, in the words of the golden files."""
    parameters = agreed(leg)
    words = ["remote=none" if parameters.remote is None else "remote={}:{}".format(*parameters.remote)]
    if parameters.remote_rtcp is not None:
        words.append("rtcp={}:{}".format(*parameters.remote_rtcp))
    words.append(f"codec={parameters.codec}/{parameters.payload_type}")
    if parameters.telephone_event is not None:
        words.append(f"event={parameters.telephone_event}")
    if parameters.receive_telephone_event is not None:
        words.append(f"event_in={parameters.receive_telephone_event}")
    words += ["mux"] * parameters.rtcp_mux + ["noise"] * parameters.comfort_noise
    words += ["send=no"] * (not parameters.send) + ["receive=no"] * (not parameters.receive)
    return " ".join(words)


class TestGolden:
    """The files."""

    @pytest.mark.parametrize(("offer", "answer", "parameters"), golden("offer"))
    def test_an_offer_is_answered(self, offer: str, answer: str, parameters: str) -> None:
        leg = a_leg()

        leg.receive_offer(RemoteOffer.read(octets(offer)))
        assert told(leg) == parameters.strip()
        assert leg.make_answer() == octets(answer)

    @pytest.mark.parametrize(("offer", "answer", "parameters"), golden("offer"))
    def test_an_offer_is_answered_without_its_last_newline_too(
        self, offer: str, answer: str, parameters: str
    ) -> None:
        leg = a_leg()

        leg.receive_offer(RemoteOffer.read(offer.strip().encode()))
        assert told(leg) == parameters.strip()
        assert leg.make_answer() == octets(answer)

    @pytest.mark.parametrize(("answer", "parameters"), golden("answer"))
    def test_an_answer_is_read(self, answer: str, parameters: str) -> None:
        leg = a_leg()
        leg.receive_response(leg.make_offer(), 200, octets(answer))

        assert told(leg) == parameters.strip()

    @pytest.mark.parametrize(("offer", "answer", "change", "parameters"), golden("reoffer"))
    def test_a_reoffer_is_followed(self, offer: str, answer: str, change: str, parameters: str) -> None:
        leg = an_answered_leg()

        reoffer = leg.receive_reoffer(octets(offer))

        assert reoffer.answer == octets(answer)
        assert told(leg) == parameters.strip()
        assert reoffer.change == reduce(or_, (Change[word.upper()] for word in change.split()))
        assert leg.body == reoffer.answer

    @pytest.mark.parametrize(("role", "body", "refusal"), golden("refused"))
    def test_what_we_cannot_take_part_in_is_refused(self, role: str, body: str, refusal: str) -> None:
        leg = an_answered_leg() if role == "reoffer" else a_leg()
        reads: dict[str, Callable[[bytes], object]] = {
            "offer": lambda offer: leg.receive_offer(RemoteOffer.read(offer)),
            "reoffer": leg.receive_reoffer,
        }
        if role == "answer":
            reads[role] = partial(leg.receive_response, leg.make_offer(), 200)
        before = leg.parameters, leg.body

        with pytest.raises(RemoteError) as caught:
            reads[role](octets(body))

        error = caught.value
        warning = [value for name, value in error.headers if name == "Warning"]
        status, _, text = refusal.strip().partition(" ")
        assert error.status_hint == int(status)
        if status == "488":
            code, _, text = text.partition(" ")
            assert warning == [f'{code} b2bua "{text}"']
        assert error.reason == text
        assert (leg.parameters, leg.body) == before


class TestOffering:
    """An INVITE of ours."""

    def test_the_offer_has_every_codec_in_the_order_configured(self) -> None:
        assert a_leg(Codec.PCMA, Codec.PCMU).make_offer().body == octets(
            """\
v=0
o=- 7001 1 IN IP4 198.51.100.1
s=-
c=IN IP4 198.51.100.1
t=0 0
m=audio 16384 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
"""
        )

    def test_an_ipv6_leg_offers_ipv6_and_agrees_with_ipv6_only(self) -> None:
        leg = a_leg(host="2001:db8::5")
        offer = leg.make_offer()

        assert b"c=IN IP6 2001:db8::5\r\n" in offer.body
        assert b" IN IP6 2001:db8::5\r\n" in offer.body
        with pytest.raises(RemoteError, match="IPv4 media is not available"):
            leg.receive_response(offer, 200, octets(OFFER))
        answer = OFFER.replace("IP4 192.0.2.10", "IP6 2001:DB8:0::9")
        assert answered(leg, answer, offer).remote == ("2001:db8::9", 4000)

    def test_the_answer_of_a_200_replaces_that_of_an_earlier_183(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        leg.receive_response(offer, 183, octets(OFFER))
        assert agreed(leg).remote == ("192.0.2.10", 4000)
        leg.receive_response(offer, 183, octets(OFFER.replace("4000", "4002")))
        assert agreed(leg).remote == ("192.0.2.10", 4002)

        assert answered(leg, OFFER.replace("4000", "4444"), offer).remote == ("192.0.2.10", 4444)

    def test_a_200_without_a_description_confirms_the_183(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        leg.receive_response(offer, 183, octets(OFFER))
        leg.receive_response(offer, 200, None)

        assert agreed(leg).remote == ("192.0.2.10", 4000)
        assert leg.receive_reoffer(octets(OFFER)).change is Change.NOTHING, "the round is over"

    def test_a_200_without_any_description_is_no_answer(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        leg.receive_response(offer, 180, None)

        with pytest.raises(RemoteError, match="No session description"):
            leg.receive_response(offer, 200, None)
        assert leg.parameters is None

    def test_an_answer_that_cannot_be_used_leaves_room_for_another(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        with pytest.raises(RemoteError):
            leg.receive_response(offer, 183, octets(OFFER.replace("4000", "0")))

        assert leg.parameters is None
        assert answered(leg, OFFER, offer).remote == ("192.0.2.10", 4000)

    def test_an_answer_in_a_section_that_was_not_offered_is_none(self) -> None:
        leg = a_leg()
        with pytest.raises(RemoteError, match="No audio stream"):
            answered(leg, OFFER.replace("m=audio", "m=video 0 RTP/AVP 31\nm=audio"))

    def test_only_codecs_of_this_leg_are_agreed_to(self) -> None:
        assert answered(a_leg(Codec.PCMA), OFFER).codec is Codec.PCMA
        with pytest.raises(RemoteError, match="No codec in common"):
            a_leg(Codec.PCMA).receive_offer(RemoteOffer.read(octets(OFFER.replace("0 8 101", "0 101"))))


class TestAnswering:
    """An INVITE of theirs."""

    def test_the_answer_is_the_same_to_the_octet_in_183_and_200(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(octets(OFFER)))

        early, again, final = leg.preview_answer(), leg.preview_answer(), leg.make_answer()

        assert early == again == final == leg.body

    def test_what_was_previewed_stays_although_the_other_side_holds_meanwhile(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(octets(OFFER)))
        early = leg.preview_answer()
        leg.permit(Wish(hears=False))

        assert leg.make_answer() == early
        assert leg.must_tell, "a re-INVITE has to say it"

    def test_the_first_answer_says_what_the_other_side_does(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(octets(OFFER)))
        leg.permit(Wish(hears=False))

        assert b"a=sendonly\r\n" in leg.make_answer()
        assert not agreed(leg).receive
        assert not leg.must_tell

    def test_the_peer_s_packet_time_is_ours_too(self) -> None:
        leg = a_leg()
        leg.receive_offer(RemoteOffer.read(octets(OFFER.replace("ptime:20", "ptime:40"))))

        assert b"a=ptime:40\r\n" in leg.make_answer()

    def test_an_address_with_a_zone_means_nothing_here(self) -> None:
        with pytest.raises(RemoteError, match="c= is not an IP address"):
            a_leg(host="2001:db8::5").receive_offer(
                RemoteOffer.read(octets(OFFER.replace("IP4 192.0.2.10", "IP6 fe80::1%eth0")))
            )


class TestOutOfTurn:
    """Our own mistakes are told to us, not to the peer."""

    def test_nothing_to_answer(self) -> None:
        with pytest.raises(LocalError):
            a_leg().make_answer()
        with pytest.raises(LocalError):
            a_leg().receive_reoffer(octets(OFFER))
        with pytest.raises(LocalError):
            a_leg().make_reoffer()
        with pytest.raises(LocalError):
            a_leg().make_full_reoffer()

    def test_one_side_offers(self) -> None:
        offering, answering = a_leg(), a_leg()
        offering.make_offer()
        answering.receive_offer(RemoteOffer.read(octets(OFFER)))

        with pytest.raises(Glare):
            offering.receive_offer(RemoteOffer.read(octets(OFFER)))
        with pytest.raises(LocalError):
            offering.make_answer()
        with pytest.raises(LocalError):
            answering.make_offer()

    def test_an_answer_to_an_offer_that_is_over(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        leg.receive_response(offer, 200, octets(OFFER))

        with pytest.raises(StaleOffer):
            leg.receive_response(offer, 200, octets(OFFER))
        with pytest.raises(StaleOffer):
            leg.withdraw(offer, heard=True)

    def test_no_reoffer_before_the_first_is_answered(self) -> None:
        answering, offering = a_leg(), a_leg()
        answering.receive_offer(RemoteOffer.read(octets(OFFER)))
        answering.preview_answer()
        offer = offering.make_offer()
        offering.receive_response(offer, 183, octets(OFFER))

        for leg in (answering, offering):
            with pytest.raises(Glare):
                leg.receive_reoffer(octets(OFFER))
            with pytest.raises(Glare):
                leg.make_reoffer()

    def test_a_leg_has_a_codec(self) -> None:
        with pytest.raises(LocalError):
            LegDescription(address=("192.0.2.1", 16384), codecs=(), session_id=1)
