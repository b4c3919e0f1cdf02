"""What a daemon says of a leg when it is asked (`query`)."""

from __future__ import annotations

from dataclasses import dataclass

from media.rtpengine.bencode import Value
from media.rtpengine.connection import Reply
from media.rtpengine.offer_answer import OUTSIDE


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a leg: what has come in there."""

    packets: int = 0
    """Of RTP."""
    octets: int = 0
    """With the headers of RTP."""
    rtcp: int = 0
    """Packets of RTCP."""
    last_packet: int = 0
    """When the last one came, by the clock of the daemon; 0 when that is not told."""
    host: str = ""
    """Its address on the daemon."""
    port: int = 0


def read_side(reply: Reply, tag: str) -> Side:
    """The side with this tag. What is not told is 0."""
    medias = _path(reply, "tags", tag, "medias")
    media = medias[0] if isinstance(medias, list) and medias else None
    streams = _path(media, "streams")
    if not isinstance(streams, list) or not streams:
        return Side()
    return Side(
        packets=_number(_path(streams[0], "stats", "packets")),
        octets=_number(_path(streams[0], "stats", "bytes")),
        rtcp=_number(_path(streams[1], "stats", "packets")) if len(streams) > 1 else 0,
        last_packet=_number(_path(streams[0], "last packet")),
        host=_text(_path(streams[0], "local address")),
        port=_number(_path(streams[0], "local port")),
    )


def read_outside(reply: Reply) -> Side:
    """The side toward the peer, which has no tag before the daemon was told of the peer's description."""
    tags = _path(reply, "tags")
    names = [] if not isinstance(tags, dict) else [name for name in tags if _path(tags, name, "tag") == b""]
    named = isinstance(tags, dict) and OUTSIDE in tags
    return read_side(reply, OUTSIDE if named or not names else names[0])


def _path(value: Value | None, *keys: str) -> Value | None:
    found = value
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _text(value: Value | None) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else ""


def _number(value: Value | None) -> int:
    return value if isinstance(value, int) else 0
