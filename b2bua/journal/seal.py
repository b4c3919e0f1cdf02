"""Keys of SRTP in the journal: nobody reads them there who has not the private key that we show over TLS.

Whoever has that one can come between us and anybody, and hears more. So no key of its own is to be looked after. Of an
entry that was sealed under another private key nothing is known but what it takes to end its call.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12
"""Octets; drawn for each entry."""


class Seal:
    """AES-256-GCM under a key that is derived from a secret (RFC 5869)."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"b2bua journal").derive(secret)
        self._cipher = AESGCM(key)

    def close(self, text: str, call_id: str) -> str:
        """The text sealed, for the entry of this call and no other."""
        nonce = secrets.token_bytes(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), call_id.encode())).decode()

    def open(self, sealed: str, call_id: str) -> str:
        """What was sealed. Raises `ValueError` when it was by somebody else, or for another call."""
        try:
            octets = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(octets[:_NONCE], octets[_NONCE:], call_id.encode()).decode()
        except (InvalidTag, binascii.Error) as error:
            raise ValueError("sealed by somebody else") from error
