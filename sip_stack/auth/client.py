"""The digest client: answers 401 and 407 on our requests, and knows when to stop.

RFC 3261 section 22, RFC 7616, RFC 8760. One `DigestClient` per INVITE usage or registration. Which second
challenge is answered, and how often: docs/interop.md, pitfalls 5 and 6. A password once refused is not repeated, since
that locks accounts out. It sends nothing: it writes headers on the requests it is given. It does not use `nextnonce`
(RFC 7616 section 3.5): a cached nonce that went out of use is retried once anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sip_stack.auth.challenge import CREDENTIALS_HEADERS, Challenge, parse_challenges
from sip_stack.auth.digest import Algorithm, Credentials, algorithm_named, response_value
from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Request, Response, quote

MAX_SENDS = 3
"""Requests with credentials, per request, whoever challenges."""
MAX_REALMS = 8
"""Realms remembered at once."""
_MAX_REQUESTS = 16
"""Requests of one usage whose challenges are followed at once."""

AuthFailure = Literal[
    "rejected",
    "no_credentials",
    "no_challenge",
    "unsupported_algorithm",
    "too_many_attempts",
    "realm_mismatch",
]
"""Why a challenge is not answered."""

_QOP_PREFERENCE = ("auth", "auth-int")
"""`auth` first: what rewrites SDP on the way breaks `auth-int`."""

_Place = tuple[int, str]
"""Status and realm: whom credentials are for."""

_MAX_DETAIL = 200
"""Characters of `AuthRejected.detail`: the peer chooses the names in it."""


class AuthRejected(RemoteError):
    """A 401 or 407 that ends the request: there is nothing, or nothing more, to answer it with."""

    def __init__(self, reason: AuthFailure, detail: str) -> None:
        super().__init__(502, reason)
        self.reason: AuthFailure
        self.detail = detail[:_MAX_DETAIL]
        """For people; never contains a password."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class _Choice:
    """The challenge of one realm that is to be answered, and how."""

    place: _Place
    challenge: Challenge
    algorithm: Algorithm
    qop: str | None
    stale: bool


@dataclass(slots=True)
class _Session:
    """A challenge that we answer, until a newer one of its realm comes."""

    challenge: Challenge
    algorithm: Algorithm
    qop: str | None
    cnonce: str
    uses: int = 0

    def authorization(self, credentials: Credentials, request: Request) -> str:
        """The header value for one more request; counts `nc`."""
        self.uses += 1
        challenge = self.challenge
        nonce_count = f"{self.uses:08x}"
        response = response_value(
            self.algorithm,
            username=credentials.username,
            password=credentials.password,
            realm=challenge.realm,
            nonce=challenge.nonce,
            method=request.method,
            uri=request.uri,
            qop=self.qop,
            nonce_count=nonce_count,
            cnonce=self.cnonce,
            body=request.body,
        )
        parts = [
            f"Digest username={quote(credentials.username)}",
            f"realm={challenge.quoted('realm')}",
            f"nonce={challenge.quoted('nonce')}",
            f"uri={quote(request.uri)}",
            f'response="{response}"',
        ]
        if challenge.algorithm is not None:
            parts.append(f"algorithm={challenge.algorithm}")
        opaque = challenge.quoted("opaque")
        if opaque is not None:
            parts.append(f"opaque={opaque}")
        if self.qop is not None:
            parts += (f"qop={self.qop}", f"nc={nonce_count}")
        if self.qop is not None or self.algorithm.session:
            # RFC 2069 knows no cnonce, but -sess hashes one, which the peer must then be told.
            parts.append(f"cnonce={quote(self.cnonce)}")
        return ", ".join(parts)


@dataclass(slots=True)
class _Progress:
    """What was tried for one request."""

    sends: int = 0
    answered: dict[_Place, bool] = field(default_factory=dict)
    """Whose credentials it carries; True when they answer a challenge received for this very request."""


