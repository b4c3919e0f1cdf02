"""What must not leave the process in a trace: credentials, passwords, SDP keys. Masked octet for octet, so that every
length in the message stays true."""

from __future__ import annotations

import re

MASK = b"*"

_SECRETS = (
    # Digest credentials and proofs (RFC 7616): what a dictionary attack needs. Folded lines and embedded headers too.
    re.compile(rb'\b(?:response|rspauth)\s*=\s*"?([^",\s;&>]+)', re.IGNORECASE),
    # Other schemes: Bearer, Basic.
    re.compile(
        rb"^(?:proxy-)?authorization[ \t]*:[ \t]*(?!digest\b)\S+[ \t]+([^\r\n]+)",
        re.IGNORECASE | re.MULTILINE,
    ),
    # Headers inside a URI: Refer-To: <sip:x?Authorization=...>.
    re.compile(rb"authorization=([^&>\s]+)", re.IGNORECASE),
    # The password of a URI (RFC 3261 section 25.1).
    re.compile(rb"\bsips?:[^\s:@<>;?\"]+:([^\s@<>\"]+)@", re.IGNORECASE),
    re.compile(rb'\bpassword\s*[=:]\s*"?([^"\s;&>]+)', re.IGNORECASE),
    # SDES keys (RFC 4568), of every crypto line; MKI and lifetime stay readable.
    re.compile(rb"\binline:([^|\s]+)", re.IGNORECASE),
    # The older k= line and MIKEY (RFC 4567).
    re.compile(rb"^k=[a-z0-9]+:([^\r\n]+)", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"^a=key-mgmt:\S+[ \t]+([^\r\n]+)", re.IGNORECASE | re.MULTILINE),
)


def masked(data: bytes) -> bytes:
    """The message with every secret in it replaced by asterisks."""
    for pattern in _SECRETS:
        data = pattern.sub(_mask, data)
    return data


def _mask(match: re.Match[bytes]) -> bytes:
    start, end = match.span(1)
    before, after = match.string[match.start() : start], match.string[end : match.end()]
    return b"".join((before, MASK * (end - start), after))
