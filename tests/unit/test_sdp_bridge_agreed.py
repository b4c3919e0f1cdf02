"""A leg's descriptions in another process: whatever comes next, it says what the first one would have said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from pydantic import TypeAdapter

from b2bua.journal.seal import Seal
from b2bua.sdp_bridge import Agreed, LegDescription, Offered, RemoteOffer, Wish
from b2bua.telemetry.json_text import json_text
from sip_stack.errors import LocalError
from tests.unit.test_sdp_bridge import OFFER, a_leg, octets
from tests.unit.test_sdp_bridge_srtp import AES_256, SHA1_80, line, said
from tests.unit.test_sdp_bridge_srtp import a_leg as a_secure_leg

_READ: TypeAdapter[Agreed] = TypeAdapter(Agreed)
HOLD = Wish(sends=True, hears=False)

MakeLeg = Callable[[], LegDescription]


def theirs() -> LegDescription:
    """They made the offer."""
    leg = a_leg()
    leg.receive_offer(RemoteOffer.read(octets(OFFER)))
    leg.make_answer()
    return leg


def ours() -> LegDescription:
    """We made it, with comfort noise."""
    leg = a_leg()
    leg.comfort_noise = True
    leg.receive_response(leg.make_offer(), 200, octets(OFFER))
    return leg


def held() -> LegDescription:
    """They hold, and the other side does."""
    leg = theirs()
    leg.receive_reoffer(octets(OFFER.replace("sendrecv", "sendonly")))
    leg.permit(HOLD)
    return leg


def off() -> LegDescription:
    """They switched the audio off."""
    leg = theirs()
    leg.receive_reoffer(octets(OFFER.replace("4000", "0")))
    return leg


def secure() -> LegDescription:
    """They took the third of our keys."""
    leg = a_secure_leg("required")
    leg.receive_response(leg.make_offer(), 200, said(line(3, AES_256, 77, "|2^31|1:4")))
    return leg


def secure_by_them() -> LegDescription:
    """We answered their key."""
    leg = a_secure_leg("required")
    leg.receive_offer(RemoteOffer.read(said(line(5, SHA1_80, 66))))
    leg.make_answer()
    return leg


def declined() -> LegDescription:
    """They wanted none of our keys."""
    leg = a_secure_leg("preferred")
    leg.receive_response(leg.make_offer(), 200, octets(OFFER))
    return leg


def restored(leg: LegDescription, anew: MakeLeg) -> LegDescription:
    """The leg as another process has it, by way of text."""
    agreed = leg.agreed()
    assert agreed is not None
    other = anew()
    other.resume(_READ.validate_json(json_text(_READ.dump_python(agreed))))
    return other


def refresh(leg: LegDescription) -> bytes:
    return leg.make_refresh().body


def full(leg: LegDescription) -> bytes:
    return leg.make_full_reoffer().body


def hold(leg: LegDescription) -> bytes:
    leg.permit(HOLD)
    return leg.make_reoffer().body if leg.must_tell else b"nothing to tell"


def reoffered(leg: LegDescription) -> bytes:
    offer = OFFER.replace("4000", "4100")
    if leg.is_encrypted:
        return leg.receive_reoffer(said(line(1, SHA1_80, 99), line(3, AES_256, 78), port=4100)).answer
    return leg.receive_reoffer(octets(offer)).answer


STATES = [theirs, ours, held, off, secure, secure_by_them, declined]


@pytest.mark.parametrize("next_step", [refresh, full, hold, reoffered])
@pytest.mark.parametrize("state", STATES)
def test_what_comes_next_is_said_to_the_octet(
    state: MakeLeg, next_step: Callable[[LegDescription], bytes]
) -> None:
    secured = state in (secure, secure_by_them, declined)
    protection = "preferred" if state is declined else "required"
    anew = (lambda: a_secure_leg(protection)) if secured else a_leg  # type: ignore[arg-type]
    first, second = state(), restored(state(), anew)
    assert (second.parameters, second.body, second.wish) == (first.parameters, first.body, first.wish)
    assert (second.must_tell, second.codec, second.is_settled) == (
        first.must_tell,
        first.codec,
        first.is_settled,
    )
    said_first, said_second = next_step(first), next_step(second)
    assert _without_new_keys(said_first) == _without_new_keys(said_second)
    assert second.parameters == first.parameters or next_step is reoffered


def _without_new_keys(body: bytes) -> list[bytes]:
    """A leg draws keys in order, and the second one has drawn none yet."""
    return [each for each in body.splitlines() if not each.startswith(b"a=crypto:1 AES_CM_128")]


def test_a_version_that_was_refused_is_not_said_of_another_text() -> None:
    first = theirs()
    first.permit(HOLD)
    refused = first.make_reoffer()
    first.withdraw(refused, heard=True)
    second = restored(first, a_leg)
    assert b"o=- 7001 2 " in refused.body
    assert b"o=- 7001 3 " in second.receive_reoffer(octets(OFFER)).answer


def test_it_is_nobody_elses() -> None:
    agreed = theirs().agreed()
    assert agreed is not None
    with pytest.raises(LocalError):
        a_leg(host="198.51.100.9").resume(agreed)
    with pytest.raises(LocalError):
        theirs().resume(agreed)
    assert a_leg().agreed() is None, "there is nothing yet"


def test_no_key_shows_in_a_repr() -> None:
    agreed = secure().agreed()
    assert agreed is not None
    assert "inline" not in repr(agreed)
    assert repr(agreed) == "<PCMU, SRTP, version 1>"


def test_what_is_sealed_is_opened_by_the_same_key_and_for_the_same_call() -> None:
    sealed = Seal(b"one").close("text", "call-1")
    assert Seal(b"one").open(sealed, "call-1") == "text"
    assert sealed != Seal(b"one").close("text", "call-1")
    for other, call_id, text in (
        (b"two", "call-1", sealed),
        (b"one", "call-2", sealed),
        (b"one", "call-1", "%"),
        (b"one", "call-1", ""),
    ):
        with pytest.raises(ValueError, match=r"somebody else|Nonce"):
            Seal(other).open(text, call_id)


def test_an_offer_that_nobody_has_answered_is_answered_in_another_process() -> None:
    before = a_leg()
    before.permit(HOLD)
    offer = before.make_offer()
    kept = json.loads(json_text(TypeAdapter(Offered).dump_python(before.open_offer(offer))))
    leg = a_leg()
    again = leg.resume_offer(TypeAdapter(Offered).validate_python(kept))
    assert again.body == offer.body
    for each, open_offer in ((before, offer), (leg, again)):
        each.receive_acknowledgement(open_offer, octets(OFFER.replace("sendrecv", "recvonly")))
        each.permit(Wish())
    assert leg.parameters == before.parameters
    assert leg.make_reoffer().body == before.make_reoffer().body


def test_an_offer_is_answered_at_the_address_that_was_told() -> None:
    leg = a_leg()
    elsewhere = leg.open_offer(leg.make_offer())
    moved = elsewhere._replace(body=re.sub(r"m=audio \d+", "m=audio 9", elsewhere.body))
    with pytest.raises(LocalError, match="address"):
        a_leg().resume_offer(moved)
