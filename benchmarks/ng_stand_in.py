"""Answers the ng protocol as rtpengine 10.5.3 does, without ports and without sound: for calls by the thousand.

`rtpengine` itself takes eight sockets for a call, so that ten thousand would need several daemons, and more of the one
core that the load has than there is. The replies are as long as its own, have as many values in the same order, and
tell fifty packets a second for each side of a leg from its first answer on, as if both peers spoke.

    ng_stand_in.py PORT

listens on that port of 127.0.0.1 by TCP, and says `ready`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from media.rtpengine.bencode import Incomplete, Value, Writable, decode_at, encode

HOST = "127.0.0.1"
PACKETS_PER_SECOND, OCTETS = 50, 172
SUITES = {
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Those that it offers, and the octets of their keys."""
KEYS = [
    f"a=crypto:{number} {suite} inline:{b64encode(bytes(octets)).decode().rstrip('=')}"
    for number, (suite, octets) in enumerate(SUITES.items(), 1)
]
OK, PONG = encode({"result": "ok"}), encode({"result": "pong"})
UNKNOWN = encode({"result": "error", "error-reason": "Unknown call-id"})
FIELDS = ("created", "int", "int+1", "ext", "ext+1", "now", "packets", "octets")
"""What differs in what is told of two legs; in the template each has a number of its own."""


def figures() -> bytes:
    """The template of what `query` and `delete` tell of a leg: `%(FIELD)d` where a number belongs."""
    numbers = {name: 4_000_000_001 + place for place, name in enumerate(FIELDS)}

    def stream(port: str, kind: str) -> dict[str, Writable]:
        at: dict[str, Writable] = {"family": "IPv4", "address": HOST, "port": numbers[port]}
        said: dict[str, Writable] = {"packets": numbers["packets"], "bytes": numbers["octets"], "errors": 0}
        return {
            "local port": numbers[port],
            "local address": HOST,
            "family": "IPv4",
            "endpoint": at,
            "advertised endpoint": at,
            "crypto suite": "AEAD_AES_256_GCM",
            "last packet": numbers["now"],
            "flags": [kind, "filled", "strict source address"],
            "stats": said,
        }

    def side(tag: str, other: str) -> dict[str, Writable]:
        to: Writable = [{"tag": other, "type": "offer/answer"}]
        media: dict[str, Writable] = {
            "index": 1,
            "type": "audio",
            "protocol": "RTP/AVP",
            "streams": [stream(tag, "RTP"), stream(f"{tag}+1", "RTCP")],
            "flags": ["initialized", "asymmetric", "send", "recv"],
        }
        beside = {"created": numbers["created"], "subscriptions": to, "subscribers": to}
        return {"tag": tag, **beside, "medias": [media]}

    total: dict[str, Writable] = {"packets": 0, "bytes": 0, "errors": 0}
    told: dict[str, Writable] = {
        "created": numbers["created"],
        "created_us": 0,
        "last signal": numbers["created"],
        "SSRC": {},
        "tags": {"int": side("int", "ext"), "ext": side("ext", "int")},
        "totals": {"RTP": total, "RTCP": total},
        "result": "ok",
    }
    written = encode(told)
    for name, number in numbers.items():
        written = written.replace(b"i%de" % number, b"i%%(%b)de" % name.encode())
    return written


FIGURES = figures()


class Leg:
    """A call of rtpengine's: the ports of its two sides."""

    def __init__(self, number: int) -> None:
        self.outside = 10_000 + number * 4 % 50_000
        self.inside = self.outside + 2
        self.created = time.time()
        self.talks_since: float | None = None
        """The first answer."""

    def figures(self) -> bytes:
        """What `query` and `delete` tell of it."""
        now = time.time()
        talked = 0.0 if self.talks_since is None else now - self.talks_since
        packets = int(talked * PACKETS_PER_SECOND)
        ports = (self.inside, self.inside + 1, self.outside, self.outside + 1)
        values = (int(self.created), *ports, int(now), packets, packets * OCTETS)
        return FIGURES % {name.encode(): value for name, value in zip(FIELDS, values, strict=True)}


class Daemon(asyncio.Protocol):
    """One connection; all share the legs."""

    legs: ClassVar[dict[bytes, Leg]] = {}
    made = 0
    started = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: answers all requests that are whole, at once."""
        received, at, replies = self._received + data, 0, []
        while (space := received.find(b" ", at)) >= 0:
            try:
                request, end = decode_at(received, space + 1)
            except Incomplete:
                break
            assert isinstance(request, dict)
            replies.append(received[at : space + 1] + self._reply(request))
            at = end
        self._received = received[at:]
        if replies:
            self._transport.write(b"".join(replies))

    def _reply(self, request: dict[str, Value]) -> bytes:
        command, identity = request["command"], request.get("call-id", b"")
        assert isinstance(identity, bytes)
        leg = self.legs.get(identity)
        match command:
            case b"ping":
                return PONG
            case b"statistics":
                uptime = str(int(time.monotonic() - self.started))
                return encode({"result": "ok", "statistics": {"totalstatistics": {"uptime": uptime}}})
            case b"offer":
                if leg is None:
                    leg = self.legs[identity] = Leg(Daemon.made)
                    Daemon.made += 1
                return described(leg.outside, secure=request["transport-protocol"] == b"RTP/SAVP")
            case _ if leg is None:
                return UNKNOWN
            case b"answer":
                leg.talks_since = leg.talks_since or time.time()
                return described(leg.inside, secure=False)
            case b"query":
                return leg.figures()
            case b"delete":
                del self.legs[identity]
                return leg.figures() if "from-tag" in request else OK
            case _:
                return OK


def described(port: int, *, secure: bool) -> bytes:
    """The reply to an offer or an answer."""
    lines = [
        *("v=0", f"o=- 1 1 IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0"),
        f"m=audio {port} {'RTP/SAVP' if secure else 'RTP/AVP'} 0 101",
        *("a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=sendrecv"),
        *(f"a=rtcp:{port + 1}", "a=rtcp-mux"),
        *(KEYS if secure else ()),
    ]
    return encode({"sdp": "\r\n".join(lines) + "\r\n", "result": "ok"})


async def main() -> None:
    """Serves until it is ended."""
    server = await asyncio.get_running_loop().create_server(Daemon, HOST, int(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
