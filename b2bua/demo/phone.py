"""What the stand-ins are made of: where they listen, who they are, how they describe audio, listen and serve."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import Heard, Ready, tell
from b2bua.demo.story import TONES
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.errors import RemoteError
from sip_stack.events import Event
from sip_stack.message import Message, Request, SipUri
from sip_stack.sdp import parse

HOST = "127.0.0.1"
ANY_PORT = Listen("udp", HOST, 0)
USERNAME = "b2bua"
"""Whom the contact centre knows."""
PASSWORD = "B2BUA_DEMO_PASSWORD"
"""The environment variable that has the password; it is a new one for each demonstration."""
LABEL = "X-Demo-Call"
"""The header that says to whom we dial which call of the demonstration it is about."""
REASON = "X-Reason"
"""The header that says why a human is asked for."""
HANDOFF_ID = "X-Handoff-ID"
"""The header by which the human's screen finds the context."""
CALL_ID = "X-Call-ID"
"""The header that tells the assistant what the B2BUA calls the call."""


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


def user_of(request: Request) -> str:
    """The number dialled."""
    uri = request.request_uri
    return uri.user or "" if isinstance(uri, SipUri) else ""


def call_of(request: Request) -> str:
    """Which call of the demonstration an INVITE is about; whoever dials by hand has the number for a name."""
    return request.headers.get(LABEL) or user_of(request)


def listen(stream: AudioStream, say: Callable[[str], None]) -> None:
    """Say aloud what is heard, whenever it becomes another tone."""
    stream.on_frame = audio.Ear(TONES, lambda hertz: say(f"hears {hertz} Hz")).hear


def heard(who: str, call: str, stream: AudioStream) -> Heard:
    """What came out of the phone, from the first packet to the last."""
    samples = stream.heard()
    found = audio.hearing(samples, TONES)
    return Heard(who, call, found.tones, found.pause, len(samples) / audio.RATE, len(stream.sources))


async def serve(stack: SipStack, on_event: Callable[[Event], None], close: Callable[[], None]) -> None:
    """Listen, tell the port, take calls until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stack.on_event = on_event
    listening = await stack.start([ANY_PORT])
    tell(Ready(listening[0].port))
    await stop.wait()
    close()
    await stack.close()
