"""SRTP in the offers and answers of one leg: profile, tags, keys, and when they change."""

from __future__ import annotations

import base64
import itertools
import re

import pytest

from b2bua.encryption import MediaProtection
from b2bua.sdp_bridge import LegDescription, MediaTerms, RemoteOffer, SrtpRequired
from media.engine import Codec, MediaError
from media.srtp import CryptoSuite, SrtpKeys
from sip_stack.errors import RemoteError
from tests.unit.test_sdp_bridge import OFFER, agreed, octets

SHA1_80, GCM, AES_256, SHA1_32 = (
    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    CryptoSuite.AEAD_AES_128_GCM,
    CryptoSuite.AES_256_CM_HMAC_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32,
)
SUITES = (SHA1_80, GCM, AES_256, SHA1_32)


def a_leg(protection: MediaProtection, *suites: CryptoSuite) -> LegDescription:
    """A leg whose keys are 1, 1, 1, ..., then 2, 2, 2, ..., and so on."""
    numbers = itertools.count(1)
    terms = MediaTerms(protection, suites or SUITES, lambda suite: bytes([next(numbers)]) * suite.key_octets)
    return LegDescription(address=("198.51.100.1", 16384), codecs=[Codec.PCMU], session_id=7001, terms=terms)


def line(tag: int, suite: str, fill: int, rest: str = "") -> str:
    """An a=crypto line whose key is all `fill`."""
    length = CryptoSuite(suite.replace("AES_CM_256", "AES_256_CM")).key_octets
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(bytes([fill]) * length).decode()}{rest}\n"


def said(*lines: str, profile: str = "RTP/SAVP", port: int = 4000) -> bytes:
    """The peer's description with these crypto lines."""
    return octets(OFFER.replace("RTP/AVP", profile).replace("4000", str(port)) + "".join(lines))


def profile_of(body: bytes) -> str:
    (profile,) = re.findall(rb"m=audio \d+ (\S+)", body)
    return str(profile, "ascii")


def lines_of(body: bytes) -> list[str]:
    return [f"{each.decode()}\n" for each in re.findall(rb"a=crypto:[^\r]+", body)]


def keys_of(leg: LegDescription) -> SrtpKeys:
    keys = agreed(leg).keys
    assert keys is not None
    return keys


class TestOffering:
    def test_required_offers_the_secure_profile_with_every_suite(self) -> None:
        body = a_leg("required").make_offer().body

        assert profile_of(body) == "RTP/SAVP"
        assert lines_of(body) == [line(tag, suite, tag) for tag, suite in enumerate(SUITES, 1)]

    def test_preferred_offers_keys_beside_plain_rtp(self) -> None:
        body = a_leg("preferred", GCM).make_offer().body

        assert profile_of(body) == "RTP/AVP"
        assert lines_of(body) == [line(1, GCM, 1)]

    def test_disabled_offers_plain_rtp(self) -> None:
        body = a_leg("disabled").make_offer().body

        assert (profile_of(body), lines_of(body)) == ("RTP/AVP", [])

    @pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"])
    @pytest.mark.parametrize("protection", ["required", "preferred"])
    def test_the_answer_names_the_suite_and_the_key_of_the_peer(
        self, protection: MediaProtection, profile: str
    ) -> None:
        leg = a_leg(protection)
        leg.receive_response(leg.make_offer(), 200, said(line(3, AES_256, 77, "|2^31|1:4"), profile=profile))

        assert keys_of(leg) == SrtpKeys(AES_256, b"\x03" * 46, b"\x4d" * 46, remote_mki_octets=4)
        assert leg.is_encrypted

    def test_a_renumbered_tag_is_taken_when_the_suite_is_one_of_ours(self) -> None:
        leg = a_leg("required")
        leg.receive_response(leg.make_offer(), 200, said(line(1, GCM, 77)))

        assert keys_of(leg) == SrtpKeys(GCM, b"\x02" * 28, b"\x4d" * 28)

    def test_a_session_parameter_we_do_not_know_makes_the_answer_useless(self) -> None:
        leg = a_leg("required")
        offer = leg.make_offer()

        with pytest.raises(SrtpRequired):
            leg.receive_response(offer, 200, said(line(1, SHA1_80, 77, " UNENCRYPTED_SRTP")))
        assert leg.parameters is None

    @pytest.mark.parametrize(
        "answer",
        [
            said(profile="RTP/AVP"),
            said(profile="RTP/SAVP"),
            said(line(1, "AES_256_CM_HMAC_SHA1_32", 1)),
            said(line(1, SHA1_80, 77), profile="UDP/TLS/RTP/SAVPF"),
        ],
    )
    def test_a_plain_answer_to_required_is_refused_by_its_own_name(self, answer: bytes) -> None:
        leg = a_leg("required")
        offer = leg.make_offer()

        with pytest.raises(SrtpRequired, match="SRTP is required"):
            leg.receive_response(offer, 200, answer)
        assert leg.parameters is None

    def test_preferred_takes_a_plain_answer_and_stays_plain(self) -> None:
        leg = a_leg("preferred")
        leg.receive_response(leg.make_offer(), 200, said(profile="RTP/AVP"))

        assert agreed(leg).keys is None
        assert lines_of(leg.make_full_reoffer().body) == []

    def test_preferred_does_not_take_keys_it_cannot_use_for_plain(self) -> None:
        leg = a_leg("preferred")
        offer = leg.make_offer()

        with pytest.raises(RemoteError, match="with a key we can use"):
            leg.receive_response(offer, 200, said(line(9, "AEAD_AES_256_GCM", 1), profile="RTP/AVP"))

    def test_each_preview_is_taken_and_the_answer_holds(self) -> None:
        leg = a_leg("required")
        offer = leg.make_offer()
        leg.receive_response(offer, 183, said(line(1, SHA1_80, 70)))
        assert keys_of(leg) == SrtpKeys(SHA1_80, b"\x01" * 30, b"\x46" * 30)
        leg.receive_response(offer, 183, said(line(2, GCM, 71)))
        assert keys_of(leg) == SrtpKeys(GCM, b"\x02" * 28, b"\x47" * 28)
        leg.receive_response(offer, 200, None)

        assert keys_of(leg).suite is GCM
        assert lines_of(leg.make_reoffer().body) == [line(2, GCM, 2)]


