"""The digest server: makes challenges and believes, or does not, the credentials that answer them.

RFC 3261 section 22, RFC 7616 sections 3.3 to 3.5, RFC 8760. It answers nothing itself and has no clock: `now`
is any clock in seconds that only rises. What counts as a failed attempt is the caller's business; a request
without credentials is none (`Verdict.result` "missing"). ACK and CANCEL must never be given to it: they
cannot be challenged (RFC 3261 section 22.1).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sip_stack.auth.challenge import CHALLENGE_HEADERS, CREDENTIALS_HEADERS, is_digest, parse_schemes
from sip_stack.auth.digest import Algorithm, algorithm_named, encoded, response_value
from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Params, Request, SipUri, parse_uri, quote

_MAX_NONCES = 10_000
"""Nonces in use whose counts are remembered."""

Result = Literal["accepted", "missing", "stale", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the credentials of a request are worth."""

    result: Result
    """"missing": none for our realm, challenge it; "stale": right, but to be repeated with a new nonce,
    challenge with `stale=True`; "refused": wrong, and nothing says whether the name or the password is."""
    username: str | None = None
    """Who it is, when accepted."""


class DigestServer:
    """One realm that asks for credentials. Keeps the counts of the nonces in use, nothing else."""

    __slots__ = (
        "_algorithms",
        "_counts",
        "_floor",
        "_lifetime",
        "_realm",
        "_secret",
        "_status",
        "_token",
    )

    def __init__(
        self,
        realm: str,
        *,
        secret: bytes,
        token: Callable[[], str],
        algorithms: Iterable[str] = ("SHA-256", "MD5"),
        status: Literal[401, 407] = 401,
        nonce_lifetime: float = 60.0,
    ) -> None:
        """`algorithms` are offered in this order; LocalError on one that we cannot compute.

        `secret` signs nonces; `token` returns an unguessable text of letters and digits. `nonce_lifetime` is
        in seconds.
        """
        self._algorithms: dict[str, Algorithm] = {}
        for name in algorithms:
            algorithm = algorithm_named(name)
            if algorithm is None:
                raise LocalError(f"digest algorithm {name!r} is not available")
            self._algorithms[algorithm.name] = algorithm
        self._realm = realm
        self._secret = secret
        self._token = token
        self._status = status
        self._lifetime = nonce_lifetime
        self._counts: dict[str, int] = {}
        self._floor = -1
        """Nonces made until then (ms) are stale: the counts of some of them were forgotten."""

    @property
    def status(self) -> int:
        """What to answer with the challenges: 401 or 407."""
        return self._status

    def challenges(self, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """The header lines of a 401 or 407: one per algorithm, with one new nonce (RFC 8760 section 2.4)."""
        nonce = self._nonce(now)
        suffix = ", stale=TRUE" if stale else ""
        start = f'Digest realm={quote(self._realm)}, nonce="{nonce}", qop="auth", algorithm='
        return [(CHALLENGE_HEADERS[self._status], f"{start}{name}{suffix}") for name in self._algorithms]

    def verify(self, request: Request, now: float, password_of: Callable[[str], str | None]) -> Verdict:
        """Judge the credentials of a request. Never raises because of what the request says.

        `password_of` returns the password of a username, None for an unknown one.
        """
        answered = False
        for params in _digests(request.headers.get_all(CREDENTIALS_HEADERS[self._status])):
            if params.get("realm") == self._realm:
                answered = True
                verdict = self._verify(request, params, now, password_of)
                if verdict.result != "refused":
                    return verdict
        return Verdict("refused" if answered else "missing")

    def _verify(
        self, request: Request, params: Params, now: float, password_of: Callable[[str], str | None]
    ) -> Verdict:
        algorithm = algorithm_named(params.get("algorithm"))
        qop = params.get("qop")
        if algorithm is None or algorithm.name not in self._algorithms or qop not in (None, "auth"):
            return Verdict("refused")
        nonce, uri = params.get("nonce") or "", params.get("uri") or ""
        nonce_count, cnonce = params.get("nc") or "", params.get("cnonce") or ""
        count = _count(nonce_count) if qop is not None else 1
        username = params.get("username") or ""
        password = password_of(username)
        expected = response_value(
            algorithm,
            username=username,
            # An unknown name costs the same time as a wrong password.
            password=password or "",
            realm=self._realm,
            nonce=nonce,
            method=request.method,
            uri=uri,
            qop=qop,
            nonce_count=nonce_count,
            cnonce=cnonce,
        )
        right = hmac.compare_digest(encoded(params.get("response") or ""), expected.encode())
        if not right or password is None or count is None or not self._is_for(request, uri):
            return Verdict("refused")
        if not self._use(nonce, count, now):
            return Verdict("stale")
        return Verdict("accepted", username)

    def _is_for(self, request: Request, uri: str) -> bool:
        """Whether credentials for `uri` are for this request, and not moved from one to another callee: its user and
        host have to be the Request-URI's. Not the whole URI: proxies change ports and parameters on the way."""
        if uri == request.uri:
            return True
        try:
            theirs, ours = parse_uri(uri), request.request_uri
        except RemoteError:
            return False
        if not isinstance(theirs, SipUri) or not isinstance(ours, SipUri):
            return False
        return theirs.user == ours.user and theirs.host.lower() == ours.host.lower()

    def _nonce(self, now: float) -> str:
        made = f"{int(now * 1000):x}.{self._token()}"
        return f"{made}.{self._signature(made)}"

    def _signature(self, made: str) -> str:
        return hmac.new(self._secret, encoded(f"{made} {self._realm}"), "sha256").hexdigest()[:32]

    def _use(self, nonce: str, count: int, now: float) -> bool:
        """Count one use of a nonce; False when it is not ours, too old, or its count is not a new highest.

        A client that counts nothing (RFC 2069) can use a nonce once.
        """
        made, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(encoded(signature), self._signature(made).encode()):
            return False
        moment = _moment(made)
        expired = now - moment / 1000 > self._lifetime
        if expired or moment <= self._floor or count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        if len(self._counts) > _MAX_NONCES:
            self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        """Drop the counts of expired nonces or, when none is, of the oldest half, which become stale."""
        oldest = int((now - self._lifetime) * 1000) - 1
        if not any(_moment(nonce) <= oldest for nonce in self._counts):
            oldest = sorted(map(_moment, self._counts))[len(self._counts) // 2]
            self._floor = max(self._floor, oldest)
        self._counts = {nonce: count for nonce, count in self._counts.items() if _moment(nonce) > oldest}


def _moment(nonce: str) -> int:
    """When a nonce of ours was made, in ms of the server's clock."""
    return int(nonce.partition(".")[0], 16)


def _count(text: str) -> int | None:
    """The value of `nc`: eight hex digits (RFC 7616 section 3.4); None when it is something else."""
    if len(text) != 8 or any(digit not in "0123456789abcdefABCDEF" for digit in text):
        return None
    return int(text, 16)


def _digests(lines: Iterable[str]) -> list[Params]:
    """The parameters of all Digest credentials; a malformed line has none."""
    found = []
    for line in lines:
        try:
            found += [params for scheme, params in parse_schemes(line) if is_digest(scheme)]
        except RemoteError:
            continue
    return found
