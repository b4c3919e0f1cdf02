"""Parameters, quoted strings and comma lists: the grammar that header values share (RFC 3261 section 25.1).

Everything here takes time linear in the length of its input, whatever the input: the peers choose it.
It knows nothing of what a parameter means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sip_stack.errors import LocalError, RemoteError

BLANK = " \t"
"""The only white space of SIP after unfolding. `str.strip()` alone would also eat U+0085 and U+00A0."""

MAX_VALUES = 256
"""Values of one header, parameters of one value, headers of one URI: more of them is an attack."""

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# The last alternative is reached only by a quote or bracket that never closes.
_COMMA_OR_ATOM = re.compile(r'"(?:[^"\\]++|\\.)*+"|<[^>]*+>|,|["<]', re.DOTALL)
_SEMICOLON_OR_ATOM = re.compile(r'"(?:[^"\\]++|\\.)*+"|;|"', re.DOTALL)


def is_token(text: str) -> bool:
    """True when `text` is a `token` of RFC 3261 section 25.1."""
    return TOKEN.fullmatch(text) is not None


def has_bare_nul(text: str) -> bool:
    """True when `text` has a NUL that no backslash escapes: only that form is legal (RFC 4475 3.1.1.2)."""
    return "\0" in text and text.count("\0") != text.count("\\\0")


def require_sendable(text: str, what: str) -> None:
    """Raise LocalError when `text` cannot stand in a line of a message.

    CR and LF would become header lines of an attacker's choice; a bare NUL ends the text for many receivers;
    surrogates that stand for no octet have no encoding.
    """
    if text.isprintable():
        return  # which neither a control character nor a surrogate is
    if "\r" in text or "\n" in text or has_bare_nul(text):
        raise LocalError(f"{what} must not contain CR, LF or NUL: {text!r}")
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise LocalError(f"{what} cannot be encoded: {text!r}") from error


def quote(text: str) -> str:
    """`text` as a quoted-string, quotes included."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\\0") + '"'


def unquote(text: str) -> str:
    """The meaning of a quoted-string; any other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quoted_end(text: str) -> int:
    """Where the quoted-string that `text` starts with ends.

    Raises RemoteError(400) when it never does.
    """
    found = _QUOTED.match(text)
    if found is None:
        raise RemoteError(400, "Unterminated quoted string")
    return found.end()


def split_commas(text: str) -> list[str]:
    """The elements of a comma-separated value, blanks around them removed, empty ones kept.

    Commas inside quotes or angle brackets do not separate. Raises RemoteError(400) when those are unbalanced,
    or when there are more than MAX_VALUES elements.
    """
    if "," not in text:
        return [text.strip(BLANK)]
    if '"' not in text and "<" not in text:
        return [piece.strip(BLANK) for piece in limited(text.split(","))]
    return [piece.strip(BLANK) for piece in _split(text, ",", _COMMA_OR_ATOM)]


def split_tokens(lines: Iterable[str]) -> list[str]:
    """The elements of all header lines of a token list (Allow, Supported...), empty ones skipped."""
    return [element for line in lines for element in split_commas(line) if element]


def limited(values: list[str]) -> list[str]:
    """`values`, unless there are more than MAX_VALUES: RemoteError(400)."""
    if len(values) > MAX_VALUES:
        raise RemoteError(400, "Too many values")
    return values


def _split(text: str, separator: str, pattern: re.Pattern[str]) -> list[str]:
    pieces = []
    start = 0
    for number, found in enumerate(pattern.finditer(text)):
        if number > 4 * MAX_VALUES:
            raise RemoteError(400, "Too many values")
        atom = found.group()
        if atom == separator:
            pieces.append(text[start : found.start()])
            start = found.end()
        elif len(atom) == 1:
            raise RemoteError(400, "Unbalanced quotes or angle brackets")
    pieces.append(text[start:])
    return limited(pieces)


class Params(tuple[tuple[str, str | None], ...]):
    """The `;name=value` parameters of a header value or a URI: a tuple of (name, value) as received.

    A parameter without `=` has the value None. Look-up ignores case; the first of repeated names counts.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Params:
        """Parse `;a=b;c`, or nothing. Raises RemoteError(400) on an empty parameter, or on too many."""
        if not text:
            return NO_PARAMS
        if text[0] != ";":
            text = text.strip(BLANK)
            if not text:
                return NO_PARAMS
            if text[0] != ";":
                raise RemoteError(400, "Unexpected text before parameters")
        pieces = _split(text[1:], ";", _SEMICOLON_OR_ATOM) if '"' in text else text[1:].split(";")
        limited(pieces)
        items: list[tuple[str, str | None]] = []
        blanks = " " in text or "\t" in text or "\0" in text
        for piece in pieces:
            name, equals, value = piece.partition("=")
            if blanks:
                name, value = name.strip(BLANK), value.strip(BLANK)
                if " " in name or "\t" in name or "\0" in name:
                    raise RemoteError(400, "Malformed parameter")
            if not name:
                raise RemoteError(400, "Malformed parameter")
            items.append((name, value if equals else None))
        return cls(items)

    def get(self, name: str) -> str | None:
        """The value of a parameter, unquoted; "" when it has none; None when the parameter is absent."""
        value = self.raw(name)
        return unquote(value) if value and value[0] == '"' else value

    def raw(self, name: str) -> str | None:
        """The value of a parameter as received; "" when it has none; None when the parameter is absent."""
        name = name.lower()
        for key, value in self:
            if key == name or key.lower() == name:
                return value or ""
        return None

    def has(self, name: str) -> bool:
        """True when the parameter is present, with or without a value."""
        return self.raw(name) is not None

    def with_param(self, name: str, value: str | None = None) -> Params:
        """A copy where `name` has this value, in its old place or last.

        The value is raw: `quote` it first if it needs quotes.
        """
        lower = name.lower()
        if not self.has(name):
            return Params((*self, (name, value)))
        return Params((key, value if key.lower() == lower else old) for key, old in self)

    def without(self, name: str) -> Params:
        """A copy without `name`."""
        lower = name.lower()
        return Params(pair for pair in self if pair[0].lower() != lower)

    def __str__(self) -> str:
        return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self])


NO_PARAMS = Params()
"""The empty parameters; shared."""
