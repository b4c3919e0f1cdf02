"""A daemon in memory behind `media.rtpengine.node.Node`'s face: it keeps what it is told, and answers when asked to."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from typing import cast

from media.engine import Codec
from media.rtpengine.bencode import Writable
from media.rtpengine.connection import OnReply, Reply
from media.rtpengine.description import LocalKey, Opened, inside, read
from media.rtpengine.node import Node
from media.rtpengine.settings import Interfaces, NgAddress
from media.rtpengine.spares import Spare
from media.srtp import CryptoSuite

HOST = "192.0.2.7"
HOST6 = "2001:db8::7"
KEY = bytes(range(30))


class NodeDouble:
    """Legs have the ports 10000, 10004 and so on outside, two more inside. `commands` are those told, in order."""

    def __init__(self) -> None:
        self.where = NgAddress("tcp", HOST, 2223)
        self.interfaces: Interfaces | None = None
        self.commands: list[tuple[str, Mapping[str, Writable]]] = []
        self.questions = 0
        """How often it was asked for packets."""
        self.clock = 1_796_000_000.0
        """Its time when that of the loop is 0."""
        self._counted: dict[str, tuple[int, int]] = {}
        """Of each leg the packets, and when the last one came."""
        self.in_use = 0
        self.doubted = False
        self.has_ipv6 = False
        """It has an address of IPv6, too: `HOST6`, for the outside of legs alone."""
        self.refused: dict[str, str] = {}
        """Commands it refuses, and why."""
        self._waiting: deque[tuple[str, Mapping[str, Writable], OnReply]] = deque()
        self._ports: dict[str, int] = {}

    @property
    def as_node(self) -> Node:
        """For those who want one."""
        return cast(Node, self)

    def has_address(self, family: str) -> bool:
        """As in `Node`."""
        return family == "IP4" or self.has_ipv6

    def take(self, family: str) -> Spare | None:
        """A leg."""
        if not self.has_address(family):
            return None
        self.in_use += 1
        identity = f"leg-{len(self._ports)}"
        self._ports[identity] = 10_000 + 4 * len(self._ports)
        keys = {CryptoSuite.AES_CM_128_HMAC_SHA1_80: LocalKey(6, KEY)}
        host = HOST if family == "IP4" else HOST6
        return Spare(identity, Opened((host, self._ports[identity]), keys), 0.0)

    async def recover(self, identity: str, host: str) -> Spare:
        """As in `Node`."""
        self.in_use += 1
        port = self._ports[identity]
        return Spare(identity, Opened((host, port)), 0.0, (host, port + 2))

    def give_back(self, identity: str, on_reply: OnReply) -> None:
        """As in `Node`; the reply comes with those to the questions for packets."""
        self.in_use -= 1
        self.commands.append(("give back", {"call-id": identity}))
        self._waiting.append(("query", {"call-id": identity}, on_reply))

    def doubt(self) -> None:
        """As in `Node`."""
        self.doubted = True

    def request(self, command: str, arguments: Mapping[str, Writable], on_reply: OnReply) -> None:
        """As in `Node`; waits for `answer`."""
        self._waiting.append((command, arguments, on_reply))
        if command == "query":
            self.questions += 1
        else:
            self.commands.append((command, arguments))

    def answer(self) -> None:
        """Answers all that was asked, and what is asked because of that; not the questions for packets."""
        kept = []
        while self._waiting:
            asked = self._waiting.popleft()
            if asked[0] == "query":
                kept.append(asked)
            else:
                asked[2](self._reply(asked[0], asked[1]))
        self._waiting.extend(kept)

    def count(self, **packets: int) -> None:
        """Answers the questions for packets: so many have come to each leg, by its number, the last one just now."""
        now = int(self.clock + asyncio.get_running_loop().time())
        for leg, number in packets.items():
            if number != self._counted.get(leg, (0, 0))[0]:
                self._counted[leg] = number, now
        asked, self._waiting = self._waiting, deque()
        for each in asked:
            if each[0] == "query":
                each[2](counted(*self._counted.get(str(each[1]["call-id"]).replace("-", ""), (0, 0))))
            else:
                self._waiting.append(each)

    def told(self) -> list[str]:
        """The commands since the last time, as `LEG COMMAND`, with what an offer sends to and what is blocked."""
        taken, self.commands = self.commands, []
        return [_short(command, arguments) for command, arguments in taken]

    def restart(self) -> None:
        """From now on legs have other ports."""
        self._ports = {identity: port + 1000 for identity, port in self._ports.items()}

    def _reply(self, command: str, arguments: Mapping[str, Writable]) -> Reply:
        if command in self.refused:
            return {"result": b"error", "error-reason": self.refused[command].encode()}
        port = self._ports[str(arguments["call-id"])] + (2 if command == "answer" else 0)
        host = HOST6 if arguments.get("address-family") == "IP6" else HOST
        crypto = f"a=crypto:6 AES_CM_128_HMAC_SHA1_80 inline:{b64encode(KEY).decode()}\r\n"
        return {"result": b"ok", "sdp": (inside((host, port), Codec.PCMU, 101) + crypto).encode()}


def counted(packets: int, last_packet: int = 0) -> Reply:
    """The reply to `query` of a leg whose peer has sent so many packets of 160 octets, the last one then."""
    rtp: Reply = {
        "last packet": last_packet,
        "stats": {"packets": packets, "bytes": 172 * packets, "errors": 0},
    }
    return {
        "result": b"ok",
        "tags": {"ext": {"medias": [{"streams": [rtp, {"stats": {"packets": 1}}]}]}},
    }


def _short(command: str, arguments: Mapping[str, Writable]) -> str:
    more = str(arguments.get("from-tag", ""))
    if command == "offer":
        more = str(read(str(arguments["sdp"])).address[1])
    elif command == "answer":
        more = ""
    return f"{arguments['call-id']!s} {command.removesuffix(' media')} {more}".strip()
