"""What an engine must know to protect a leg's audio: SRTP (RFC 3711) with keys that were told in SDP."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CryptoSuite(StrEnum):
    """The suites an engine has, by their names in SDP (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_octets(self) -> int:
        """Octets of a master key with its salt behind it."""
        return (32 if "256" in self else 16) + (12 if self.startswith("AEAD") else 14)


@dataclass(frozen=True, slots=True, repr=False)
class SrtpKeys:
    """The keys of one leg, one for each direction. Secret: not for logs, records or the API."""

    suite: CryptoSuite
    local: bytes
    """Master key and salt of what we send; `suite.key_octets` long, never used on another leg."""
    remote: bytes
    """The same of what the peer sends."""
    remote_mki_octets: int = 0
    """Length of the master key identifier in the peer's packets (RFC 3711 section 3.1); 0 for none."""

    def __repr__(self) -> str:
        return f"<{self.suite} keys>"
