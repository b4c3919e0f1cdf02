"""The digest itself: algorithms, credentials, and the `response` value (RFC 7616 section 3.4.1, RFC 8760).

Pure functions over text. What is on the wire is `challenge.py`'s, when to answer `client.py`'s, whom to
believe `server.py`'s. It does not know `userhash` (RFC 8760 does not bring it to SIP) nor HTTP Basic
(forbidden by RFC 3261 section 22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from sip_stack.errors import LocalError

_Hash = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are toward a peer that challenges. The password is in no `repr`."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    """The only realm they may be used in; None: any."""

    def __post_init__(self) -> None:
        for what, text in (("username", self.username), ("password", self.password)):
            # Checked here, where the error can be kept free of the text itself.
            if not _is_encodable(text):
                raise LocalError(f"the {what} cannot be encoded")
        if any(character < " " or character == "\x7f" for character in self.username):
            raise LocalError("the username must not contain control characters")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A digest algorithm that this Python can compute."""

    name: str
    """The registered token, for example "SHA-256-sess"."""
    strength: int
    """Comparable: the higher, the better; -sess changes nothing."""
    session: bool
    """True for -sess: A1 also covers nonce and cnonce."""
    hexdigest: _Hash = field(repr=False)


def _hash_named(name: str) -> _Hash | None:
    """The hash of that hashlib name; None where the OpenSSL beneath lacks it, as some do SHA-512/256."""
    try:
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return None

    def hexdigest(data: bytes) -> str:
        # `usedforsecurity`: MD5 must stay available on FIPS hosts, the peer chooses it and not we.
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return hexdigest


def _algorithms() -> dict[str, Algorithm]:
    known: dict[str, Algorithm] = {}
    for strength, (name, hashlib_name) in enumerate(
        (("MD5", "md5"), ("SHA-256", "sha256"), ("SHA-512-256", "sha512_256"))
    ):
        hexdigest = _hash_named(hashlib_name)
        if hexdigest is not None:
            for token, session in ((name, False), (f"{name}-sess", True)):
                known[token.lower()] = Algorithm(token, strength, session, hexdigest)
    return known


_ALGORITHMS = _algorithms()


def algorithm_named(token: str | None) -> Algorithm | None:
    """The algorithm of a challenge or of credentials; None as token is MD5 (RFC 7616 section 3.3).

    Case is ignored. None when it is unknown or when this Python lacks it.
    """
    return _ALGORITHMS.get("md5" if token is None else token.lower())


def encoded(text: str) -> bytes:
    """The octets that are hashed: UTF-8, and what was no UTF-8 on the wire as it was."""
    return text.encode("utf-8", "surrogateescape")


def response_value(
    algorithm: Algorithm,
    *,
    username: str,
    password: str,
    realm: str,
    nonce: str,
    method: str,
    uri: str,
    qop: str | None = None,
    nonce_count: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The `response` parameter in lower-case hex (RFC 7616 section 3.4.1).

    All texts are unquoted; `uri` is the digest-uri as sent. `qop` is the one value used: None for the form of
    RFC 2069, "auth", or "auth-int", which covers `body`. `nonce_count` is the eight hex digits of `nc`.
    """
    hexdigest = algorithm.hexdigest
    ha1 = hexdigest(encoded(f"{username}:{realm}:{password}"))
    if algorithm.session:
        ha1 = hexdigest(encoded(f"{ha1}:{nonce}:{cnonce}"))
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 = f"{a2}:{hexdigest(body)}"
    ha2 = hexdigest(encoded(a2))
    if qop is None:
        return hexdigest(encoded(f"{ha1}:{nonce}:{ha2}"))
    return hexdigest(encoded(f"{ha1}:{nonce}:{nonce_count}:{cnonce}:{qop}:{ha2}"))


def _is_encodable(text: str) -> bool:
    try:
        encoded(text)
    except UnicodeEncodeError:
        return False
    return True
