"""Who may use the API: bearer keys (RFC 6750 section 2.1), compared in constant time.

Without keys only programs of this machine may, and no web page that somebody has open on it: a page can send
requests to 127.0.0.1 under a name of its own (DNS rebinding), so the Host must be this machine and an Origin,
which browsers send and programs do not, is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from hashlib import sha256

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import Response

from b2bua.http_api.errors import error_answer

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="b2bua"'}


class Keys:
    """The keys in force. Only their digests are kept: equal lengths, and nothing to print."""

    def __init__(self, keys: Iterable[SecretStr], *, loopback: bool) -> None:
        """`loopback`: only this machine can reach the API. Where others can, no keys means that nobody may."""
        self._loopback = loopback
        self.replace(keys)

    def replace(self, keys: Iterable[SecretStr]) -> None:
        """From now on these keys, and no others."""
        self._digests = tuple(_digest(key.get_secret_value().encode()) for key in keys)

    def refusal(self, headers: Headers) -> Response | None:
        """Why a request with these headers is refused; None when it may pass."""
        if not self._digests and self._loopback:
            return _web_page_refusal(headers)
        given = headers.getlist("authorization")
        scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() == "bearer" and self._knows(key.strip()):
            return None
        return error_answer(401, "unauthorized", "a valid API key is needed", headers=_CHALLENGE)

    def _knows(self, key: str) -> bool:
        digest = _digest(key.encode("latin-1"))
        # Every key is compared, so that the time tells neither which one it was nor how many there are left.
        return sum([hmac.compare_digest(digest, known) for known in self._digests]) > 0


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


def _web_page_refusal(headers: Headers) -> Response | None:
    if "origin" not in headers and _is_this_machine(headers.get("host", "")):
        return None
    return error_answer(
        403,
        "web_page_refused",
        "without API keys, only programs of this machine may ask: no Origin, Host 127.0.0.1",
    )


def _is_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