class DigestClient:
    """The credentials of one usage, the realms that asked for them, and how often each request was tried."""

    __slots__ = ("_cnonce", "_credentials", "_requests", "_sessions")

    def __init__(self, credentials: Credentials | None, cnonce: Callable[[], str]) -> None:
        """`cnonce` returns an unguessable text each time. Without credentials every challenge is refused."""
        self._credentials = credentials
        self._cnonce = cnonce
        self._sessions: dict[_Place, _Session] = {}
        self._requests: dict[int, _Progress] = {}

    def begin(self, request: Request) -> None:
        """Take up a new request, not a retry, complete but for credentials: method, URI, CSeq and body.

        Realms that challenged before get their credentials at once, which saves an in-dialog request the
        round trip (RFC 3261 section 22.3).
        """
        progress = _Progress(answered=dict.fromkeys(self._sessions, False))
        self._follow(request, progress)
        self._write(request, progress)

    def answer(self, response: Response, request: Request) -> None:
        """Answer the challenges of a 401 or 407: put credentials on `request`, the retry that is to be sent.

        `request` must be complete but for credentials, with its new CSeq; old credentials on it are replaced.
        Raises AuthRejected, after which `request` must not be sent, and LocalError for another status.
        """
        if response.status not in CREDENTIALS_HEADERS:
            raise LocalError(f"a {response.status} is no challenge")
        progress = self._progress_of(response, request)
        chosen = self._choose(response)
        for choice in chosen:
            if progress.answered.get(choice.place) and not choice.stale:
                raise AuthRejected("rejected", f"{response.status} again for realm {choice.place[1]!r}")
        if progress.sends >= MAX_SENDS:
            raise AuthRejected("too_many_attempts", f"challenged {progress.sends} times with credentials")
        for choice in chosen:
            self._open(choice)
            progress.answered[choice.place] = True
        self._follow(request, progress)
        self._write(request, progress)

    def _progress_of(self, response: Response, request: Request) -> _Progress:
        progress = self._requests.pop(response.cseq.number, None)
        carries_credentials = any(name in request.headers for name in CREDENTIALS_HEADERS.values())
        if progress is None and carries_credentials and self._requests:
            # A peer that garbles the CSeq gets no fresh count: the newest request is the likeliest.
            _, progress = self._requests.popitem()
        return progress or _Progress()

    def _follow(self, request: Request, progress: _Progress) -> None:
        self._requests[request.cseq.number] = progress
        while len(self._requests) > _MAX_REQUESTS:
            del self._requests[next(iter(self._requests))]

    def _choose(self, response: Response) -> list[_Choice]:
        """The strongest usable challenge of each realm of ours; AuthRejected when there is none."""
        if self._credentials is None:
            raise AuthRejected("no_credentials", "the peer asks for credentials and none are configured")
        try:
            challenges = parse_challenges(response)
        except RemoteError as error:
            raise AuthRejected("no_challenge", error.reason) from error
        if not challenges:
            raise AuthRejected("no_challenge", f"{response.status} without a challenge")
        digests = [challenge for challenge in challenges if challenge.is_digest]
        ours = [each for each in digests if self._credentials.realm in (None, each.realm)]
        if digests and not ours:
            realms = ", ".join(repr(realm) for realm in dict.fromkeys(each.realm for each in digests))
            raise AuthRejected("realm_mismatch", f"credentials are not for realm {realms}")
        chosen = _strongest(response.status, ours)
        if not chosen:
            offers = ", ".join(dict.fromkeys(_offer(each) for each in ours or challenges))
            raise AuthRejected("unsupported_algorithm", f"the peer offers only {offers}")
        return chosen

    def _open(self, choice: _Choice) -> None:
        old = self._sessions.pop(choice.place, None)
        session = _Session(choice.challenge, choice.algorithm, choice.qop, self._cnonce())
        if old is not None and old.challenge.nonce == choice.challenge.nonce:
            # `nc` counts the uses of a nonce, whatever else changed.
            session.uses = old.uses
        self._sessions[choice.place] = session
        while len(self._sessions) > MAX_REALMS:
            del self._sessions[next(iter(self._sessions))]

    def _write(self, request: Request, progress: _Progress) -> None:
        headers = request.headers
        credentials = self._credentials
        lines = []
        for place in progress.answered:
            session = self._sessions.get(place)
            if session is not None and credentials is not None:
                lines.append((CREDENTIALS_HEADERS[place[0]], session.authorization(credentials, request)))
        for name in CREDENTIALS_HEADERS.values():
            if name in headers:
                headers.remove(name)
        headers.extend(lines)
        progress.sends += bool(lines)


def _strongest(status: int, challenges: Sequence[Challenge]) -> list[_Choice]:
    stale = {challenge.realm for challenge in challenges if challenge.stale}
    best: dict[str, _Choice] = {}
    for challenge in challenges:
        algorithm = algorithm_named(challenge.algorithm)
        options = challenge.qop_options
        qop = next((each for each in _QOP_PREFERENCE if each in options), None)
        if algorithm is None or (options and qop is None):
            continue
        realm = challenge.realm
        if realm not in best or algorithm.strength > best[realm].algorithm.strength:
            best[realm] = _Choice((status, realm), challenge, algorithm, qop, realm in stale)
    return list(best.values())


def _offer(challenge: Challenge) -> str:
    """What we cannot do, for the operator: the scheme, the algorithm, or the qop."""
    if not challenge.is_digest:
        return repr(challenge.scheme)
    if algorithm_named(challenge.algorithm) is None:
        return repr(challenge.algorithm)
    return f"qop {challenge.params.get('qop')!r}"
