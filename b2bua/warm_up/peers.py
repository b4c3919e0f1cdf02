"""A caller and those it calls, as text with holes in it: they cost next to nothing beside the B2BUA between them.

No sockets and no clock: messages in, messages out. What they say is right for a peer that loses nothing and is in no
hurry, over UDP: they repeat nothing, and take a repetition for the message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sip_stack.transport import Address

REQUEST = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch=z9hG4bK-{number}-{cseq}-{method}\r\n"
    'From: "Caller" <sip:caller@{caller}>;tag=caller{number}\r\nTo: <sip:{user}@{server}>{to_tag}\r\n'
    "Call-ID: {number}@{host}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{caller}>\r\nMax-Forwards: 70\r\n"
)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
"""Audio to the port that discards (RFC 863): nobody sends any."""
WITHOUT = "Content-Length: 0\r\n\r\n"
CHALLENGE = (
    'Proxy-Authenticate: Digest realm="warm-up", nonce="{number}", qop="auth", algorithm=SHA-256\r\n'
    'Proxy-Authenticate: Digest realm="warm-up", nonce="{number}", qop="auth", algorithm=MD5\r\n'
)
GUARDED = b"INVITE sip:guarded@"
"""How an INVITE begins that is asked for a password."""

_COPIED = re.compile(rb"^(?:Via|From|Call-ID|CSeq): .*\r\n", re.MULTILINE)
_TO = re.compile(rb"^To: [^\r]*", re.MULTILINE)
_TO_TAG = re.compile(rb"^To: [^\r]*(;tag=[^\r;]*)", re.MULTILINE)
_TO_USER = re.compile(rb"^To: <sip:([^@]*)@", re.MULTILINE)
_CONTACT = re.compile(rb"^Contact: <([^>]*)>", re.MULTILINE)
_CALL_ID = re.compile(rb"^Call-ID: ([0-9]+)", re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio ([0-9]+)", re.MULTILINE)
_CSEQ = re.compile(rb"^CSeq: ([0-9]+)", re.MULTILINE)


class Answer(NamedTuple):
    """What a 200 says to the caller: with whom they are in a dialog."""

    number: int
    """Of the call."""
    user: str
    uri: str
    """Where requests in the dialog go; empty in the answer to a BYE."""
    to_tag: str

    @classmethod
    def of(cls, response: bytes) -> Answer:
        """Of a 200 to a request that `Caller` made."""
        number, user, tag = _CALL_ID.search(response), _TO_USER.search(response), _TO_TAG.search(response)
        uri = _CONTACT.search(response)
        assert number is not None, response
        assert user is not None, response
        assert tag is not None, response
        return cls(int(number[1]), user[1].decode(), "" if uri is None else uri[1].decode(), tag[1].decode())


class Caller:
    """Who calls, from one address; calls are told from each other by their numbers."""

    def __init__(self, address: Address, server: Address) -> None:
        host = address[0]
        self._names = {"caller": _joined(address), "host": host, "server": _joined(server)}
        sdp = SDP.format(host=host)
        self._with_sdp = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"

    def invite(self, number: int, user: str) -> bytes:
        """INVITE with an offer."""
        uri = f"sip:{user}@{self._names['server']}"
        return self._request("INVITE", Answer(number, user, uri, ""), 1, self._with_sdp)

    def ack(self, answer: Answer) -> bytes:
        """ACK to a 200."""
        return self._request("ACK", answer, 1, WITHOUT)

    def bye(self, answer: Answer) -> bytes:
        """Hang up."""
        return self._request("BYE", answer, 2, WITHOUT)

    def _request(self, method: str, to: Answer, cseq: int, rest: str) -> bytes:
        head = REQUEST.format(
            method=method,
            uri=to.uri,
            number=to.number,
            user=to.user,
            cseq=cseq,
            to_tag=to.to_tag,
            **self._names,
        )
        return f"{head}{rest}".encode()


class Callee:
    """Who is called: rings and answers at once, and agrees to all that is asked of them."""

    def __init__(self, address: Address) -> None:
        sdp = SDP.format(host=address[0])
        contact = f"\r\nContact: <sip:callee@{_joined(address)}>\r\n"
        self._without = f"{contact}{WITHOUT}".encode()
        self._with_sdp = (
            f"{contact}Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}".encode()
        )

    def hear(self, request: bytes) -> list[bytes]:
        """The responses to a request."""
        if request.startswith(b"ACK "):
            return []
        if not request.startswith(b"INVITE "):
            return [self._response(request, b"200 OK", self._without)]
        if request.startswith(GUARDED) and b"\r\nProxy-Authorization:" not in request:
            return [self._challenge(request)]
        answer = self._response(request, b"200 OK", self._with_sdp)
        if _is_inside_dialog(request):
            return [answer]
        return [self._response(request, b"180 Ringing", self._without), answer]

    def _challenge(self, request: bytes) -> bytes:
        cseq = _CSEQ.search(request)
        assert cseq is not None, request
        rest = f"\r\n{CHALLENGE.format(number=cseq[1].decode())}{WITHOUT}".encode()
        return self._response(request, b"407 Proxy Authentication Required", rest)

    @staticmethod
    def _response(request: bytes, status: bytes, rest: bytes) -> bytes:
        to = _TO.search(request)
        assert to is not None, request
        tag = b"" if b";tag=" in to[0] else b";tag=callee"
        return b"".join([b"SIP/2.0 ", status, b"\r\n", *_COPIED.findall(request), to[0], tag, rest])


def is_to_bye(response: bytes) -> bool:
    """Whether it answers a BYE, else an INVITE: a caller asks nothing else."""
    return b" BYE\r\n" in response


def audio_port(offer: bytes) -> int:
    """Where who makes this offer wants to hear."""
    port = _AUDIO.search(offer)
    assert port is not None, offer
    return int(port[1])


def _is_inside_dialog(request: bytes) -> bool:
    return _TO_TAG.search(request) is not None


def _joined(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
