"""`media.srtp:` how audio is encrypted where it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from b2bua.config.section import Section, refusal
from media.srtp import CryptoSuite

USUAL = (
    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    CryptoSuite.AEAD_AES_128_GCM,
    CryptoSuite.AES_256_CM_HMAC_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32,
)


def _distinct(suites: tuple[CryptoSuite, ...]) -> tuple[CryptoSuite, ...]:
    if len(set(suites)) < len(suites):
        raise refusal("a suite named twice")
    return suites


class Srtp(Section):
    """SRTP with keys in the session description (SDES)."""

    suites: Annotated[tuple[CryptoSuite, ...], Field(min_length=1), AfterValidator(_distinct)] = USUAL
    """Offered in this order; of a peer's offer the first that is listed here is taken."""
    keys_in_clear: StrictBool = False
    """Keys may cross over signalling that is not TLS, where everybody on the way can read them and the audio. For
    networks that are closed, and for tests."""
