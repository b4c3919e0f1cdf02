"""The class of service that a socket's packets ask the network for (RFC 2474, RFC 4594)."""

from __future__ import annotations

import socket


def mark(sock: socket.socket, dscp: int) -> None:
    """Have everything sent over `sock` carry this code point, 0..63. Raises OSError."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
