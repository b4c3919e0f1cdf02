"""Whatever arrives as SDP is understood or refused with a status; nothing else comes out of the readers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from b2bua.sdp_bridge import LegDescription, LocalOffer, MediaTerms, RemoteOffer, Wish
from media.engine import Codec
from media.srtp import CryptoSuite
from sip_stack.errors import RemoteError
from sip_stack.sdp import parse
from sip_stack.sdp.rtpmap import rtpmaps_of

Read = TypeVar("Read")

OFFER = (
    "v=0\r\no=- 3905 3906 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=rtcp:4001\r\na=sendrecv\r\n"
)

WORDS = """\
v=0|o=- 1 1 IN IP4 192.0.2.1|c=IN IP4 0.0.0.0|c=IN IP6 ::1|c=IN IP4 a.example|t=0 0|m=audio |4000|0|65536
 RTP/AVP| RTP/SAVP| 0 8 101|a=|rtpmap:|rtcp:|ptime:|crypto:|AES_CM_128_HMAC_SHA1_80| inline:|^31|WSH=64|;
sendonly|inactive|telephone-event/8000|PCMA/8000|/|:| |٤"""

pieces = st.sampled_from([*WORDS.replace("\n", "|").split("|"), "\r\n", "\n", "\r", "\0", "\udcff"])
lines = st.lists(pieces, max_size=40).map(lambda parts: "".join(parts))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good offer with a few stretches cut out, doubled or replaced."""
    text = OFFER
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = text[:start] + draw(st.one_of(st.just(""), pieces, st.just(text[start:end] * 2))) + text[end:]
    return text.encode("utf-8", "surrogateescape")


anything = st.one_of(
    st.binary(max_size=200),
    lines.map(lambda text: text.encode("utf-8", "surrogateescape")),
    lines.map(lambda text: (OFFER + text).encode("utf-8", "surrogateescape")),
    damaged(),
)


def receive_offer(leg: LegDescription, body: bytes) -> None:
    leg.receive_offer(RemoteOffer.read(body))


def attempt(read: Callable[[bytes], Read], body: bytes) -> Read | RemoteError:
    """What `read` makes of the body, or its refusal; any other exception fails the test."""
    try:
        return read(body)
    except RemoteError as refusal:
        return refusal


@given(anything)
def test_a_description_is_read_or_refused_and_reads_the_same_when_printed(body: bytes) -> None:
    session = attempt(parse, body)
    if isinstance(session, RemoteError):
        assert session.status_hint == 400
        return
    assert parse(session.encode()) == session
    for media in session.media:
        rtpmaps_of(media.lines.formats, media.lines.rtpmaps)
        assert media.lines.ptime is None or media.lines.ptime > 0
        assert media.lines.rtcp is None or media.lines.rtcp[1] > 0
        session.direction_of(media)


KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
SECURE = OFFER.replace("AVP", "SAVP") + (
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4 WSH=64\r\n"
    f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\r\n"
)


@given(st.data())
def test_any_damage_to_keys_leaves_a_leg_encrypted_or_as_it_was(data: st.DataObject) -> None:
    terms = MediaTerms("required", tuple(CryptoSuite), lambda suite: bytes(suite.key_octets))
    leg = LegDescription(address=("192.0.2.1", 16384), codecs=[Codec.PCMU], session_id=1, terms=terms)
    for _ in range(3):
        start = data.draw(st.integers(SECURE.index("m="), len(SECURE)))
        end = min(len(SECURE), start + data.draw(st.integers(0, 30)))
        text = SECURE[:start] + data.draw(st.one_of(st.just(""), pieces)) + SECURE[end:]
        before = leg.parameters
        read = partial(receive_offer, leg) if before is None else leg.receive_reoffer
        if isinstance(attempt(read, text.encode("utf-8", "surrogateescape")), RemoteError):
            assert leg.parameters == before
        elif before is None:
            leg.make_answer()
        assert leg.parameters is None or leg.is_encrypted


@given(anything)
def test_any_offer_is_answered_with_a_description_or_refused(body: bytes) -> None:
    leg = LegDescription(address=("192.0.2.1", 16384), codecs=[Codec.PCMU, Codec.PCMA], session_id=1)
    refused = attempt(partial(receive_offer, leg), body)
    if isinstance(refused, RemoteError):
        assert refused.status_hint in (400, 488)
        assert leg.parameters is None
        return
    parameters = leg.parameters
    assert parameters is not None
    answer = parse(leg.make_answer())
    assert len(answer.media) == len(parse(body).media)
    assert sum(media.port == 16384 for media in answer.media) == 1
    assert parameters.remote is None or 0 < parameters.remote[1] <= 65535


@given(anything, anything)
def test_any_answer_and_any_reoffer_is_followed_or_refused(answer: bytes, reoffer: bytes) -> None:
    leg = LegDescription(address=("192.0.2.1", 16384), codecs=[Codec.PCMA, Codec.PCMU], session_id=1)
    offer = leg.make_offer()
    if isinstance(attempt(lambda body: leg.receive_response(offer, 200, body), answer), RemoteError):
        leg.receive_response(offer, 200, OFFER.encode())
    before = leg.parameters, leg.body, leg.wish
    followed = attempt(leg.receive_reoffer, reoffer)
    if isinstance(followed, RemoteError):
        assert followed.status_hint in (400, 488)
        assert (leg.parameters, leg.body, leg.wish) == before
        return
    assert leg.body == followed.answer
    assert len(parse(followed.answer).media) == len(parse(reoffer).media)
    assert leg.parameters is not None
    assert leg.parameters.codec in (Codec.PCMA, Codec.PCMU)


@given(anything, anything)
def test_any_answer_to_a_reoffer_of_ours_is_taken_or_changes_nothing(answer: bytes, late: bytes) -> None:
    leg = LegDescription(address=("192.0.2.1", 16384), codecs=[Codec.PCMA, Codec.PCMU], session_id=1)
    leg.receive_offer(RemoteOffer.read(OFFER.encode()))
    leg.make_answer()
    leg.permit(Wish(hears=False))
    told(leg, leg.make_reoffer(), lambda offer: leg.receive_response(offer, 200, answer))
    leg.permit(Wish())
    told(leg, leg.make_full_reoffer(), lambda offer: leg.receive_acknowledgement(offer, late))
    leg.receive_reoffer(OFFER.encode())
    assert leg.parameters is not None
    assert leg.parameters.send
    assert leg.parameters.receive


def told(leg: LegDescription, offer: LocalOffer, read: Callable[[LocalOffer], None]) -> None:
    """An answer is in force, or nothing changed and the offer is withdrawn."""
    before = leg.parameters, leg.body, leg.wish
    try:
        read(offer)
    except RemoteError:
        assert (leg.parameters, leg.body, leg.wish) == before
        leg.withdraw(offer, heard=True)
