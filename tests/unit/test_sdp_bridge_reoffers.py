"""What a leg says and agrees to once it talks: hold from either side, late offers, refusals, crossed offers."""

from __future__ import annotations

import pytest

from b2bua.sdp_bridge import Change, Glare, LegDescription, RemoteOffer, Wish
from media.engine import Codec
from sip_stack.errors import LocalError, RemoteError
from tests.unit.test_sdp_bridge import OFFER, a_leg, agreed, an_answered_leg, answered, octets, told

HELD = Wish(hears=False)
"""The other side of the bridge holds, with music."""
TALKS = Wish()


def saying(direction: str) -> bytes:
    """The peer's description with that direction."""
    return octets(OFFER.replace("sendrecv", direction))


def version(body: bytes) -> int:
    """The version in our o= line."""
    return int(body.split(b"o=", 1)[1].split()[2])


def direction(body: bytes) -> str:
    """The direction of our audio; `off` for port 0."""
    audio = body.decode().split("m=audio ")[1].split("m=")[0]
    if audio.startswith("0 "):
        return "off"
    (said,) = [line[2:] for line in audio.split("\r\n") if line in DIRECTIONS]
    return said


DIRECTIONS = {"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"}


class TestTheirHold:
    """The peer holds and resumes."""

    def test_a_peer_we_called_puts_us_on_hold_and_takes_us_back(self) -> None:
        leg = a_leg()
        first = leg.make_offer()
        answered(leg, OFFER.replace("0 8 101", "0 96").replace("101", "96"), first)

        wishes = [leg.wish]
        held = leg.receive_reoffer(saying("sendonly"))
        wishes.append(leg.wish)
        taken_back = leg.receive_reoffer(octets(OFFER))
        wishes.append(leg.wish)

        assert wishes == [Wish(), Wish(hears=False), Wish()]
        assert [version(body) for body in (first.body, held.answer, taken_back.answer)] == [1, 2, 3]
        assert taken_back.change == Change.DIRECTION
        # Their own offer counts now: the number of telephone-event in it goes both ways.
        assert told(leg) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"

    @pytest.mark.parametrize(
        ("offer", "answer", "wish"),
        [
            (saying("sendonly"), "recvonly", Wish(hears=False)),
            (saying("recvonly"), "sendonly", Wish(sends=False)),
            (saying("inactive"), "inactive", Wish(sends=False, hears=False)),
            (octets(OFFER.replace("a=sendrecv\n", "")), "sendrecv", Wish()),
            (octets(OFFER.replace("IP4 192.0.2.10\nt", "IP4 0.0.0.0\nt")), "recvonly", Wish(hears=False)),
            (octets(OFFER.replace("4000", "0")), "off", Wish(sends=False, hears=False)),
        ],
        ids=["sendonly", "recvonly", "inactive", "no-attribute", "zero-address", "port-zero"],
    )
    def test_every_spelling_of_hold_is_answered_in_kind(self, offer: bytes, answer: str, wish: Wish) -> None:
        leg = an_answered_leg()

        reoffer = leg.receive_reoffer(offer)

        assert direction(reoffer.answer) == answer
        assert leg.wish == wish
        assert b"0.0.0.0" not in reoffer.answer
        assert direction(leg.receive_reoffer(octets(OFFER)).answer) == "sendrecv"
        assert leg.wish == Wish()
        assert told(leg) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"

    def test_the_version_rises_with_the_text_and_only_then(self) -> None:
        leg = an_answered_leg()
        hold, resume = saying("inactive"), octets(OFFER)

        answers = [leg.receive_reoffer(body).answer for body in (resume, hold, hold, resume, resume)]

        assert [version(answer) for answer in answers] == [1, 2, 2, 3, 3]
        assert {answer.split()[2] for answer in answers} == {b"7001"}


