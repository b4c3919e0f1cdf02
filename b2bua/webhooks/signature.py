"""Signature V3 of a POST, as the published SDKs check it: HMAC-SHA256 over URL, sorted parameters and a nonce."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlparse

SIGNATURE_HEADER = "X-Plivo-Signature-V3"
MAIN_SIGNATURE_HEADER = "X-Plivo-Signature-Ma-V3"
NONCE_HEADER = "X-Plivo-Signature-V3-Nonce"

Parameters = Sequence[tuple[str, str]]


def signed_text(url: str, parameters: Parameters, nonce: str) -> str:
    """What is signed of a POST with `parameters` to `url`, which has no fragment.

    With parameters and without a query a bare `?` follows the URL, and no dot: that is what the SDKs do.
    """
    parts = urlparse(url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    query = "&".join(
        f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    if not parameters:
        return f"{base}?{query}.{nonce}" if query else f"{base}.{nonce}"
    body = "".join(f"{name}{value}" for name, value in sorted(parameters))
    return f"{base}?{query}{'.' if query else ''}{body}.{nonce}"


def sign(url: str, parameters: Parameters, nonce: str, tokens: Iterable[str]) -> str:
    """The value of the signature headers: one signature per token, any of which a receiver may accept."""
    text = signed_text(url, parameters, nonce).encode()
    digests = (hmac.digest(token.encode(), text, "sha256") for token in tokens)
    return ",".join(base64.b64encode(digest).decode() for digest in digests)
