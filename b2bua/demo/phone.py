"""What both stand-ins are made of: where they listen, who they are, and session descriptions for PCMU."""

from __future__ import annotations

from b2bua.demo.audio_stream import AudioStream
from sip_stack.aio.network import Listen
from sip_stack.errors import RemoteError
from sip_stack.message import Message
from sip_stack.sdp import parse

HOST = "127.0.0.1"
ANY_PORT = Listen("udp", HOST, 0)
USERNAME = "b2bua"
"""Whom the contact centre knows."""
PASSWORD = "B2BUA_DEMO_PASSWORD"
"""The environment variable that has the password; it is a new one for each demonstration."""


def describe(stream: AudioStream) -> bytes:
    """The SDP of a phone that speaks PCMU only (RFC 8866, RFC 3551)."""
    host, port = stream.local_address
    lines = [
        "v=0",
        f"o=- {port} 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def audio_address(message: Message) -> tuple[str, int] | None:
    """Where the sender of this SDP wants its audio; None without SDP."""
    body = message.body_of_type("application/sdp")
    if body is None:
        return None
    session = parse(body)
    if not session.media:
        raise RemoteError(488, "no media in the SDP")
    connection = session.connection_of(session.media[0])
    return (connection.address, session.media[0].port) if connection else None