class TestOurHold:
    """The other side of the bridge holds, and the peer has to know."""

    def test_the_peer_is_told_with_the_least_change(self) -> None:
        leg = an_answered_leg()
        before = leg.body
        leg.permit(HELD)
        owed = leg.must_tell
        assert owed

        offer = leg.make_reoffer()

        assert offer.body == before.replace(b"7001 1", b"7001 2").replace(b"sendrecv", b"sendonly")
        assert agreed(leg).receive, "nothing holds before the answer"
        leg.receive_response(offer, 200, saying("recvonly"))
        assert (agreed(leg).send, agreed(leg).receive) == (True, False)
        assert not leg.must_tell
        assert leg.wish == TALKS, "it is not the peer's own will to be silent"

    def test_a_peer_that_answers_more_than_was_offered_is_not_heard(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, octets(OFFER))

        assert not agreed(leg).receive

    def test_on_resume_the_peer_says_again_what_it_wants(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, saying("inactive"))
        assert leg.wish == TALKS
        leg.permit(TALKS)
        leg.receive_response(leg.make_reoffer(), 200, saying("sendonly"))

        assert leg.wish == HELD, "it held on its own meanwhile"
        assert not leg.must_tell

    @pytest.mark.parametrize("holds", [True, False])
    def test_a_peer_that_offers_what_we_held_it_to_just_as_we_resume_is_asked(self, holds: bool) -> None:
        """Found by random calls: its hold crossed our resume, and nobody was ever told of it."""
        leg = an_answered_leg()
        leg.permit(Wish(sends=False, hears=False))
        leg.receive_response(leg.make_reoffer(), 200, saying("inactive"))
        leg.permit(TALKS)

        assert direction(leg.receive_reoffer(saying("inactive")).answer) == "inactive"
        assert leg.must_tell
        leg.receive_response(leg.make_reoffer(), 200, saying("inactive" if holds else "sendrecv"))

        assert leg.wish == (Wish(sends=False, hears=False) if holds else TALKS)
        assert not leg.must_tell

    def test_a_held_peer_that_repeats_its_state_does_not_hold(self) -> None:
        """Session refreshes of many phones say recvonly while they are held (RFC 6337 section 5.3)."""
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, saying("recvonly"))

        assert direction(leg.receive_reoffer(saying("recvonly")).answer) == "sendonly"
        assert leg.wish == TALKS

    def test_a_held_peer_that_wants_to_talk_stays_held(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, saying("recvonly"))

        assert direction(leg.receive_reoffer(octets(OFFER)).answer) == "sendonly"
        assert leg.wish == TALKS
        assert not agreed(leg).receive

    def test_a_held_peer_holds_too(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, saying("recvonly"))

        assert direction(leg.receive_reoffer(saying("inactive")).answer) == "inactive"
        assert leg.wish == Wish(hears=False)

    def test_an_answer_of_the_peer_tells_as_much_as_a_reinvite_of_ours(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)

        assert direction(leg.receive_reoffer(octets(OFFER)).answer) == "sendonly"
        assert not leg.must_tell

    def test_a_refusal_leaves_everything_as_it_was_and_is_not_asked_for_again(self) -> None:
        leg = an_answered_leg()
        before = leg.body, leg.parameters, leg.wish
        leg.permit(HELD)
        refused = leg.make_reoffer()
        leg.withdraw(refused, heard=True)

        assert (leg.body, leg.parameters, leg.wish) == before
        assert not leg.must_tell
        leg.permit(TALKS)
        assert not leg.must_tell, "it never heard otherwise"
        leg.permit(HELD)
        assert leg.must_tell, "a new hold is a new try"

    def test_what_was_refused_used_up_its_version(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.withdraw(leg.make_reoffer(), heard=True)
        leg.permit(TALKS)

        answer = leg.receive_reoffer(octets(OFFER)).answer

        assert (direction(answer), version(answer)) == ("sendrecv", 3)

    def test_an_unusable_answer_changes_nothing(self) -> None:
        leg = an_answered_leg()
        before = leg.body, leg.parameters
        leg.permit(HELD)
        offer = leg.make_reoffer()

        for body in (octets(OFFER.replace("0 8 101", "9")), None, b"v=0"):
            with pytest.raises(RemoteError):
                leg.receive_response(offer, 200, body)
        leg.withdraw(offer, heard=True)
        assert (leg.body, leg.parameters) == before

    def test_a_peer_that_switched_its_stream_off_is_told_when_it_is_on_again(self) -> None:
        leg = an_answered_leg()
        leg.receive_reoffer(octets(OFFER.replace("4000", "0")))
        leg.permit(HELD)

        assert not leg.must_tell
        with pytest.raises(LocalError):
            leg.make_reoffer()
        assert direction(leg.receive_reoffer(octets(OFFER)).answer) == "sendonly"

    def test_a_peer_that_answers_a_hold_with_port_zero_may_come_back_by_our_offer(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        leg.receive_response(leg.make_reoffer(), 200, octets(OFFER.replace("4000", "0")))
        assert agreed(leg).remote is None
        leg.permit(TALKS)

        leg.receive_response(leg.make_reoffer(), 200, octets(OFFER))
        assert told(leg) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"

    def test_refused_sections_keep_their_place_in_our_offers(self) -> None:
        leg = a_leg()
        two = OFFER.replace("m=audio", "m=video 9 RTP/AVP 31\nm=audio")
        leg.receive_offer(RemoteOffer.read(octets(two)))
        leg.make_answer()
        leg.permit(HELD)

        offer = leg.make_reoffer()
        assert [line for line in offer.body.decode().split("\r\n") if line.startswith("m=")] == [
            "m=video 0 RTP/AVP 31",
            "m=audio 16384 RTP/AVP 0 101",
        ]
        leg.receive_response(offer, 200, octets(two.replace("sendrecv", "recvonly")))
        assert agreed(leg).remote == ("192.0.2.10", 4000)
        with pytest.raises(RemoteError, match="A media section is missing"):
            leg.receive_reoffer(octets(OFFER))


class TestGlare:
    """Offers that cross."""

    def test_an_offer_on_top_of_ours_is_glare_and_ours_may_be_withdrawn(self) -> None:
        leg = an_answered_leg()
        leg.permit(HELD)
        ours = leg.make_reoffer()
        with pytest.raises(Glare):
            leg.receive_reoffer(octets(OFFER))
        leg.withdraw(ours, heard=False)

        assert leg.must_tell
        assert direction(leg.receive_reoffer(octets(OFFER)).answer) == "sendonly"
        assert not leg.must_tell

    def test_a_refused_reoffer_of_theirs_changes_nothing_for_the_next(self) -> None:
        leg = an_answered_leg()
        with pytest.raises(RemoteError):
            leg.receive_reoffer(octets(OFFER.replace("RTP/AVP", "RTP/SAVP")))

        reoffer = leg.receive_reoffer(octets(OFFER))
        assert reoffer.change == Change.NOTHING
        assert version(reoffer.answer) == 1


class TestLateOffer:
    """An INVITE or re-INVITE of theirs without an offer: ours is in the 2xx, their answer in the ACK."""

    def test_of_an_invite(self) -> None:
        leg = a_leg()
        offer = leg.make_offer()
        leg.receive_acknowledgement(offer, octets(OFFER))

        assert told(leg) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"
        with pytest.raises(LocalError):
            leg.receive_acknowledgement(offer, octets(OFFER.replace("4000", "4444")))

    @pytest.mark.parametrize("body", [None, b"", b"v=0", octets(OFFER.replace("4000", "0"))])
    def test_without_a_good_answer(self, body: bytes | None) -> None:
        leg = a_leg()
        with pytest.raises(RemoteError):
            leg.receive_acknowledgement(leg.make_offer(), body)
        assert leg.parameters is None

    def test_of_a_reinvite_repeats_what_is_in_force_and_adds_what_else_we_have(self) -> None:
        leg = a_leg()
        leg.receive_offer(
            RemoteOffer.read(octets(OFFER.replace("0 8 101", "8 96 101").replace("0 PCMU", "96 PCMU")))
        )
        leg.make_answer()
        assert agreed(leg).codec is Codec.PCMA

        offer = leg.make_full_reoffer()
        assert b"m=audio 16384 RTP/AVP 8 0 101\r\n" in offer.body
        assert version(offer.body) == 2
        leg.receive_acknowledgement(offer, octets(OFFER))
        assert agreed(leg).codec is Codec.PCMA, "the codec in use stays while they have it"

    def test_a_holder_may_resume_by_it(self) -> None:
        """Our offer says what we want, not what their hold made of it: else nobody could ever resume so."""
        leg = an_answered_leg()
        leg.receive_reoffer(saying("sendonly"))

        offer = leg.make_full_reoffer()
        assert direction(offer.body) == "sendrecv"
        leg.receive_acknowledgement(offer, octets(OFFER))
        assert leg.wish == TALKS

    def test_after_the_stream_was_switched_off_it_comes_back_by_it(self) -> None:
        leg = an_answered_leg()
        leg.receive_reoffer(octets(OFFER.replace("4000", "0")))
        offer = leg.make_full_reoffer()
        leg.receive_acknowledgement(offer, octets(OFFER))

        assert told(leg) == "remote=192.0.2.10:4000 codec=PCMU/0 event=101"

    def test_without_a_good_answer_the_leg_stays_as_it_was(self) -> None:
        leg = an_answered_leg()
        before = leg.body, leg.parameters
        offer = leg.make_full_reoffer()
        with pytest.raises(RemoteError):
            leg.receive_acknowledgement(offer, None)
        leg.withdraw(offer, heard=True)

        assert (leg.body, leg.parameters) == before
        leg.receive_reoffer(octets(OFFER))


class TestSeveralStreams:
    """m-lines beside ours."""

    def test_media_refused_at_first_may_be_offered_again_and_stays_refused(self) -> None:
        leg = a_leg()
        offer = octets("v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\n"
                       "m=video 9 RTP/AVP 31\nm=audio 4000 RTP/AVP 0\n")  # fmt: skip
        leg.receive_offer(RemoteOffer.read(offer))
        answer = leg.make_answer()

        assert leg.receive_reoffer(offer.replace(b"video 9", b"video 5000")).answer == answer

    def test_the_stream_does_not_move_to_another_media_line(self) -> None:
        leg = a_leg()
        second = "m=audio 4002 RTP/AVP 0\n"
        leg.receive_offer(RemoteOffer.read(octets(OFFER + second)))
        leg.make_answer()

        with pytest.raises(RemoteError, match="No audio stream"):
            leg.receive_reoffer(octets(OFFER.replace("audio 4000", "audio 0") + second))

    def test_the_codec_in_use_is_kept_and_given_up_only_when_it_is_gone(self) -> None:
        leg: LegDescription = an_answered_leg()

        assert leg.receive_reoffer(octets(OFFER.replace("0 8 101", "8 0 101"))).change == Change.NOTHING
        assert leg.receive_reoffer(octets(OFFER.replace("0 8 101", "8 101"))).change == Change.CODEC
        assert agreed(leg).codec is Codec.PCMA
        assert leg.receive_reoffer(octets(OFFER)).change == Change.NOTHING
