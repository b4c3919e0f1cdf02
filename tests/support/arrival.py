"""When a datagram came, as the kernel noted it: a test that is held up reads it later, and would take that for a
pause."""

from __future__ import annotations

import socket
import struct
import time

_SO_TIMESTAMPNS = 35
"""Linux; Python has no name for it."""
_TIMESPEC = struct.Struct("@ll")


def note_arrivals(sock: socket.socket) -> None:
    """Let the kernel note it from now on."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket, size: int = 2048) -> tuple[bytes, float]:
    """The next datagram, and when it came by the clock of `time.monotonic`. Raises what `recv` does."""
    data, notes, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(_TIMESPEC.size))
    ((_, _, note),) = notes
    seconds, nanoseconds = _TIMESPEC.unpack(note)
    return data, time.monotonic() - (time.time() - seconds - nanoseconds / 1e9)
