"""A Redis of the test's own: on a free port, nothing on disk, ended and started again as a test likes."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ChildProcess, PeerError, wait_until

PASSWORD = "s3cret-of-redis"


class RedisServer(ChildProcess):
    """A running Redis that asks for a password; with `port` at that one, to come back where another one was."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port if port is not None else free_port()
        options = {"bind": LOOPBACK, "port": self.port, "requirepass": PASSWORD, "dir": folder}
        options |= {"save": "", "appendonly": "no", "daemonize": "no"}
        written = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        super().__init__(f"redis-{self.port}", ["redis-server", *written], folder)

        def answers() -> bool:
            if self.returncode is not None:
                raise PeerError(f"redis ended with {self.returncode}: {self.tail()}")
            return self.ask("PING").startswith(b"+PONG")

        try:
            wait_until(answers, 10.0, f"Redis listens on {self.port}")
        except PeerError:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """For `store:`."""
        return f"redis://:{PASSWORD}@{LOOPBACK}:{self.port}/0"

    def ask(self, command: str) -> bytes:
        """The answer to an inline command, as it comes; empty while it is not there."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\n{command}\r\nQUIT\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""
        return answer.removeprefix(b"+OK\r\n").removesuffix(b"+OK\r\n")
