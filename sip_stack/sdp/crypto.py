"""The crypto attribute (RFC 4568): keys for SRTP in a session description, SDES for short.

A line that cannot be used is no error, it is stepped over (section 5.1.3): another line, or plain RTP, may still do.
Such is one that is malformed, of a suite nobody here knows, with several keys, or with a session parameter that changes
how packets look. Keys are secret: neither a `Crypto` nor the text of its line shows in a `repr`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace

from sip_stack.sdp.model import KeyText, Media

CRYPTO = "crypto"

KEY_OCTETS = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""Octets of master key and salt together (RFC 4568 section 6.2, RFC 6188 section 6, RFC 7714 section 14)."""

_OTHER_NAMES = {
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}
"""How drafts of RFC 6188 spelled its suites, and some peers still do."""

MAX_LINES = 32
"""Lines of one media section that are looked at."""

_LINE = re.compile(
    r"(\d{1,9})[ \t]+(\w{1,64})[ \t]+inline:([A-Za-z0-9+/]{8,128}={0,2})((?:\|[\w^:]{1,64}){0,2})(.*)",
    re.ASCII | re.IGNORECASE,
)
_LIFETIME = re.compile(r"\|(?:2\^(\d{1,2})|(\d{1,15}))", re.ASCII)
_IDENTIFIER = re.compile(r"\|\d{1,40}:(\d{1,3})", re.ASCII)

_LONGEST_IDENTIFIER = 128


@dataclass(frozen=True, slots=True, repr=False)
class Crypto:
    """One line that can be used: the key under which its writer sends."""

    tag: int
    suite: str
    """A key of `KEY_OCTETS`."""
    key: bytes
    """Master key and salt."""
    spelled: str = ""
    """The suite as it was written, when that is not `suite`."""
    lifetime: int | None = None
    """Packets for which the writer uses the key; None when it does not say."""
    mki_octets: int = 0
    """Length of the master key identifier in the writer's packets, 0 for none (RFC 3711 section 3.1)."""

    def __repr__(self) -> str:
        return f"<crypto {self.tag} {self.suite}>"

    def value(self) -> KeyText:
        """What stands behind `a=crypto:`, without lifetime and identifier: we use neither for what we send."""
        key = base64.b64encode(self.key).decode()
        return KeyText(f"{self.tag} {self.spelled or self.suite} inline:{key}")

    def answered_with(self, key: bytes) -> Crypto:
        """The line of an answer that takes this one: its tag and its suite, as spelled, and our key."""
        return replace(self, key=key, lifetime=None, mki_octets=0)


def parse_crypto(text: str) -> Crypto | None:
    """Reads the value of an a=crypto line; None for one that is to be stepped over."""
    match = _LINE.fullmatch(text.strip())
    if match is None:
        return None
    tag, spelled, encoded, declared, rest = match.groups()
    written = spelled.upper()
    suite = _OTHER_NAMES.get(written, written)
    key = _decoded(encoded)
    if suite not in KEY_OCTETS or key is None or len(key) != KEY_OCTETS[suite] or not _is_harmless(rest):
        return None
    lifetime, identifier = _declared(declared)
    if lifetime == 0 or identifier is None:
        return None
    return Crypto(int(tag), suite, key, "" if spelled == suite else spelled, lifetime, identifier)


def cryptos_of(media: Media) -> list[Crypto]:
    """The lines of a media section that can be used, in their order; of two with one tag the first."""
    found: dict[int, Crypto] = {}
    for text in media.lines.attribute_values(CRYPTO)[:MAX_LINES]:
        crypto = parse_crypto(text)
        if crypto is not None:
            found.setdefault(crypto.tag, crypto)
    return list(found.values())


def _decoded(text: str) -> bytes | None:
    """Base64, with or without its padding: some leave it out."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return None


def _declared(text: str) -> tuple[int | None, int | None]:
    """Lifetime (0 when it makes no sense) and octets of the identifier (None when they do not)."""
    lifetime: int | None = None
    if (match := _LIFETIME.match(text)) and text[match.end() : match.end() + 1] != ":":
        power, number = match.groups()
        lifetime = 1 << int(power) if power else int(number)
        text = text[match.end() :]
        if lifetime > 1 << 48:
            lifetime = 0
    if not text:
        return lifetime, 0
    match = _IDENTIFIER.fullmatch(text)
    octets = int(match[1]) if match else 0
    return lifetime, octets if 0 < octets <= _LONGEST_IDENTIFIER else None


def _is_harmless(session_parameters: str) -> bool:
    """True when nothing in the session parameters changes how packets look.

    WSH is advice about the replay window; what begins with a dash may be ignored (RFC 4568 section 6.3.7). A second key
    would begin with a semicolon.
    """
    if session_parameters and session_parameters[0] not in " \t":
        return False
    return all(word.upper().startswith(("WSH=", "-")) for word in session_parameters.split())
