"""The ng protocol tells addresses, codecs and keys as session descriptions (RFC 8866, RFC 4568): these few lines.

Not the SDP of any peer: that is told by `sip_stack.sdp`, and the two never meet.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from media.engine import Address, Codec, StreamParameters
from media.srtp import CryptoSuite, SrtpKeys

DISCARD = 9
"""The port of nobody."""
PLAIN, SECURE = "RTP/AVP", "RTP/SAVP"
EVENT_TYPE = 101
"""Payload type of telephone-event inside, where a peer has none."""
PAYLOAD_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8}

_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_CONNECTION = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_CRYPTO = re.compile(r"^a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/=]+)", re.MULTILINE)


class Unreadable(ValueError):
    """A description of the daemon lacks what it must have."""


@dataclass(frozen=True, slots=True, repr=False)
class LocalKey:
    """A key that the daemon made for what it sends. Secret."""

    tag: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """What the daemon says of one side of a leg."""

    address: Address
    keys: Mapping[CryptoSuite, LocalKey] = field(default_factory=dict, repr=False)


def read(text: str) -> Opened:
    """A description of the daemon's. Raises `Unreadable`."""
    audio, connection = _AUDIO.search(text), _CONNECTION.search(text)
    if audio is None or connection is None or not 0 < int(audio[1]) < 65536:
        raise Unreadable("a description without an audio address")
    keys = {}
    for tag, name, inline in _CRYPTO.findall(text):
        if name in CryptoSuite.__members__:
            suite = CryptoSuite(name)
            keys[suite] = LocalKey(int(tag), _key(suite, inline))
    return Opened((connection[1], int(audio[1])), keys)


def _key(suite: CryptoSuite, inline: str) -> bytes:
    try:
        octets = base64.b64decode(inline.rstrip("=") + "=" * (-len(inline.rstrip("=")) % 4), validate=True)
    except binascii.Error:
        raise Unreadable("a key that cannot be read") from None
    if len(octets) != suite.key_octets:
        raise Unreadable("a key of the wrong length")
    return octets


def inside(target: Address, codec: Codec, event_type: int) -> str:
    """The side that faces our other legs."""
    return _write(target, PLAIN, (PAYLOAD_TYPES[codec], codec), event_type, [])


def outside(parameters: StreamParameters, unreachable: Address, keys: Mapping[CryptoSuite, LocalKey]) -> str:
    """The side of the peer, as if the peer had written it. `unreachable` stands for a peer without an address."""
    attributes = []
    srtp = parameters.keys
    if srtp is not None:
        attributes.append(_crypto_line(srtp, keys[srtp.suite].tag))
    remote = parameters.remote or unreachable
    if parameters.rtcp_mux:
        attributes.append("a=rtcp-mux")
    elif parameters.remote is not None and parameters.remote_rtcp is not None:
        host, port = parameters.remote_rtcp
        attributes.append(f"a=rtcp:{port} IN {family_of(host)} {host}")
    return _write(
        remote,
        PLAIN if srtp is None else SECURE,
        (parameters.payload_type, parameters.codec),
        parameters.telephone_event,
        attributes,
    )


def _crypto_line(srtp: SrtpKeys, tag: int) -> str:
    identifier = f"|1:{srtp.remote_mki_octets}" if srtp.remote_mki_octets else ""
    return f"a=crypto:{tag} {srtp.suite} inline:{base64.b64encode(srtp.remote).decode()}{identifier}"


def _write(
    address: Address, profile: str, audio: tuple[int, Codec], event_type: int | None, attributes: list[str]
) -> str:
    host, port = address
    family = family_of(host)
    formats = [f"a=rtpmap:{audio[0]} {audio[1]}/8000"]
    types = str(audio[0])
    if event_type is not None:
        types += f" {event_type}"
        formats += [f"a=rtpmap:{event_type} telephone-event/8000", f"a=fmtp:{event_type} 0-15"]
    lines = [
        "v=0",
        f"o=- 1 1 IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {port} {profile} {types}",
        *formats,
        *attributes,
        "a=sendrecv",
    ]
    return "\r\n".join(lines) + "\r\n"


def family_of(host: str) -> str:
    """How SDP and the ng protocol call the version of an address: IP4 or IP6."""
    return "IP6" if ":" in host else "IP4"
