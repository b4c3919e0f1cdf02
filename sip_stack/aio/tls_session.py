"""One TLS session without I/O: octets from the network in, octets of SIP out, and the reverse (RFC 8446, RFC 5246).

asyncio's own TLS keeps 256 KiB of buffer for each connection, and verifies names by rules that are not SIP's. Here
OpenSSL reads and writes memory: measured, a connection takes a fifteenth (`benchmarks/tls_connections.py`).
"""

from __future__ import annotations

import ssl

from sip_stack.aio.tls_faults import TlsError, fault_of
from sip_stack.tls_identity import PeerCertificate

READ_SIZE = 16384
"""Octets of one TLS record at most (RFC 8446 section 5.1)."""


class TlsSession:
    """One side of a TLS connection. Whoever owns it sends what `outgoing` gives, after every call."""

    __slots__ = ("_incoming", "_object", "_outgoing", "is_closed_by_peer", "is_established")

    def __init__(self, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        """`name` is told to the server (SNI, RFC 6066 section 3): a host name, None for an address.

        Raises TlsError when it is no name that TLS can say.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.is_established = False
        """The handshake is done."""
        self.is_closed_by_peer = False
        """The peer said that no more will come (close_notify)."""
        try:
            self._object = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server, server_hostname=name
            )
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(f"no TLS with {name!r}: {error}") from error

    def receive(self, data: bytes = b"") -> bytes:
        """Take octets from the network; returns what they say. Without any: begin the handshake.

        Raises TlsError; an alert for the peer may then be waiting in `outgoing`.
        """
        self._incoming.write(data)
        try:
            if not self.is_established:
                self._object.do_handshake()
                self.is_established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise fault_of(error) from error

    def send(self, data: bytes) -> None:
        """Encrypt. Raises TlsError, for a session that is over too."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise fault_of(error) from error

    def outgoing(self) -> bytes:
        """What to send to the network now."""
        return self._outgoing.read()

    def close(self) -> None:
        """Say that no more will come (close_notify); a peer's own is not waited for."""
        try:
            self._object.unwrap()
        except (ssl.SSLError, ValueError):
            # The peer has not said so yet, or there is no session that could be closed.
            return

    def peer_certificate(self) -> PeerCertificate:
        """What the peer's verified certificate says; empty when none was asked for or shown, or none is verified."""
        return self._object.getpeercert() or {}

    @property
    def version(self) -> str:
        """`TLSv1.3` or `TLSv1.2`; "" before there is one."""
        return self._object.version() or ""

    def _read(self) -> bytes:
        """All that has been decrypted; at the peer's close_notify, what came before it."""
        pieces = []
        while True:
            try:
                piece = self._object.read(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""  # what OpenSSL says once we have closed, too
            if not piece:
                self.is_closed_by_peer = True
                break
            pieces.append(piece)
        return b"".join(pieces)
