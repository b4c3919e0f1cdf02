"""How long an INVITE is inside a server: from our sending it in to the kernel's receiving what goes out.

Caller and callee are two sockets of this process; the callee refuses at once, so that a probe costs the server little.
The kernel stamps what arrives, so that it does not count how long this process waits for its turn.
"""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time

from tests.support.ports import LOOPBACK

SO_TIMESTAMPNS = 35
"""Of Linux; Python has no name for it."""
_STAMP = struct.Struct("@ll")
_COPIED = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq): .*\r\n", re.MULTILINE)
_NUMBER = re.compile(rb"^From: .*sip:probe(\d+)@", re.MULTILINE)
_TO = re.compile(rb"^(To: [^\r]*)", re.MULTILINE)
_LINE = re.compile(rb"^(?:Via|From|To|Call-ID): .*\r\n", re.MULTILINE)

SDP = (
    f"v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class InviteProbe:
    """Sends INVITEs at a steady pace, and notes how long each took to the callee."""

    def __init__(self) -> None:
        self._caller, self._callee = _socket(), _socket()
        self._callee.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._sent: dict[int, int] = {}
        self.took_us: list[float] = []
        """Microseconds, one for each INVITE that came out."""

    @property
    def address(self) -> str:
        """HOST:PORT where the callee waits."""
        return f"{LOOPBACK}:{self._callee.getsockname()[1]}"

    def run(self, target: str, user: str, rate: float, seconds: float) -> None:
        """Probe `user` at `target` (HOST:PORT) so many times a second."""
        host, _, port = target.rpartition(":")
        server = (host, int(port))
        begun = time.monotonic()
        calls = round(rate * seconds)
        with selectors.DefaultSelector() as selector:
            selector.register(self._caller, selectors.EVENT_READ, self._hear_answer)
            selector.register(self._callee, selectors.EVENT_READ, self._hear_invite)
            for number in range(calls):
                self._invite(number, server, user)
                due = begun + (number + 1) / rate
                while (left := due - time.monotonic()) > 0:
                    for key, _ in selector.select(left):
                        key.data()

    def close(self) -> None:
        """Close its sockets."""
        self._caller.close()
        self._callee.close()

    def _invite(self, number: int, server: tuple[str, int], user: str) -> None:
        us = f"{LOOPBACK}:{self._caller.getsockname()[1]}"
        uri = f"sip:{user}@{server[0]}:{server[1]}"
        text = (
            f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKprobe{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:probe{number}@{us}>;tag=probe{number}\r\nTo: <{uri}>\r\nCall-ID: probe{number}@{us}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:probe@{us}>\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(SDP)}\r\n\r\n{SDP}"
        )
        self._sent[number] = time.time_ns()
        self._caller.sendto(text.encode(), server)

    def _hear_invite(self) -> None:
        data, ancillary, _, source = self._callee.recvmsg(65_535, 64)
        if not data.startswith(b"INVITE "):
            return
        found = _NUMBER.search(data)
        assert found is not None, data
        # The first of each only: a repetition says how long the answer took.
        sent = self._sent.pop(int(found[1]), None)
        if sent is not None:
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
            self.took_us.append((seconds * 1_000_000_000 + nanoseconds - sent) / 1000)
        head = _TO.sub(rb"\1;tag=probe", b"".join(_COPIED.findall(data)))
        self._callee.sendto(b"SIP/2.0 486 Busy Here\r\n" + head + b"Content-Length: 0\r\n\r\n", source)

    def _hear_answer(self) -> None:
        data, source = self._caller.recvfrom(65_535)
        status = int(data[8:11])
        if status >= 200:
            head = (
                b"".join(_LINE.findall(data))
                + b"CSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            to = re.search(rb"^To: <([^>]*)>", data, re.MULTILINE)
            assert to is not None, data
            self._caller.sendto(b"ACK " + to[1] + b" SIP/2.0\r\n" + head, source)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK, 0))
    return sock
