"""The header lines of a message: ordered, looked up without case, compact forms known (RFC 3261 section 7.3).

Values are the text of one line each, unfolded, blanks around it removed, otherwise as received. Typed access
is `Message`'s.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from types import MappingProxyType

from sip_stack.errors import LocalError, RemoteError
from sip_stack.message.params import BLANK, is_token, require_sendable

MAX_HEADERS = 256
"""Header lines accepted in one message."""

COMPACT_FORMS = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""The one-letter names of the IANA registry of SIP header fields."""

_OTHER_COMMON_NAMES = (
    "Accept Accept-Encoding Accept-Language Alert-Info Allow Authorization Call-Info Contact CSeq Date "
    "Content-Disposition Expires Max-Forwards Min-Expires Min-SE Organization P-Access-Network-Info "
    "P-Asserted-Identity P-Charging-Vector P-Early-Media Path Priority Privacy Proxy-Authenticate "
    "Proxy-Authorization Proxy-Require RAck RSeq Reason Record-Route Remote-Party-ID Replaces Require "
    "Retry-After Route Server Session-ID Subscription-State Timestamp User-Agent User-to-User Warning "
    "WWW-Authenticate"
)


def _spellings() -> dict[str, str]:
    keys = {}
    for name in [*COMPACT_FORMS.values(), *_OTHER_COMMON_NAMES.split()]:
        for spelling in (name, name.lower(), name.upper()):
            keys[spelling] = name.lower()
    for letter, name in COMPACT_FORMS.items():
        keys[letter] = keys[letter.upper()] = name.lower()
    return keys


# Spelling -> key for the names everybody sends: one look-up instead of checking and lowering.
_KEYS = _spellings()
COMMON_NAMES = MappingProxyType(_KEYS)
"""The names that most headers have, as they are most often written, and the key of each."""
_SPELLINGS = frozenset(_KEYS)


def header_key(name: str) -> str:
    """The lower-case full name that `name` stands for: "v", "VIA" and "Via" are all "via"."""
    return _KEYS.get(name) or _lower_key(name)


def _lower_key(name: str) -> str:
    lower = name.lower()
    return _KEYS.get(lower, lower)


_NONE: dict[str, list[str]] = {}
"""What most messages have of names that come more than once; never written to."""


