"""Free ports on loopback, for UDP and TCP, picked at run time: one after the other, so that none is given twice before
all others were."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
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


class _Turn:
    """Where to look next. Who is given a port may take minutes to bind it, so the next one is given another."""

    def __init__(self) -> None:
        # Anywhere, for the sake of other runs on the machine; not by the generator that tests seed.
        self._next = random.SystemRandom().randrange(_LOWEST, _HIGHEST)

    def take(self, count: int, multiple: int) -> int:
        """The first of the next `count` ports, a multiple of that; from the lowest again after the highest."""
        first = -(-self._next // multiple) * multiple
        if first + count > _HIGHEST:
            first = -(-_LOWEST // multiple) * multiple
        self._next = first + count
        return first


_turn = _Turn()


def free_port() -> int:
    """A port that nobody uses now, of UDP or TCP."""
    return free_port_range(2)[0]


def free_port_range(count: int) -> tuple[int, int]:
    """The first (even) and last of `count` consecutive ports that are free. Raises OSError when there are none.

    In a long range one in ten may be taken, except for the first: who asks for hundreds of ports passes over those.
    """
    for _ in range((_HIGHEST - _LOWEST) // 2):
        first = _turn.take(count, 2)
        if _has_first_of_block(first, count) or _in_a_block(first, count):
            continue
        taken = [port for port in range(first, first + count) if not _free(port)]
        many = count // 10 if count >= 100 else 0
        if not taken or (len(taken) <= many and taken[0] >= first + _FIRST):
            return first, first + count - 1
    raise OSError(f"found no {count} consecutive free ports")


class PortBlock:
    """UDP ports for a program that takes ports which are in use, too, as rtpengine does: nobody else gets them."""

    def __init__(self, blocks: int = 1) -> None:
        """The first port of a block is held, to say to all processes that the others are taken; so with several in a
        row."""
        for _ in range((_HIGHEST - _LOWEST) // BLOCK):
            first = _turn.take(blocks * BLOCK, BLOCK)
            if not all(map(_free, range(first, first + blocks * BLOCK))):
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
        raise OSError("found no block of free ports")

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def release(self) -> None:
        """For others."""
        self._held.close()


def in_use(port: int) -> bool:
    """True when somebody listens on this UDP port."""
    return any(int(local.rpartition(":")[2], 16) == port for local, _ in _table("udp"))


def listened_to(port: int) -> bool:
    """True when somebody listens on this TCP port."""
    listens = "0A"
    return any(
        state == listens and int(local.rpartition(":")[2], 16) == port for local, state in _table("tcp")
    )


def _table(name: str) -> Iterator[tuple[str, str]]:
    """Local address and state of each socket. Who looks by binding, or by connecting, is in the way of a program that
    binds just then, or is taken for a peer."""
    with open(f"/proc/net/{name}") as lines:
        next(lines)
        for line in lines:
            _, local, _, state, *_ = line.split()
            yield local, state


def _free(port: int) -> bool:
    """Whether anybody can bind it: also who does not pass over what an earlier connection left in TIME_WAIT."""
    return _can_bind(port, socket.SOCK_DGRAM) and _can_bind(port, socket.SOCK_STREAM)


def _has_first_of_block(first: int, count: int) -> bool:
    """Whether a range that needs no block has the first port of one: who binds that takes the whole block."""
    return count < BLOCK and -first % BLOCK < count


def _in_a_block(first: int, count: int) -> bool:
    """Whether some of these ports are somebody's who has not taken them all yet."""
    starts = range(first // BLOCK * BLOCK, first + count, BLOCK)
    return not all(_can_bind(start, socket.SOCK_DGRAM) for start in starts)


def _can_bind(port: int, kind: socket.SocketKind) -> bool:
    try:
        with ExitStack() as stack:
            _bind(stack, port, kind)
    except OSError:
        return False
    return True


def _bind(stack: ExitStack, port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> None:
    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((LOOPBACK, port))
