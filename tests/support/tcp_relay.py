"""A relay for TCP connections that may be cut: what a NAT or a firewall does that has forgotten one."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from tests.support.ports import LOOPBACK


class TcpRelay:
    """Passes on what comes to its own port. Use as `with TcpRelay(port) as relay`."""

    def __init__(self, port: int) -> None:
        """`port`: whom it passes everything on to, on loopback."""
        self._target = (LOOPBACK, port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        """Where it listens."""
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """End every connection, toward both sides."""
        while self._ends:
            end = self._ends.pop()
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was over already

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=_pass_on, args=(source, sink), daemon=True)
                self._threads.append(thread)
                thread.start()

    def __enter__(self) -> TcpRelay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5.0)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Until one side is over; then the other is, too."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass  # cut
    finally:
        with suppress(OSError):  # it was over before
            sink.shutdown(socket.SHUT_RDWR)
        source.close()
