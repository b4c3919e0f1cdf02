"""What a leg says and agrees to.

Golden files `data/sdp/*.txt`: a note, SDP in, SDP out, what the engine is told, parted by `----`. The first
word of a file's name says what is done with it.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from pathlib import Path

import pytest

from b2bua.sdp_bridge import Change, LegDescription
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
    leg.receive_offer(octets(OFFER))
    leg.make_answer()
    return leg


def octets(text: str) -> bytes:
    """Text of a golden file as it goes over the wire."""
    return (text.strip("\n") + "\n").replace("\n", "\r\n").encode()


def golden(kind: str) -> list[object]:
    """The parts of each golden file of a kind, the note left out."""
    files = sorted(GOLDEN.glob(f"{kind}-*.txt"))
    assert files, f"no golden file {kind}-*.txt"
    return [pytest.param(*file.read_text().split("\n----\n")[1:], id=file.stem) for file in files]


def told(parameters: StreamParameters) -> str:
    """What the engine is told, in the words of the golden files."""
    words = ["remote=none" if parameters.remote is None else "remote={}:{}".format(*parameters.remote)]
    if parameters.remote_rtcp is not None:
        words.append("rtcp={}:{}".format(*parameters.remote_rtcp))
    words.append(f"codec={parameters.codec}/{parameters.payload_type}")
    if parameters.telephone_event is not None:
        words.append(f"event={parameters.telephone_event}")
    if parameters.receive_telephone_event is not None:
        words.append(f"event_in={parameters.receive_telephone_event}")
    words += ["send=no"] * (not parameters.send) + ["receive=no"] * (not parameters.receive)
    return " ".join(words)


class TestGolden:
    """The files."""

    @pytest.mark.parametrize(("offer", "answer", "parameters"), golden("offer"))
    def test_an_offer_is_answered(self, offer: str, answer: str, parameters: str) -> None:
        leg = a_leg()

        assert told(leg.receive_offer(octets(offer))) == parameters.strip()
        assert leg.make_answer() == octets(answer)

    @pytest.mark.parametrize(("offer", "answer", "parameters"), golden("offer"))
    def test_an_offer_is_answered_without_its_last_newline_too(
        self, offer: str, answer: str, parameters: str
    ) -> None:
        leg = a_leg()

        assert told(leg.receive_offer(offer.strip().encode())) == parameters.strip()
        assert leg.make_answer() == octets(answer)

    @pytest.mark.parametrize(("answer", "parameters"), golden("answer"))
    def test_an_answer_is_read(self, answer: str, parameters: str) -> None:
        leg = a_leg()
        leg.make_offer()

        assert told(leg.receive_answer(octets(answer))) == parameters.strip()

    @pytest.mark.parametrize(("offer", "answer", "change", "parameters"), golden("reoffer"))
    def test_a_reoffer_is_followed(self, offer: str, answer: str, change: str, parameters: str) -> None:
        leg = an_answered_leg()

        reoffer = leg.receive_reoffer(octets(offer))

        assert reoffer.answer == octets(answer)
        assert told(reoffer.parameters) == parameters.strip()
        assert reoffer.change == reduce(or_, (Change[word.upper()] for word in change.split()))
        assert leg.parameters == reoffer.parameters
        assert leg.body == reoffer.answer

    @pytest.mark.parametrize(("role", "body", "refusal"), golden("refused"))
    def test_what_we_cannot_take_part_in_is_refused(self, role: str, body: str, refusal: str) -> None:
        leg = an_answered_leg() if role == "reoffer" else a_leg()
        if role == "answer":
            leg.make_offer()
        read = {"offer": leg.receive_offer, "answer": leg.receive_answer, "reoffer": leg.receive_reoffer}[
            role
        ]
        before = leg.parameters, leg.body

        with pytest.raises(RemoteError) as caught:
            read(octets(body))

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
        assert a_leg(Codec.PCMA, Codec.PCMU).make_offer() == octets(
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

        assert b"c=IN IP6 2001:db8::5\r\n" in leg.make_offer()
        assert b" IN IP6 2001:db8::5\r\n" in leg.make_offer()
        with pytest.raises(RemoteError, match="IPv4 media is not available"):
            leg.receive_answer(octets(OFFER))
        answer = OFFER.replace("IP4 192.0.2.10", "IP6 2001:DB8:0::9")
        assert leg.receive_answer(octets(answer)).remote == ("2001:db8::9", 4000)

    def test_the_answer_of_a_200_replaces_that_of_an_earlier_183(self) -> None:
        leg = a_leg()
        leg.make_offer()
        early = leg.receive_answer(octets(OFFER))

        assert leg.receive_answer(octets(OFFER)) is early
        assert leg.receive_answer(octets(OFFER.replace("4000", "4444"))).remote == ("192.0.2.10", 4444)

    def test_an_answer_that_cannot_be_used_leaves_room_for_another(self) -> None:
        leg = a_leg()
        leg.make_offer()
        with pytest.raises(RemoteError):
            leg.receive_answer(octets(OFFER.replace("4000", "0")))

        assert leg.parameters is None
        assert leg.receive_answer(octets(OFFER)).remote == ("192.0.2.10", 4000)

    def test_after_an_update_in_the_early_dialog_the_200_repeats_an_old_answer(self) -> None:
        leg = a_leg()
        leg.make_offer()
        leg.receive_answer(octets(OFFER))
        moved = leg.receive_reoffer(octets(OFFER.replace("4000", "4444"))).parameters

        assert leg.receive_answer(octets(OFFER.replace("8111 1", "8111 2"))) is moved

    def test_only_codecs_of_this_leg_are_agreed_to(self) -> None:
        leg = a_leg(Codec.PCMA)
        leg.make_offer()

        assert leg.receive_answer(octets(OFFER)).codec is Codec.PCMA
        with pytest.raises(RemoteError, match="No codec in common"):
            a_leg(Codec.PCMA).receive_offer(octets(OFFER.replace("0 8 101", "0 101")))

    def test_a_peer_we_called_puts_us_on_hold_and_takes_us_back(self) -> None:
        leg = a_leg()
        first = leg.make_offer()
        leg.receive_answer(octets(OFFER.replace("0 8 101", "0 96").replace("101", "96")))

        hold_states = [leg.held]
        held = leg.receive_reoffer(octets(OFFER.replace("sendrecv", "sendonly")))
        hold_states.append(leg.held)
        taken_back = leg.receive_reoffer(octets(OFFER))
        hold_states.append(leg.held)

        assert hold_states == [False, True, False]
        assert [version(body) for body in (first, held.answer, taken_back.answer)] == [1, 2, 3]
        assert taken_back.change == Change.DIRECTION
        assert taken_back.parameters.send
        # Their own offer counts now: the number of telephone-event in it goes both ways.
        assert told(taken_back.parameters) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"


class TestAnswering:
    """An INVITE of theirs."""

    def test_the_answer_is_the_same_to_the_octet_in_183_and_200(self) -> None:
        leg = a_leg()
        leg.receive_offer(octets(OFFER))

        early, final = leg.make_answer(), leg.make_answer()

        assert early == final == leg.body

    def test_the_peer_s_packet_time_is_known(self) -> None:
        leg = a_leg()
        leg.receive_offer(octets(OFFER.replace("ptime:20", "ptime:40")))

        assert leg.remote_ptime == 40

    @pytest.mark.parametrize("body", [None, b"", b"\r\n"])
    def test_an_invite_without_an_offer_is_refused_for_now(self, body: bytes | None) -> None:
        with pytest.raises(RemoteError) as refusal:
            a_leg().receive_offer(body)

        assert refusal.value.status_hint == 488
        assert refusal.value.headers == (("Warning", '399 b2bua "INVITE without an offer is not supported"'),)

    def test_the_version_rises_with_the_text_and_only_then(self) -> None:
        leg = an_answered_leg()
        hold, resume = OFFER.replace("sendrecv", "inactive"), OFFER

        answers = [leg.receive_reoffer(octets(body)).answer for body in (OFFER, hold, hold, resume, resume)]

        assert [version(answer) for answer in answers] == [1, 2, 2, 3, 3]
        assert {answer.split()[2] for answer in answers} == {b"7001"}

    def test_a_refused_reoffer_changes_nothing_for_the_next(self) -> None:
        leg = an_answered_leg()
        with pytest.raises(RemoteError):
            leg.receive_reoffer(octets(OFFER + "m=video 5000 RTP/AVP 31\n"))

        reoffer = leg.receive_reoffer(octets(OFFER))
        assert reoffer.change == Change.NOTHING
        assert version(reoffer.answer) == 1

    def test_media_refused_at_first_may_be_offered_again_and_stays_refused(self) -> None:
        leg = a_leg()
        offer = octets("v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\n"
                       "m=video 9 RTP/AVP 31\nm=audio 4000 RTP/AVP 0\n")  # fmt: skip
        leg.receive_offer(offer)
        answer = leg.make_answer()

        assert leg.receive_reoffer(offer.replace(b"video 9", b"video 5000")).answer == answer

    def test_the_stream_does_not_move_to_another_media_line(self) -> None:
        leg = a_leg()
        second = "m=audio 4002 RTP/AVP 0\n"
        leg.receive_offer(octets(OFFER + second))
        leg.make_answer()

        with pytest.raises(RemoteError, match="No audio stream"):
            leg.receive_reoffer(octets(OFFER.replace("audio 4000", "audio 0") + second))

    def test_an_address_with_a_zone_means_nothing_here(self) -> None:
        with pytest.raises(RemoteError, match="c= is not an IP address"):
            a_leg(host="2001:db8::5").receive_offer(
                octets(OFFER.replace("IP4 192.0.2.10", "IP6 fe80::1%eth0"))
            )


class TestOutOfTurn:
    """Our own mistakes are told to us, not to the peer."""

    def test_nothing_to_answer(self) -> None:
        with pytest.raises(LocalError):
            a_leg().make_answer()
        with pytest.raises(LocalError):
            a_leg().receive_answer(octets(OFFER))
        with pytest.raises(LocalError):
            a_leg().receive_reoffer(octets(OFFER))

    def test_one_side_offers(self) -> None:
        offering, answering = a_leg(), a_leg()
        offering.make_offer()
        answering.receive_offer(octets(OFFER))

        with pytest.raises(LocalError):
            offering.receive_offer(octets(OFFER))
        with pytest.raises(LocalError):
            offering.make_answer()
        with pytest.raises(LocalError):
            answering.make_offer()
        with pytest.raises(LocalError):
            answering.receive_answer(octets(OFFER))

    def test_no_reoffer_before_the_first_is_answered(self) -> None:
        leg = a_leg()
        leg.receive_offer(octets(OFFER))

        with pytest.raises(LocalError):
            leg.receive_reoffer(octets(OFFER))

    def test_a_leg_has_a_codec(self) -> None:
        with pytest.raises(LocalError):
            LegDescription(address=("192.0.2.1", 16384), codecs=(), session_id=1)


def version(body: bytes) -> int:
    """The version in our o= line."""
    return int(body.split(b"o=", 1)[1].split()[2])
