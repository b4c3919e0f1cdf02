"""Session descriptions as values: parse and print (RFC 8866), direction (RFC 3264), a=rtcp (RFC 3605).

Everything a peer wrote is kept in order, so that `parse(text).encode()` says the same thing; line types
this module has no field for are kept as raw text. Tolerant where real devices are sloppy (LF alone, no
newline at the end, blank lines, missing s= or t=), strict where a wrong guess would send media to the
wrong place.

It does not choose codecs, does not know what is negotiated and opens no port: see `b2bua/sdp_bridge`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sip_stack.errors import RemoteError
from sip_stack.sdp.media_lines import (
    Attribute,
    Connection,
    Direction,
    MediaLines,
    direction_in,
    first_value,
    printed,
)
from sip_stack.sdp.rtpmap import MAX_REMEMBERED, decimal

MAX_OCTETS = 32_768
"""A description longer than this is refused; a browser's offer with video is about 8,000."""
MAX_LINES = 1_000
MAX_MEDIA = 32
MAX_FORMATS = 128

_BEFORE_CONNECTION = "iuep"


class KeyText(str):
    """The text of a line that carries a key (RFC 4568 a=crypto, RFC 8866 k=): itself, but not in a `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'...'"


class Origin(NamedTuple):
    """The o= line (RFC 8866 section 5.2). Session id and version stay text: peers write what they like."""

    username: str
    session_id: str
    version: str
    address_type: str
    address: str

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {self.address_type} {self.address}"


class Media(NamedTuple):
    """One m= section (RFC 8866 section 5.14) with its c= and a= lines."""

    kind: str
    """"audio", "video", "image", ... as written."""
    port: int
    """0 means refused or switched off (RFC 3264 section 6)."""
    lines: MediaLines
    port_count: int = 1

    def with_lines(self, lines: MediaLines) -> Media:
        """The same kind and port with other lines."""
        return Media(self.kind, self.port, lines, self.port_count)


class Session(NamedTuple):
    """A whole session description (RFC 8866)."""

    origin: Origin
    connection: Connection | None = None
    media: tuple[Media, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"
    others: tuple[tuple[str, str], ...] = (("t", "0 0"),)
    """The remaining session lines (i= u= e= p= b= t= r= z= k=) as (letter, text), in order."""

    def attribute(self, name: str) -> str | None:
        """Value of the first session-level attribute called `name`, "" for a flag, None without one."""
        return first_value(self.attributes, name)

    def connection_of(self, media: Media) -> Connection | None:
        """The c= line that holds for a media section: its own, else the session's."""
        return media.lines.connection or self.connection

    def direction_of(self, media: Media) -> Direction:
        """The direction that holds for a media section: its own, else the session's, else sendrecv."""
        return media.lines.direction or direction_in(self.attributes) or Direction.SENDRECV

    def encode(self) -> bytes:
        """The description as octets, lines in the order of RFC 8866 section 5, each ended by CRLF."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        tail: list[str] = []
        for letter, text in self.others:
            (lines if letter in _BEFORE_CONNECTION else tail).append(f"{letter}={text}")
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += tail
        lines += printed(self.attributes)
        for media in self.media:
            port = f"{media.port}/{media.port_count}" if media.port_count != 1 else media.port
            lines.append(f"m={media.kind} {port} {media.lines.text}")
        lines.append("")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def parse(body: bytes) -> Session:
    """Read a session description. Raises `RemoteError` (400) when it is malformed or exceeds a limit."""
    if len(body) > MAX_OCTETS:
        raise RemoteError(400, "SDP too long")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\r\n")
    if "\r" in text or "\0" in text:
        raise RemoteError(400, "SDP with a bare CR or NUL")
    if text.count("\n") >= MAX_LINES:
        raise RemoteError(400, "SDP with too many lines")
    head, *sections = text.split("\nm=")
    if len(sections) > MAX_MEDIA:
        raise RemoteError(400, "SDP with too many media")
    # The o= line and the ports of the m= lines differ in each description; all else has mostly been read before.
    before, has_origin, after = head.partition("\no=")
    origin, _, after = after.partition("\n")
    name, connection, attributes, others = _session_lines(f"{before}\n{after}")
    if not has_origin:
        raise RemoteError(400, "SDP without o=")
    media = tuple([_build_media(section) for section in sections])
    return Session(_parse_origin(origin), connection, media, attributes, name, others)


class _SessionLines(NamedTuple):
    """The lines of a session but for o=."""

    name: str
    connection: Connection | None
    attributes: tuple[Attribute, ...]
    others: tuple[tuple[str, str], ...]


def _session_lines(text: str) -> _SessionLines:
    return (_remembered_session_lines if _may_remember(text) else _read_session_lines)(text)


def _may_remember(text: str) -> bool:
    """Not long texts, with which a peer would fill memory, and none with a key."""
    return len(text) <= MAX_REMEMBERED and "crypto" not in text and "k=" not in text


def _letters(text: str) -> list[tuple[str, str]]:
    """Letter and text of each line."""
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if line[1:2] != "=":
            if not line.strip():
                continue
            raise RemoteError(400, "SDP line is not <letter>=<text>")
        # RFC 8866 section 5 would drop the whole description for other letters; devices that add lines exist, and a
        # line nobody knows cannot change where media goes.
        if line[0] in "aosciuepbtrzk":
            found.append((line[0], line[2:].rstrip()))
    return found


def _read_session_lines(text: str) -> _SessionLines:
    version, _, text = text.partition("\n")
    if version.rstrip() != "v=0":
        raise RemoteError(400, "SDP does not start with v=0")
    name: str | None = None
    connection: Connection | None = None
    attributes: list[Attribute] = []
    others: list[tuple[str, str]] = []
    for letter, value in _letters(text):
        if letter == "a":
            attributes.append(_parse_attribute(value))
        elif letter == "o":
            raise RemoteError(400, "SDP with two o= lines")
        elif letter == "s":
            name = value
        elif letter == "c":
            connection = connection or _parse_connection(value)
        else:
            others.append((letter, KeyText(value) if letter == "k" else value))
    if not any(letter == "t" for letter, _ in others):
        others.append(("t", "0 0"))
    return _SessionLines(name or "-", connection, tuple(attributes), tuple(others))


def _build_media(section: str) -> Media:
    """`section` begins with the text of its m= line."""
    line, _, text = section.partition("\n")
    fields = line.split(None, 2)
    if len(fields) < 3:
        raise RemoteError(400, "SDP m= line with less than four fields")
    kind, ports, said = fields
    port_text, slash, count_text = ports.partition("/")
    port = decimal(port_text, 65_535)
    count = decimal(count_text, 65_535) if slash else 1
    if port is None or not count:
        raise RemoteError(400, "SDP m= line with a bad port")
    return Media(kind, port, _media_lines(f"{said}\n{text}"), count)


def _media_lines(text: str) -> MediaLines:
    return (_remembered_media_lines if _may_remember(text) else _read_media_lines)(text)


def _read_media_lines(text: str) -> MediaLines:
    """`text` begins with what an m= line says after its port."""
    line, _, text = text.partition("\n")
    protocol, *formats = line.split()
    if not formats:
        raise RemoteError(400, "SDP m= line with less than four fields")
    if len(formats) > MAX_FORMATS:
        raise RemoteError(400, "SDP m= line with too many formats")
    connection: Connection | None = None
    attributes: list[Attribute] = []
    others: list[tuple[str, str]] = []
    for letter, value in _letters(text):
        if letter == "a":
            name, said = _parse_attribute(value)
            attributes.append((name, KeyText(said) if name == "crypto" and said is not None else said))
        elif letter == "c" and connection is None:
            connection = _parse_connection(value)
        elif letter in "os":
            raise RemoteError(400, f"SDP {letter}= line after m=")
        else:
            others.append((letter, KeyText(value) if letter == "k" else value))
    return MediaLines(protocol, tuple(formats), connection, tuple(attributes), tuple(others))


# The phones and gateways of a trunk say the same in each call.
_remembered_session_lines = lru_cache(maxsize=512)(_read_session_lines)
_remembered_media_lines = lru_cache(maxsize=512)(_read_media_lines)


def _parse_origin(text: str) -> Origin:
    # From the right: some devices write user names with spaces.
    parts = text.rsplit(None, 5)
    if len(parts) == 5:
        parts.insert(0, "-")
    if len(parts) != 6 or parts[3].upper() != "IN":
        raise RemoteError(400, "SDP with a bad o= line")
    return Origin(parts[0], parts[1], parts[2], parts[4].upper(), parts[5])


def _parse_connection(text: str) -> Connection:
    parts = text.split()
    if len(parts) != 3 or parts[0].upper() != "IN":
        raise RemoteError(400, "SDP with a bad c= line")
    address_type = parts[1].upper()
    if address_type not in ("IP4", "IP6"):
        raise RemoteError(400, "SDP c= line is neither IP4 nor IP6")
    return Connection(address_type, parts[2])


def _parse_attribute(text: str) -> Attribute:
    name, colon, value = text.partition(":")
    if not name:
        raise RemoteError(400, "SDP attribute without a name")
    return name, value if colon else None
