"""A contact centre's digest check in front of a callee that has none (a soft phone).

Requests from outside come to the gate: an INVITE without good credentials is challenged, one with good ones goes on to
the callee. The gate puts itself into no Via and no Record-Route: responses come back through it (or directly, when the
callee trusts the Via), ACK and BYE go straight to the callee's Contact.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from tests.support.peer_sip import Header, SipText, response
from tests.support.udp_peer import Address, UdpPeer

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def challenge_headers(
    status: int, realm: str, nonce: str, algorithms: tuple[str, ...] = ("MD5",), extra: str = ""
) -> list[Header]:
    """The headers that ask for digest credentials, best algorithm first as RFC 7616 wants it."""
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    return [
        (name, f'Digest realm="{realm}", nonce="{nonce}", qop="auth", algorithm={algorithm}{extra}')
        for algorithm in algorithms
    ]


def credentials(request: SipText) -> dict[str, str]:
    """The digest parameters a request carries; empty when it has none."""
    values = request.all("Authorization") + request.all("Proxy-Authorization")
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', values[0].partition(" ")[2]) if values else []
    return {name.lower(): quoted or plain for name, quoted, plain in found}


def expected_response(given: dict[str, str], method: str, username: str, password: str) -> str:
    """What `response` must be for the parameters in `given` (RFC 7616 section 3.4, qop=auth)."""
    digest = _HASHES[given.get("algorithm", "MD5")]

    def h(*parts: str) -> str:
        return digest(":".join(parts).encode()).hexdigest()

    secret = h(username, given["realm"], password)
    return h(secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], h(method, given["uri"]))


class DigestGate(UdpPeer):
    """One gate. Counts what it saw in `challenged` and `passed`."""

    def __init__(
        self,
        callee: Address,
        username: str,
        password: str,
        *,
        status: int = 407,
        algorithms: tuple[str, ...] = ("SHA-256", "MD5"),
    ) -> None:
        """A gate before `callee`, challenging with `status` (401 or 407) in these algorithms."""
        super().__init__()
        self._callee = callee
        self._username, self._password = username, password
        self._status, self._algorithms = status, algorithms
        self._nonces: set[str] = set()
        self._callers: dict[str, Address] = {}
        self.challenged = 0
        self.passed = 0

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Judge, challenge, pass on."""
        if message.status:
            self.send(data, self._callers[message.branch])
        elif message.method != "INVITE" or self._good(message):
            if message.method == "INVITE":
                self.passed += not repeated
                self._callers[message.branch] = source
            # The ACK of a challenge has the branch of an INVITE that never went on; it ends here.
            if message.method != "ACK" or message.branch in self._callers:
                self._callers.setdefault(message.branch, source)
                self.send(data, self._callee)
        else:
            self.challenged += not repeated
            nonce = secrets.token_hex(12)
            self._nonces.add(nonce)
            headers = challenge_headers(self._status, "contact-centre", nonce, self._algorithms)
            self.send(response(message, self._status, "Authenticate", headers, tag="gate"), source)

    def _good(self, request: SipText) -> bool:
        given = credentials(request)
        return (
            given.get("username") == self._username
            and given.get("nonce") in self._nonces
            and given["response"] == expected_response(given, request.method, self._username, self._password)
        )
