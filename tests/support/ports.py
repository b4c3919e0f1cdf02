"""Free UDP ports on loopback, picked at run time. Before they are used somebody else may take one: rare."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"

# Below the range the system hands out by itself (ip_local_port_range), which other sockets of a test come from.
_LOWEST, _HIGHEST = 10_000, 32_000


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


def free_port_range(count: int) -> tuple[int, int]:
    """The first (even) and last of `count` consecutive free UDP ports. Raises OSError when there are none."""
    for _ in range(50):
        first = random.randrange(_LOWEST, _HIGHEST - count, 2)
        # In slices: thousands of sockets at once would run into the limit of open files.
        try:
            for start in range(first, first + count, 200):
                with ExitStack() as stack:
                    for port in range(start, min(start + 200, first + count)):
                        _bind(stack, port)
        except OSError:
            continue
        return first, first + count - 1
    raise OSError(f"found no {count} consecutive free UDP ports")


def in_use(port: int) -> bool:
    """True when somebody listens on this UDP port."""
    try:
        with ExitStack() as stack:
            _bind(stack, port)
    except OSError:
        return True
    return False