class Headers:
    """Header lines in order. Adding a CR, LF or NUL raises LocalError."""

    __slots__ = ("_first", "_items", "_several")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = list(items)
        self._first: dict[str, str] | None = None
        """The first value by key; None until somebody asks, as for most of what we send nobody does."""
        self._several = _NONE
        """All values of the keys that have more than one, once `_first` is there."""
        _check_lines(self._items)

    @classmethod
    def parse(cls, lines: list[str]) -> Headers:
        """The headers of unfolded lines; RemoteError(400) when one is no header or there are too many."""
        if len(lines) > MAX_HEADERS:
            raise RemoteError(400, "Too many header fields")
        items: list[tuple[str, str]] = []
        headers = cls.trusted(items)
        first = headers._first = {}
        known = _KEYS
        for line in lines:
            name, colon, value = line.partition(":")
            key = known.get(name)
            if key is None or not colon:
                name, key = _checked_name(name, colon)
            value = value.strip(BLANK)
            items.append((name, value))
            if key not in first:
                first[key] = value
        if len(first) != len(items):
            headers._several = _several_of(items)
        return headers

    @classmethod
    def trusted(cls, items: list[tuple[str, str]]) -> Headers:
        """Headers that own `items`, unchecked: lines of a received message, or made by this package."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._first = None
        headers._several = _NONE
        return headers

    def first_lines(self) -> dict[str, str]:
        """The value of the first line of each name, by lower-case full name; not to be changed."""
        return self._first or self._indexed()

    def get(self, name: str) -> str | None:
        """The value of the first line of that name."""
        return (self._first or self._indexed()).get(_KEYS.get(name) or _lower_key(name))

    def required(self, name: str) -> str:
        """The value of the first line of one of the names everybody sends; RemoteError(400) when there is none."""
        value = (self._first or self._indexed()).get(_KEYS[name])
        if value is None:
            raise RemoteError(400, f"Missing {name}")
        return value

    def get_all(self, name: str) -> list[str]:
        """The values of all lines of that name, in order."""
        key = _KEYS.get(name) or _lower_key(name)
        value = (self._first or self._indexed()).get(key)
        if value is None:
            return []
        return list(self._several[key]) if key in self._several else [value]

    def count(self, name: str) -> int:
        """How many lines of that name there are."""
        return len(self.get_all(name))

    def repeated(self, keys: Container[str]) -> str | None:
        """The first of these keys, lower-case full names, that more than one line has; None when none has."""
        if self._first is None:
            self._indexed()
        for key in self._several:
            if key in keys:
                return key
        return None

    def lines_of(self, keys: Container[str]) -> list[tuple[str, str]]:
        """The lines of these keys, lower-case full names, as (name as received, value), in order."""
        known = _KEYS
        return [item for item in self._items if (known.get(item[0]) or _lower_key(item[0])) in keys]

    def add(self, name: str, value: str) -> None:
        """Append a line."""
        _checked_line(name, value)
        self._items.append((name, value))
        self._first = None

    def extend(self, items: Iterable[tuple[str, str]]) -> None:
        """Append several lines."""
        lines = list(items)
        _check_lines(lines)
        self._items += lines
        self._first = None

    def insert(self, index: int, name: str, value: str) -> None:
        """Put a line before the line number `index`."""
        _checked_line(name, value)
        self._items.insert(index, (name, value))
        self._first = None

    def prepend(self, name: str, value: str) -> None:
        """Put a line before all others, as a new Via is."""
        self.insert(0, name, value)

    def set(self, name: str, value: str) -> None:
        """Replace all lines of that name by one, in the place of the first; append it when there is none."""
        key = _checked_line(name, value)
        places = [place for place, item in enumerate(self._items) if header_key(item[0]) == key]
        if not places:
            self.add(name, value)
            return
        self._items[places[0]] = (name, value)
        for place in reversed(places[1:]):
            del self._items[place]
        self._first = None

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first line of that name, leaving the others; LocalError when there is none."""
        key = _checked_line(name, value)
        for place, item in enumerate(self._items):
            if header_key(item[0]) == key:
                self._items[place] = (item[0], value)
                if self._first is not None:
                    self._first[key] = value
                if key in self._several:
                    self._several[key][0] = value
                return
        raise LocalError(f"no header {name}")

    def remove(self, name: str) -> None:
        """Remove all lines of that name, if any."""
        key = header_key(name)
        self._items = [item for item in self._items if header_key(item[0]) != key]
        self._first = None

    def items(self) -> list[tuple[str, str]]:
        """All lines as (name as received, value), in order."""
        return list(self._items)

    def copy(self) -> Headers:
        """An independent copy."""
        return self.trusted(list(self._items))

    def text(self, content_length: int) -> str:
        """The lines to send, each behind a CRLF, with this Content-Length in the place of the old one or last."""
        length = f"\r\nContent-Length: {content_length}"
        text = "\r\n".join(["", *map(": ".join, self._items)])
        lower = text.lower()
        if "\r\ncontent-length:" not in lower and "\r\nl:" not in lower:
            return text + length
        lines: list[str] = []
        for name, value in self._items:
            if header_key(name) != "content-length":
                lines.append(f"\r\n{name}: {value}")
            elif length not in lines:
                lines.append(length)
        return "".join(lines)

    def _indexed(self) -> dict[str, str]:
        first: dict[str, str] = {}
        for name, value in self._items:
            first.setdefault(_KEYS.get(name) or _lower_key(name), value)
        self._several = _NONE if len(first) == len(self._items) else _several_of(self._items)
        self._first = first
        return first

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and header_key(name) in (self._first or self._indexed())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"


def _several_of(items: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The values by key, where there is more than one."""
    values: dict[str, list[str]] = {}
    for name, value in items:
        values.setdefault(header_key(name), []).append(value)
    return {key: several for key, several in values.items() if len(several) > 1}


def _checked_line(name: str, value: str) -> str:
    require_sendable(value, name)
    key = _KEYS.get(name)
    if key is None:
        if not is_token(name):
            raise LocalError(f"not a header name: {name!r}")
        key = _lower_key(name)
    return key


def _check_lines(items: list[tuple[str, str]]) -> None:
    """The same for many lines: all their values in one look, as they hardly ever have anything to look for."""
    if not "".join([value for _, value in items]).isprintable():
        for name, value in items:
            require_sendable(value, name)
    if not _SPELLINGS.issuperset([name for name, _ in items]):
        for name, _ in items:
            if name not in _SPELLINGS and not is_token(name):
                raise LocalError(f"not a header name: {name!r}")


def _checked_name(name: str, colon: str) -> tuple[str, str]:
    name = name.rstrip(BLANK)
    if not colon or not is_token(name):
        raise RemoteError(400, "Malformed header field")
    return name, header_key(name)
