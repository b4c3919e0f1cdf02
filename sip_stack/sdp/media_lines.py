"""What a media section says but for its kind and its port, and what that means (RFC 8866, RFC 3264, RFC 3605)."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from sip_stack.sdp.rtpmap import decimal, may_remember

RTCP_MUX = "rtcp-mux"
"""RFC 5761."""

Attribute = tuple[str, str | None]
"""Name and value of one a= line; the value of a flag such as `sendrecv` is None."""


class Direction(StrEnum):
    """Which way a stream flows, seen from the side that wrote the description (RFC 3264 section 5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @cached_property
    def sends(self) -> bool:
        """True when the writer of the description sends media."""
        return self is Direction.SENDRECV or self is Direction.SENDONLY

    @cached_property
    def receives(self) -> bool:
        """True when the writer of the description wants media."""
        return self is Direction.SENDRECV or self is Direction.RECVONLY

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction with these two properties."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


_DIRECTIONS = {str(direction): direction for direction in Direction}


class Connection(NamedTuple):
    """A c= line (RFC 8866 section 5.7). `address` is raw: literal, `0.0.0.0`, host name, `224.2.1.1/127`."""

    address_type: str
    """"IP4" or "IP6"."""
    address: str

    def __str__(self) -> str:
        return f"IN {self.address_type} {self.address}"


class _Fields(NamedTuple):
    protocol: str
    """"RTP/AVP", "RTP/SAVP", ... as written."""
    formats: tuple[str, ...]
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    """The remaining lines (i=, b=, k=, further c=) as (letter, text)."""


class MediaLines(_Fields):
    """A value, most often one that was said before, by somebody else or in another call: what it means is worked out
    when it is asked for, and kept with it."""

    @cached_property
    def text(self) -> str:
        """As it is written behind kind and port, without the last CRLF."""
        lines = [f"{self.protocol} {' '.join(self.formats)}"]
        lines += [f"{letter}={text}" for letter, text in self.others if letter == "i"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"{letter}={text}" for letter, text in self.others if letter != "i"]
        return "\r\n".join(lines + printed(self.attributes))

    @cached_property
    def direction(self) -> Direction | None:
        """Its own; None where that of the session holds."""
        return direction_in(self.attributes)

    @cached_property
    def rtcp_mux(self) -> bool:
        """Whether RTCP may go over the RTP port (RFC 5761)."""
        return self.attribute(RTCP_MUX) is not None

    @cached_property
    def rtpmaps(self) -> tuple[str, ...]:
        """The values of the rtpmap attributes."""
        return tuple([value for name, value in self.attributes if name == "rtpmap" and value])

    @cached_property
    def may_remember_formats(self) -> bool:
        """Whether formats and rtpmaps are so short that what comes of them may be kept."""
        return may_remember(self.formats, self.rtpmaps)

    @cached_property
    def ptime(self) -> int | None:
        """Milliseconds of audio per packet the writer wants to receive; None when absent or senseless."""
        text = self.attribute("ptime")
        number = None if text is None else decimal(text.strip(), 200)
        return number or None

    @cached_property
    def rtcp(self) -> tuple[Connection | None, int] | None:
        """The a=rtcp attribute (RFC 3605): address if it has its own, and port; None when unusable."""
        parts = (self.attribute("rtcp") or "").split()
        if len(parts) not in (1, 4):
            return None
        port = decimal(parts[0], 65_535)
        if not port:
            return None
        if len(parts) == 1:
            return None, port
        return (Connection(parts[2].upper(), parts[3]), port) if parts[1].upper() == "IN" else None

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute called `name`, "" for a flag, None when there is none."""
        return first_value(self.attributes, name)

    def attribute_values(self, name: str) -> list[str]:
        """Values of every attribute called `name`, in order (`crypto`, `candidate`, `fmtp`)."""
        return [value or "" for key, value in self.attributes if key == name]

    def format_parameters(self, payload_type: int) -> str | None:
        """Text of the fmtp attribute of a payload type, None without one."""
        for value in self.attribute_values("fmtp"):
            number, _, text = value.partition(" ")
            if number == str(payload_type):
                return text.strip()
        return None


def first_value(attributes: tuple[Attribute, ...], name: str) -> str | None:
    """Value of the first attribute called `name`, "" for a flag, None when there is none."""
    for key, value in attributes:
        if key == name:
            return value or ""
    return None


def direction_in(attributes: tuple[Attribute, ...]) -> Direction | None:
    """The first direction among them."""
    for name, value in attributes:
        if value is None and name in _DIRECTIONS:
            return _DIRECTIONS[name]
    return None


def printed(attributes: tuple[Attribute, ...]) -> list[str]:
    """Their lines."""
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]
