"""A blocking SIP client over TLS: opens a connection, asks OPTIONS, sees whose certificate was shown."""

from __future__ import annotations

import itertools
import socket
import ssl

_numbers = itertools.count(1)


class TlsClient:
    """One connection."""

    def __init__(self, address: str, context: ssl.SSLContext, *, patience: float = 10.0) -> None:
        """To HOST:PORT."""
        host, _, port = address.rpartition(":")
        sock = socket.create_connection((host, int(port)), patience)
        try:
            self._socket = context.wrap_socket(sock)
        except BaseException:
            sock.close()
            raise

    @property
    def serial_number(self) -> str:
        """Of the server's certificate."""
        shown = self._socket.getpeercert()
        assert shown
        return str(shown["serialNumber"])

    def options(self) -> str:
        """The status line of the answer to an OPTIONS."""
        number = next(_numbers)
        self._socket.sendall(
            f"OPTIONS sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:1;branch=z9hG4bKo{number}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:them@127.0.0.1>;tag=t{number}\r\nTo: <sip:us@127.0.0.1>\r\n"
            f"Call-ID: options-{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self._socket.recv(65536)
            assert data, "the connection was closed"
            answer += data
        return answer.partition(b"\r\n")[0].decode()

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def __enter__(self) -> TlsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
