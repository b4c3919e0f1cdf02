"""A flood: garbage, scanners and half-right SIP from many loopback addresses, so much a second for so long and no more.

Run as a program it sends and then prints one line of JSON with what it sent and what came back. `Flood` runs it.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__:
    from tests.support.processes import ChildProcess

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_RATE = 200_000
MAX_SECONDS = 600.0
MAX_SOURCES = 250
VARIANTS = 2_000
"""Packets made beforehand; each source sends them in turn."""
BURST_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class FloodCounters:
    """What a flood did."""

    sent: int
    blocked: int
    """Packets that the sender's own socket did not take."""
    answers: int
    """Datagrams that came back to any of its addresses."""
    seconds: float


def sip(dice: random.Random, method: str, agent: str, *, body: str = "", more: str = "") -> str:
    """A request as a scanner makes it; the source address in it is anybody's."""
    word = dice.randbytes(6).hex()
    return (
        f"{method} sip:{dice.randrange(10_000)}@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 10.0.0.{dice.randrange(256)}:{dice.randrange(1024, 65536)};branch=z9hG4bK-{word};rport\r\n"
        f'From: "{agent}" <sip:100@1.1.1.1>;tag={word}\r\nTo: <sip:100@1.1.1.1>\r\nCall-ID: {word}\r\n'
        f"CSeq: 1 {method}\r\nContact: <sip:100@10.0.0.1:5060>\r\nMax-Forwards: 70\r\nUser-Agent: {agent}\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def _offer(dice: random.Random) -> str:
    return (
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
        f"m=audio {dice.randrange(1024, 65536)} RTP/AVP 0 8\r\n"
    )


def _cut(dice: random.Random) -> bytes:
    whole = sip(dice, "INVITE", "Phone/1.0", body=_offer(dice)).encode()
    return whole[: dice.randrange(len(whole))]


def _damaged(dice: random.Random) -> bytes:
    data = bytearray(sip(dice, "INVITE", "Phone/1.0", body=_offer(dice)).encode())
    for _ in range(8):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


def _response(dice: random.Random) -> bytes:
    word = dice.randbytes(6).hex()
    return (
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{word}\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:a@b>;tag=2\r\nCall-ID: {word}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


Kind = Callable[[random.Random], bytes]

SCANNERS: Sequence[Kind] = (
    lambda dice: sip(dice, "OPTIONS", "friendly-scanner").encode(),
    lambda dice: sip(dice, "REGISTER", "sipvicious").encode(),
    lambda dice: sip(dice, "INVITE", "sipcli/v1.8", body=_offer(dice)).encode(),
)
OTHERS: Sequence[Kind] = (
    lambda dice: dice.randbytes(dice.randrange(1, 1200)),
    lambda dice: b"\r\n\r\n",
    lambda dice: sip(dice, "INVITE", "Phone/1.0", body=_offer(dice)).encode(),
    lambda dice: sip(dice, "OPTIONS", "Phone/1.0").encode(),
    lambda dice: sip(dice, "ACK", "Phone/1.0").encode(),
    lambda dice: sip(dice, "CANCEL", "Phone/1.0").encode(),
    _cut,
    _damaged,
    _response,
)
LARGE: Sequence[Kind] = (
    lambda dice: sip(dice, "INVITE", "Phone/1.0", more="X: y\r\n" * 2000).encode(),
    lambda dice: sip(dice, "INVITE", "Phone/1.0", more="Via: a,b,c" + ";x" * 20_000 + "\r\n").encode(),
)


def packets(seed: int, kinds: Sequence[Kind]) -> list[bytes]:
    """`VARIANTS` packets, the same for the same seed; large ones are rare, as the loopback copies each octet."""
    dice = random.Random(seed)
    return [dice.choice(LARGE if number % 200 == 0 else kinds)(dice) for number in range(VARIANTS)]


def flood(target: tuple[str, int], *, sources: int, rate: int, seconds: float, seed: int) -> FloodCounters:
    """Send `rate` packets a second for `seconds` from 127.0.0.2 and its neighbours; every other one is a scanner."""
    variants = packets(seed, SCANNERS), packets(seed, OTHERS)
    sockets = [_open(f"127.0.0.{number + 2}") for number in range(sources)]
    start = time.monotonic()
    sent = blocked = answers = 0
    while (elapsed := time.monotonic() - start) < seconds:
        for number in range(sent + blocked, int(elapsed * rate)):
            try:
                data = variants[number % sources % 2][number // sources % VARIANTS]
                sockets[number % sources].sendto(data, target)
                sent += 1
            except BlockingIOError:
                blocked += 1
        answers += sum(map(_drain, sockets))
        time.sleep(BURST_SECONDS)
    time.sleep(0.5)
    answers += sum(map(_drain, sockets))
    for sock in sockets:
        sock.close()
    return FloodCounters(sent, blocked, answers, seconds)


def _open(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((address, 0))
    return sock


def _drain(sock: socket.socket) -> int:
    """How many datagrams were waiting; at most a few at a time, so that sending goes on."""
    for number in range(20):
        try:
            sock.recv(65535)
        except BlockingIOError:
            return number
    return 20


def main() -> None:
    """The program: bounded whatever it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, help="UDP port on 127.0.0.1; nothing else can be flooded")
    parser.add_argument("--sources", type=int, default=50)
    parser.add_argument("--rate", type=int, default=5_000, help="packets per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counters = flood(
        ("127.0.0.1", options.port),
        sources=max(1, min(options.sources, MAX_SOURCES)),
        rate=max(1, min(options.rate, MAX_RATE)),
        seconds=min(options.seconds, MAX_SECONDS),
        seed=options.seed,
    )
    sys.stdout.write(json.dumps(asdict(counters)) + "\n")


if __package__:

    class Flood(ChildProcess):
        """A flood on its way, in a process of its own."""

        def __init__(
            self,
            folder: Path,
            port: int,
            *,
            sources: int = 50,
            rate: int = 5_000,
            seconds: float = 20.0,
            seed: int = 1,
            cpus: Sequence[int] | None = None,
        ) -> None:
            """Start it against 127.0.0.1 at `port`."""
            self._seconds = seconds
            options = {"--sources": sources, "--rate": rate, "--seconds": seconds, "--seed": seed}
            arguments = [str(word) for option in options.items() for word in option]
            command: list[str | Path] = [sys.executable, Path(__file__), str(port), *arguments]
            super().__init__("flood", command, folder, cpus=cpus)

        def finished(self) -> FloodCounters:
            """What it did, when it is over."""
            self.wait(self._seconds + 30)
            return FloodCounters(**json.loads(self.output))


if __name__ == "__main__":
    main()