class TestAnswering:
    @pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"])
    @pytest.mark.parametrize("protection", ["required", "preferred"])
    def test_profile_and_tag_are_echoed(self, protection: MediaProtection, profile: str) -> None:
        leg = a_leg(protection)
        leg.receive_offer(RemoteOffer.read(said(line(5, SHA1_80, 77, "|2^31"), profile=profile)))

        answer = leg.make_answer()
        assert profile_of(answer) == profile
        assert lines_of(answer) == [line(5, SHA1_80, 1)]
        assert keys_of(leg) == SrtpKeys(SHA1_80, b"\x01" * 30, b"\x4d" * 30)

    def test_a_later_line_is_taken_when_the_first_cannot_be(self) -> None:
        leg = a_leg("required", SHA1_80)
        leg.receive_offer(
            RemoteOffer.read(said("a=crypto:1 NEW inline:AAAA\n", line(2, GCM, 1), line(3, SHA1_80, 77)))
        )

        assert lines_of(leg.make_answer()) == [line(3, SHA1_80, 1)]

    def test_the_spelling_of_the_suite_is_echoed(self) -> None:
        leg = a_leg("required")
        leg.receive_offer(RemoteOffer.read(said(line(1, "AES_CM_256_HMAC_SHA1_80", 77))))

        assert lines_of(leg.make_answer()) == [line(1, "AES_CM_256_HMAC_SHA1_80", 1)]
        assert keys_of(leg).suite is AES_256

    @pytest.mark.parametrize(
        "offer",
        [said(profile="RTP/AVP"), said(), said(line(1, "AEAD_AES_256_GCM", 1)), said(profile="RTP/AVPF")],
    )
    def test_required_refuses_what_has_no_key(self, offer: bytes) -> None:
        with pytest.raises(SrtpRequired) as caught:
            a_leg("required").receive_offer(RemoteOffer.read(offer))
        assert caught.value.status_hint == 488

    def test_preferred_answers_plain_with_plain(self) -> None:
        for offer in (said(profile="RTP/AVP"), said(line(1, "AEAD_AES_256_GCM", 1), profile="RTP/AVP")):
            leg = a_leg("preferred")
            leg.receive_offer(RemoteOffer.read(offer))
            answer = leg.make_answer()
            assert (profile_of(answer), lines_of(answer)) == ("RTP/AVP", [])
            assert agreed(leg).keys is None

    def test_of_two_sections_the_first_that_can_be_carried_is(self) -> None:
        plain = said(profile="RTP/AVP").decode()
        secure = plain[plain.index("m=") :].replace("RTP/AVP", "RTP/SAVP") + line(1, SHA1_80, 77)
        for protection, profiles in (("required", ["0", "16384"]), ("disabled", ["16384", "0"])):
            leg = a_leg("required" if protection == "required" else "disabled")
            leg.receive_offer(RemoteOffer.read((plain + secure).encode()))
            assert re.findall(r"m=audio (\d+)", leg.make_answer().decode()) == profiles

    def test_disabled_refuses_the_secure_profile_and_ignores_keys_beside_plain_rtp(self) -> None:
        with pytest.raises(RemoteError, match="Only plain RTP/AVP audio is available"):
            a_leg("disabled").receive_offer(RemoteOffer.read(said(line(1, SHA1_80, 1))))
        leg = a_leg("disabled")
        leg.receive_offer(RemoteOffer.read(said(line(1, SHA1_80, 1), profile="RTP/AVP")))
        assert lines_of(leg.make_answer()) == []


def an_encrypted_leg(protection: MediaProtection = "required", profile: str = "RTP/SAVP") -> LegDescription:
    """In a session that the peer began: our key is 1, theirs 77."""
    leg = a_leg(protection)
    leg.receive_offer(RemoteOffer.read(said(line(5, SHA1_80, 77), line(6, GCM, 78), profile=profile)))
    leg.make_answer()
    return leg


