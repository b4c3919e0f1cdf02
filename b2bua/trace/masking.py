"""What must not leave the process in a trace: credentials, passwords, SDP keys. Masked octet for octet, so that every
length in the message stays true."""

from __future__ import annotations

import re

MASK = b"x"
"""A letter that base64 has: Wireshark shows nothing of a description in which an SDES key cannot be decoded."""

_SECRETS = (
    # Digest credentials and proofs (RFC 7616): what a dictionary attack needs. Folded lines and embedded headers too.
    (b"response", re.compile(rb'\bresponse\s*=\s*"?([^",\s;&>]+)', re.IGNORECASE)),
    (b"rspauth", re.compile(rb'\brspauth\s*=\s*"?([^",\s;&>]+)', re.IGNORECASE)),
    # Other schemes: Bearer, Basic.
    (
        b"authorization",
        re.compile(
            rb"^(?:proxy-)?authorization[ \t]*:[ \t]*(?!digest\b)\S+[ \t]+([^\r\n]+)",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
    # Headers inside a URI: Refer-To: <sip:x?Authorization=...>.
    (b"authorization=", re.compile(rb"authorization=([^&>\s]+)", re.IGNORECASE)),
    # The password of a URI (RFC 3261 section 25.1). What no @ follows is taken too, so that it is not looked at again
    # for each `sip:` in it: peers choose how many there are.
    (
        b"sip",
        re.compile(
            rb"\bsips?:[^\s:@<>;?\"]+:(?:([^\s@<>\"]++)(?=@)|[^\s@<>\"]++)",
            re.IGNORECASE,
        ),
    ),
    (b"password", re.compile(rb'\bpassword\s*[=:]\s*"?([^"\s;&>]+)', re.IGNORECASE)),
    # SDES keys (RFC 4568), of every crypto line; MKI and lifetime stay readable.
    (b"inline:", re.compile(rb"\binline:([^|\s]+)", re.IGNORECASE)),
    # The older k= line and MIKEY (RFC 4567).
    (b"\nk=", re.compile(rb"^k=[a-z0-9]+:([^\r\n]+)", re.IGNORECASE | re.MULTILINE)),
    (b"key-mgmt", re.compile(rb"^a=key-mgmt:\S+[ \t]+([^\r\n]+)", re.IGNORECASE | re.MULTILINE)),
)
"""A word without which there is no such secret, in lower case, and what finds it: looking for words is far cheaper."""


def masked(data: bytes) -> bytes:
    """The message with every octet of a secret in it replaced by `MASK`."""
    lower = data.lower()
    for word, pattern in _SECRETS:
        if word in lower:
            data = pattern.sub(_mask, data)
    return data


def _mask(match: re.Match[bytes]) -> bytes:
    start, end = match.span(1)
    if start < 0:
        return match[0]
    before, after = match.string[match.start() : start], match.string[end : match.end()]
    return b"".join((before, MASK * (end - start), after))
