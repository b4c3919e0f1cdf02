"""A UDP socket with a thread that hands every SIP message to a method: what the scripted peers are made of."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from tests.support.in_thread import InThread
from tests.support.peer_sip import SipText, read
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Received:
    """One message that arrived."""

    at: float
    """`time.monotonic()` of its arrival."""
    source: Address
    message: SipText
    repeated: bool
    """Seen before: the same transaction and start line."""


class UdpPeer(InThread):
    """Listens on a free port of loopback until closed. Subclasses say in `handle` what they do."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._seen: set[tuple[str, str]] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(0.1)  # how long closing may take
        self.host, self.port = self._socket.getsockname()
        super().__init__(f"{type(self).__name__} {self.port}")

    @property
    def address(self) -> str:
        """HOST:PORT it listens on."""
        return f"{self.host}:{self.port}"

    def _close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, target: Address) -> None:
        """Send one datagram."""
        self._socket.sendto(data, target)

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Called in the peer's thread for each message, after it was noted in `received`."""

    def requests(self, method: str, *, repetitions: bool = False) -> list[SipText]:
        """The requests of `method` that arrived so far, each once unless `repetitions` are wanted."""
        return [
            entry.message
            for entry in list(self.received)
            if not entry.message.status
            and entry.message.method == method
            and (repetitions or not entry.repeated)
        ]

    def wait_for_request(self, method: str, deadline: float = 5.0) -> SipText:
        """The first request of `method`, within `deadline` seconds."""
        look = lambda: next(iter(self.requests(method)), None)  # noqa: E731
        return wait_until(look, deadline, f"{type(self).__name__} receives {method}")

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                data, source = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            except ConnectionRefusedError:  # the peer of an earlier send has closed its port
                continue
            message = read(data)
            if message is None:
                continue
            key = (message.branch, message.start_line)
            repeated = key in self._seen
            self._seen.add(key)
            self.received.append(Received(time.monotonic(), source, message, repeated))
            self.handle(
                message, data, source, repeated
            )  # what it raises, pytest reports as an error of the test