class TestLater:
    def test_what_is_repeated_changes_nothing(self) -> None:
        leg = an_encrypted_leg()
        before, body = leg.parameters, leg.body

        reoffer = leg.receive_reoffer(said(line(5, SHA1_80, 77)))

        assert (leg.parameters, reoffer.answer) == (before, body)

    def test_a_hold_and_its_end_keep_the_keys(self) -> None:
        leg = an_encrypted_leg()
        keys = keys_of(leg)
        for direction in ("sendonly", "sendrecv"):
            offer = said(line(5, SHA1_80, 77)).replace(b"sendrecv", direction.encode())
            assert lines_of(leg.receive_reoffer(offer).answer) == [line(5, SHA1_80, 1)]
            assert keys_of(leg) == keys

    def test_a_new_key_of_the_peer_is_taken_and_ours_stays(self) -> None:
        leg = an_encrypted_leg()
        leg.receive_reoffer(said(line(8, SHA1_80, 99)))

        assert keys_of(leg) == SrtpKeys(SHA1_80, b"\x01" * 30, b"\x63" * 30)
        assert lines_of(leg.body) == [line(8, SHA1_80, 1)]

    def test_the_suite_in_use_is_kept_while_it_is_offered(self) -> None:
        leg = an_encrypted_leg()
        leg.receive_reoffer(said(line(1, GCM, 98), line(2, SHA1_80, 99)))

        assert keys_of(leg) == SrtpKeys(SHA1_80, b"\x01" * 30, b"\x63" * 30)

    def test_another_suite_has_a_new_key_of_ours(self) -> None:
        leg = an_encrypted_leg()
        leg.receive_reoffer(said(line(1, GCM, 98)))

        assert keys_of(leg) == SrtpKeys(GCM, b"\x02" * 28, b"\x62" * 28)

    @pytest.mark.parametrize("protection", ["required", "preferred"])
    def test_what_is_encrypted_stays_so(self, protection: MediaProtection) -> None:
        for profile in ("RTP/AVP", "RTP/SAVP"):
            leg = an_encrypted_leg(protection)
            before = leg.parameters, leg.body
            with pytest.raises(SrtpRequired):
                leg.receive_reoffer(said(profile=profile))
            assert (leg.parameters, leg.body) == before

    def test_the_profile_may_change_while_there_is_a_key(self) -> None:
        leg = an_encrypted_leg("preferred", "RTP/AVP")
        reoffer = leg.receive_reoffer(said(line(5, SHA1_80, 77)))

        assert profile_of(reoffer.answer) == "RTP/SAVP"

    def test_our_reoffer_repeats_the_active_key_alone(self) -> None:
        leg = a_leg("required")
        leg.receive_response(leg.make_offer(), 200, said(line(2, GCM, 77)))
        keys = keys_of(leg)

        offer = leg.make_full_reoffer()
        assert lines_of(offer.body) == [line(2, GCM, 2)]
        assert profile_of(offer.body) == "RTP/SAVP"
        leg.receive_response(offer, 200, said(line(2, GCM, 77)))
        assert keys_of(leg) == keys
        again = leg.make_full_reoffer()
        assert again.body == offer.body, "a refresh is no change"

    def test_a_plain_answer_to_our_reoffer_is_refused(self) -> None:
        leg = an_encrypted_leg("preferred", "RTP/AVP")
        offer = leg.make_full_reoffer()
        before = leg.parameters

        with pytest.raises(SrtpRequired):
            leg.receive_response(offer, 200, said(profile="RTP/AVP"))
        assert leg.parameters == before

    def test_a_stream_that_is_off_comes_back_with_its_keys(self) -> None:
        leg = an_encrypted_leg()
        keys = keys_of(leg)
        leg.receive_reoffer(said(profile="RTP/AVP", port=0))
        leg.receive_reoffer(said(line(5, SHA1_80, 77)))

        assert keys_of(leg) == keys

    def test_nothing_prints_a_key(self) -> None:
        leg = an_encrypted_leg()
        offer = leg.make_full_reoffer()
        key = base64.b64encode(b"\x01" * 30).decode()
        assert key in offer.body.decode()
        assert key not in repr(offer)
        assert key not in repr(leg.parameters)


def test_an_engine_without_a_key_refuses_a_plain_leg_that_is_to_become_srtp() -> None:
    def no_key(suite: CryptoSuite) -> bytes:
        raise MediaError(f"no key for {suite}")

    leg = LegDescription(
        address=("198.51.100.1", 16384),
        codecs=[Codec.PCMU],
        session_id=7001,
        terms=MediaTerms("preferred", SUITES, no_key),
    )
    leg.receive_offer(RemoteOffer.read(said(profile="RTP/AVP")))
    before = leg.make_answer()
    with pytest.raises(RemoteError) as caught:
        leg.receive_reoffer(said(line(1, SHA1_80, 77), profile="RTP/AVP"))
    assert caught.value.status_hint == 488
    assert leg.body == before
    leg.receive_reoffer(said(profile="RTP/AVP", port=4002))
    assert agreed(leg).keys is None
