"""One INVITE usage whose peer challenges it, for the tests of the digest client."""

from __future__ import annotations

import itertools

import pytest

from sip_stack.auth import AuthRejected, Credentials, DigestClient, algorithm_named, response_value
from sip_stack.auth.challenge import parse_schemes
from sip_stack.message import Params, Request, Response

URI = "sip:queue-1@cc.example.com:5070;transport=udp"
SECRET = "s3cr3t-passw0rd"
CREDENTIALS = Credentials("acme", SECRET)


class Call:
    """One INVITE usage and its peer: requests are made as the stack makes them, CSeq + 1 for each retry."""

    def __init__(self, credentials: Credentials | None = CREDENTIALS) -> None:
        cnonces = (f"cnonce-{number}" for number in itertools.count(1))
        self.client = DigestClient(credentials, lambda: next(cnonces))
        self.cseq = 0
        self.request = self.send("INVITE")

    def send(self, method: str, body: bytes = b"") -> Request:
        """A new request, taken up by the client."""
        self.cseq += 1
        self.request = Request(method, URI, [("CSeq", f"{self.cseq} {method}")], body)
        self.client.begin(self.request)
        return self.request

    def challenged(self, status: int, *challenges: str) -> Request:
        """The peer refuses the last request; returns the retry, or raises what the client raises."""
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        response = Response(status, None, [(name, text) for text in challenges])
        response.headers.add("CSeq", f"{self.cseq} {self.request.method}")
        self.cseq += 1
        retry = Request(self.request.method, self.request.uri, self.request.headers.copy(), self.request.body)
        retry.headers.set("CSeq", f"{self.cseq} {retry.method}")
        self.client.answer(response, retry)
        self.request = retry
        return retry

    def refused(self, status: int, *challenges: str) -> AuthRejected:
        """The peer refuses the last request, and the client gives up."""
        with pytest.raises(AuthRejected) as caught:
            self.challenged(status, *challenges)
        return caught.value


def challenge(nonce: str = "n1", realm: str = "cc", extra: str = 'qop="auth"') -> str:
    text = f'Digest realm="{realm}", nonce="{nonce}"'
    return f"{text}, {extra}" if extra else text


def sent(request: Request, name: str = "Authorization") -> Params:
    """The parameters of the only credentials of that name."""
    (line,) = request.headers.get_all(name)
    ((scheme, params),) = parse_schemes(line)
    assert scheme == "Digest"
    return params


def is_right(request: Request, params: Params, credentials: Credentials = CREDENTIALS) -> bool:
    """Whether the response hash is what the peer computes from what it received."""
    algorithm = algorithm_named(params.get("algorithm"))
    assert algorithm is not None
    return params.get("response") == response_value(
        algorithm,
        username=credentials.username,
        password=credentials.password,
        realm=params.get("realm") or "",
        nonce=params.get("nonce") or "",
        method=request.method,
        uri=request.uri,
        qop=params.get("qop"),
        nonce_count=params.get("nc") or "",
        cnonce=params.get("cnonce") or "",
        body=request.body,
    )
