"""The wire form of challenges and credentials: WWW-Authenticate, Proxy-Authenticate and their answers.

RFC 3261 sections 20.7, 20.27, 20.28, 20.44 and 25.1. Several per line and several lines are read. Texts that
must be echoed (realm, nonce, opaque) keep the quoting they came with. It judges nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sip_stack.errors import RemoteError
from sip_stack.message import NO_PARAMS, Params, Response, quote, split_commas

CHALLENGE_HEADERS: dict[int, str] = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
"""Where the challenges of a response are, by its status."""

CREDENTIALS_HEADERS: dict[int, str] = {401: "Authorization", 407: "Proxy-Authorization"}
"""Where they are answered, by the status of the response (RFC 3261 sections 22.2, 22.3)."""

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*("(?:[^"\\]++|\\.)*+"|[^"\s]*+)', re.DOTALL)
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]++(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a 401 or 407. Only those of the scheme Digest have parameters."""

    scheme: str
    """As received."""
    params: Params = NO_PARAMS
    """As received, quotes included."""

    @property
    def is_digest(self) -> bool:
        """True for the only scheme that we answer."""
        return is_digest(self.scheme)

    @property
    def realm(self) -> str:
        """Whom the credentials are for, unquoted."""
        return self.params.get("realm") or ""

    @property
    def nonce(self) -> str:
        """What is to be hashed, unquoted."""
        return self.params.get("nonce") or ""

    @property
    def algorithm(self) -> str | None:
        """The token as sent, unquoted; None when absent, which means MD5."""
        return self.params.get("algorithm")

    @property
    def stale(self) -> bool:
        """True when only the nonce was too old (RFC 7616 section 3.3)."""
        return (self.params.get("stale") or "").lower() == "true"

    @property
    def qop_options(self) -> tuple[str, ...]:
        """The protections offered, lower case; empty when there is no list: the peer speaks RFC 2069."""
        options = (option.strip(" \t").lower() for option in (self.params.get("qop") or "").split(","))
        return tuple(option for option in options if option)

    def quoted(self, name: str) -> str | None:
        """A parameter as a quoted-string, as it was received when it was one; None when it is absent."""
        raw = self.params.raw(name)
        return raw if raw is None or raw.startswith('"') else quote(raw)

    @classmethod
    def parse_many(cls, line: str) -> list[Challenge]:
        """The challenges of one header line. Raises RemoteError(400) when it is malformed."""
        challenges = [cls(scheme, params) for scheme, params in parse_schemes(line)]
        for challenge in challenges:
            if challenge.is_digest and not (challenge.params.has("realm") and challenge.params.has("nonce")):
                raise RemoteError(400, "Challenge without realm or nonce")
        return challenges


def parse_challenges(response: Response) -> list[Challenge]:
    """The challenges of a 401 or 407 that belong to its status, in order; of another status, none.

    A malformed line is passed over while another can be read, else it raises RemoteError(400): a peer that
    offers something new in a new form may still offer the old.
    """
    header = CHALLENGE_HEADERS.get(response.status)
    challenges: list[Challenge] = []
    failure: RemoteError | None = None
    for line in response.headers.get_all(header) if header else ():
        try:
            challenges += Challenge.parse_many(line)
        except RemoteError as error:
            failure = error
    if failure is not None and not challenges:
        raise failure
    return challenges


def parse_schemes(line: str) -> list[tuple[str, Params]]:
    """The (scheme, parameters) of one line of challenges or credentials; parameters of Digest only.

    What follows other schemes has a form of its own (RFC 9110 section 11.2 `token68`) and is not looked at.
    Raises RemoteError(400) when the line is malformed.
    """
    found: list[tuple[str, list[tuple[str, str | None]]]] = []
    for element in split_commas(line):
        rest: str | None = element
        if _PARAMETER.fullmatch(element) is None:
            # No `name=value`, so `scheme` or `scheme name=value`, or anything inside another scheme.
            start = _SCHEME.fullmatch(element)
            if start is not None:
                found.append((start[1], []))
                rest = start[2]
        if not rest:
            continue
        if not found:
            raise RemoteError(400, "Authentication parameters without a scheme")
        scheme, items = found[-1]
        if is_digest(scheme):
            items.append(_parameter(rest))
    return [(scheme, Params(items)) for scheme, items in found]


def is_digest(scheme: str) -> bool:
    """True for the only scheme that we speak."""
    return scheme.lower() == "digest"


def _parameter(text: str) -> tuple[str, str]:
    parameter = _PARAMETER.fullmatch(text)
    if parameter is None:
        raise RemoteError(400, "Malformed authentication parameter")
    return parameter[1], parameter[2]
