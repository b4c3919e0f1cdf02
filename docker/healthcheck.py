"""The container's health check: OPTIONS to our own listener, any SIP response will do (RFC 3261 section 11).

`B2BUA_HEALTH_ADDRESS` names the UDP listener when it is not 127.0.0.1:5060. Exit status 0 healthy, 1 not.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys

TIMEOUT = 2.0


def answers(host: str, port: int) -> bool:
    """Whether a SIP element at this address answers within the time limit."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(TIMEOUT)
        try:
            probe.connect((host, port))
            probe.send(_options(probe, port))
            return probe.recv(65535).startswith(b"SIP/2.0 ")
        except OSError:
            return False


def _options(probe: socket.socket, port: int) -> bytes:
    ours, our_port = probe.getsockname()[:2]
    host = f"[{ours}]" if ":" in ours else ours
    token = secrets.token_hex(8)
    lines = [
        f"OPTIONS sip:health@{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{our_port};branch=z9hG4bK{token};rport",
        "Max-Forwards: 0",
        f"From: <sip:health@{host}>;tag={token}",
        f"To: <sip:health@{host}:{port}>",
        f"Call-ID: {token}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


if __name__ == "__main__":
    listener, _, number = os.environ.get("B2BUA_HEALTH_ADDRESS", "127.0.0.1:5060").rpartition(":")
    sys.exit(0 if answers(listener.strip("[]"), int(number)) else 1)
