"""Free UDP ports on loopback, picked at run time. Before they are used somebody else may take one: rare, as each worker
of `pytest -n` looks among its own."""

from __future__ import annotations

import os
import random
import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def _range_of(worker: str) -> tuple[int, int]:
    """Of the ports below the range the system hands out by itself (ip_local_port_range), which other sockets of a test
    come from: half of them for each of the two workers of `make test`."""
    half = {"gw0": (10_000, 21_000), "gw1": (21_000, 32_000)}
    return half.get(worker, (10_000, 32_000))


_LOWEST, _HIGHEST = _range_of(os.environ.get("PYTEST_XDIST_WORKER", ""))

# SIPp binds the first two pairs of its range when it starts, audio and video, and ends when it cannot.
_FIRST = 4

BLOCK = 200
"""Ports of a `PortBlock`, of which the first is a multiple."""

# Not the generator that tests seed: each of them would start at the same port.
_anywhere = random.SystemRandom()


def _bind(stack: ExitStack, port: int) -> int:
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind((LOOPBACK, port))
    return int(sock.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """`count` different UDP ports that nobody uses now."""
    with ExitStack() as stack:
        return [_bind(stack, 0) for _ in range(count)]


def free_port() -> int:
    """A UDP port that nobody uses now."""
    return free_ports(1)[0]


def free_stream_port() -> int:
    """A port for a TCP or TLS listener. Below the range that the system takes the local ends of connections from: on a
    port of such a connection some libraries believe that they listen, and nobody gets in."""
    while True:
        port = free_port_range(2)[0]
        if not listened_to(port):
            return port


def free_port_range(count: int) -> tuple[int, int]:
    """The first (even) and last of `count` consecutive UDP ports that are free. Raises OSError when there are none.

    In a long range one in ten may be taken, except for the first: who asks for hundreds of ports passes over those.
    """
    for _ in range(200):
        first = _anywhere.randrange(_LOWEST, _HIGHEST - count, 2)
        if _in_a_block(first, count):
            continue
        taken = [port for port in range(first, first + count) if in_use(port)]
        many = count // 10 if count >= 100 else 0
        if not taken or (len(taken) <= many and taken[0] >= first + _FIRST):
            return first, first + count - 1
    raise OSError(f"found no {count} consecutive free UDP ports")


class PortBlock:
    """UDP ports for a program that takes ports which are in use, too, as rtpengine does: nobody else gets them."""

    def __init__(self, blocks: int = 1) -> None:
        """The first port of a block is held, to say to all processes that the others are taken; so with several in a
        row."""
        firsts = range(_LOWEST, _HIGHEST - blocks * BLOCK, BLOCK)
        for first in _anywhere.sample(firsts, len(firsts)):
            if any(in_use(port) for port in range(first, first + blocks * BLOCK)):
                continue
            with ExitStack() as stack:
                try:
                    for each in range(first, first + blocks * BLOCK, BLOCK):
                        _bind(stack, each)
                except OSError:
                    continue
                self.first, self.last = first + 2, first + blocks * BLOCK - 1
                self._held = stack.pop_all()
                return
        raise OSError("found no block of free UDP ports")

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def release(self) -> None:
        """For others."""
        self._held.close()


def _in_a_block(first: int, count: int) -> bool:
    """Whether some of these ports are somebody's who has not taken them all yet."""
    return any(in_use(start) for start in range(first // BLOCK * BLOCK, first + count, BLOCK))


def in_use(port: int) -> bool:
    """True when somebody listens on this UDP port."""
    try:
        with ExitStack() as stack:
            _bind(stack, port)
    except OSError:
        return True
    return False


def listened_to(port: int) -> bool:
    """True when somebody listens on this TCP port. Asked without connecting, which a server might take for a peer."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
