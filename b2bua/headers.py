"""What SIP headers cross from one side to the other, and the `$variables` of configured headers.

One place decides: what is configured is `X-*` or `User-to-User` (RFC 7433), what crosses is on a pass list
(`pass_list.py`), and the names other platforms keep for themselves do neither.
A value that could break out of its line is an error, not something to repair.

It adds no header of its own (identity, Reason and session headers are made elsewhere).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field

from b2bua.pass_list import DEFAULT_LIST, OF_EACH_SIDE, PassList
from b2bua.user_to_user import UserToUser
from media.value_class import value_class
from sip_stack.message import Headers, Message, Request, Response, is_token

Header = tuple[str, str]
Template = str | UserToUser
"""A configured value before its variables are filled in."""
Scalar = str | int | float | bool | None

HOPS = "X-B2BUA-Hops"
"""How often a call has come through us, or one like us; never set by anybody else, and never passed on as it came."""
MAX_HOPS = 5
"""Times that a call may come back: once for a transfer into ourselves, a few for nodes in a row, not for a loop."""
P_EARLY_MEDIA = "P-Early-Media"
"""Whether what is heard before the answer is meant to be (RFC 5009)."""
MAX_NAME = 64
MAX_VALUE = 1_024
"""Octets of one custom header's value."""
MAX_PASSPORT = 3_072
"""Octets of a value that is on a pass list by its name, as Identity is (RFC 8224): these are longer."""
MAX_HEADERS = 32
"""Custom headers of one request."""
MAX_OCTETS = 4_096
"""All custom headers of one request together; they share a UDP datagram with everything else."""

HANDOFF_ID = "X-Handoff-ID"
"""What each request of a handoff carries; `GET /v1/handoffs/{id}` has the context, for whoever answers."""
USER_TO_USER = "user-to-user"
"""The other custom header, in lower case."""

_RESERVED_PREFIXES = ("ph-", "plivo", "fs-", "sipauth", "zt-", "twilio")
_RESERVED_NAMES = ("clientregion", HOPS.lower().removeprefix("x-"))

_CUSTOM_HEADS = ("x-", "us")
"""How custom headers begin."""

_VARIABLE = re.compile(r"\$(\$|(?:data\.)?[A-Za-z_][A-Za-z0-9_]*)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BUILT_IN = ("reason", "shared_id", "call_id", "handoff_id", "caller_id", "called", "destination")


class HeaderRefused(Exception):
    """A custom header that must not be sent and must not be mended: control characters, or no text at all."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"header {name!r}: {why}")
        self.name = name
        self.why = why


@value_class
class Dropped:
    """A configured header that was left out, and why; listed in the handoff's `headers_dropped`."""

    name: str
    reason: str


@value_class
class RenderedHeaders:
    """What goes out, and what does not."""

    sent: list[Header] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)


NOTHING = RenderedHeaders()
"""Of a request without custom headers; never changed."""


@value_class
class Variables:
    """What `$name` may stand for in a configured header."""

    reason: str = ""
    shared_id: str = ""
    call_id: str = ""
    handoff_id: str = ""
    caller_id: str = ""
    called: str = ""
    destination: str = ""
    """The name of the destination that gets the header."""
    data: Mapping[str, Scalar] = field(default_factory=dict)
    """What came with the request for a handoff."""
    received: Mapping[str, str] = field(default_factory=dict)
    """The caller's X- headers, from `received_variables`."""

    def resolve(self, name: str) -> str:
        """The text of a variable, "" when there is none.

        A built-in is never looked up elsewhere, even while empty: `data` cannot pose as a call id. `data.name` is
        `name` of the data alone.
        """
        if name.startswith("data."):
            return _text_of(self.data.get(name.removeprefix("data.")))
        if name in _BUILT_IN:
            return str(getattr(self, name))
        value = self.data.get(name)
        return self.received.get(name, "") if value is None else _text_of(value)


def _text_of(value: Scalar | None) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def refusal_of(name: str) -> str | None:
    """Why a custom header may not be called `name`, None when it may."""
    lower = name.lower()
    if not is_token(name) or len(name) > MAX_NAME:
        return "not a header name"
    if _is_reserved(lower):
        return "reserved name"
    bare = lower.removeprefix("x-")
    if lower != USER_TO_USER and (bare == lower or not bare):
        return "not X-* or User-to-User"
    return None


def _is_reserved(lower: str) -> bool:
    bare = lower.removeprefix("x-")
    return len(lower) > MAX_NAME or bare.startswith(_RESERVED_PREFIXES) or bare in _RESERVED_NAMES


def render(
    configured: Mapping[str, Template], per_request: Mapping[str, str], variables: Variables
) -> RenderedHeaders:
    """The custom headers of one request to a destination.

    `configured` are the destination's, with variables; `per_request` came with the handoff, are taken as they
    are and win over configured ones of the same name in any case. Raises `HeaderRefused` when a value, after
    its variables are filled in, has a control character (CR, LF, NUL, ...).
    """
    if not configured and not per_request:
        return NOTHING
    rendered = RenderedHeaders()
    given = {name.lower() for name in per_request}
    room = _Room()
    for name, template in configured.items():
        if name.lower() not in given:
            value, why = _fill(template, variables)
            _take(rendered, room, name, value, why)
    for name, value in per_request.items():
        _take(rendered, room, name, value, None)
    return rendered


def hops_of(request: Request) -> int:
    """How often the call has been here; 0 when nobody says so in a number that can be read."""
    text = request.headers.get(HOPS) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def mutes_early_media(response: Response) -> bool:
    """True when a response says that nothing its sender plays is for the caller (RFC 5009 section 8)."""
    said = response.headers.get(P_EARLY_MEDIA)
    return said is not None and said.partition(",")[0].strip().lower() in ("inactive", "recvonly")


def pass_through(message: Message, passes: PassList = DEFAULT_LIST) -> list[Header]:
    """What of a message may go on: what is on its sender's pass list, less the reserved names.

    In the order received, names as written. Headers beyond the limits, or not fit to be sent on, stay behind.
    """
    # The cheap look first: an INVITE has twenty headers of other kinds for each of these, and other messages have none.
    likely = [each for each in message.headers.items() if each[0] not in OF_EACH_SIDE]
    if not likely:
        return likely
    room = _Room()
    return [
        (name, value)
        for name, value in likely
        if passes.admits(name)
        and value
        and not _is_reserved(name.lower())
        and _fault(value) is None
        and room.admits(name, value) is None
    ]


def received_variables(headers: Headers) -> dict[str, str]:
    """`$x_<name>` for the X- headers of a message: lower case, `-` as `_`; the first of a name counts."""
    found: dict[str, str] = {}
    for name, value in [each for each in headers.items() if each[0] not in OF_EACH_SIDE]:
        if name[:2] in ("X-", "x-") and value and len(found) < MAX_HEADERS:
            found.setdefault(name.lower().replace("-", "_"), value)
    return found


def combine(passed: Iterable[Header], rendered: RenderedHeaders) -> list[Header]:
    """The caller's headers and the destination's in one request: a rendered header replaces a passed one."""
    if not rendered.sent:
        return list(passed)
    ours = {name.lower() for name, _ in rendered.sent}
    return [header for header in passed if header[0].lower() not in ours] + rendered.sent


class _Room:
    """How much of the limits of one request is used up."""

    def __init__(self) -> None:
        self.headers = 0
        self.octets = 0

    def admits(self, name: str, value: str) -> str | None:
        """Counts a header in; or why it has no room."""
        octets = len(value.encode("utf-8", "surrogateescape"))
        longest = MAX_VALUE if name[:2].lower() in _CUSTOM_HEADS else MAX_PASSPORT
        if octets > longest:
            return f"longer than {longest} octets"
        total = self.octets + octets + len(name) + 4
        if self.headers == MAX_HEADERS or total > MAX_OCTETS:
            return "too many custom headers"
        self.headers += 1
        self.octets = total
        return None


def _take(rendered: RenderedHeaders, room: _Room, name: str, value: str, why: str | None) -> None:
    if fault := _fault(name) or _fault(value):
        raise HeaderRefused(name, fault)
    value = value.strip()
    why = refusal_of(name) or why or (None if value else "empty") or room.admits(name, value)
    if why is None:
        rendered.sent.append((name, value))
    else:
        rendered.dropped.append(Dropped(name, why))


def _fill(template: Template, variables: Variables) -> tuple[str, str | None]:
    """The value of a header, and why it must be left out, if it must."""
    if isinstance(template, str):
        return _fill_text(template, variables)
    data, why = _fill_text(template.data, variables)
    return (data, why) if why is not None else template.written(data)


def _fill_text(text: str, variables: Variables) -> tuple[str, str | None]:
    """The text with its variables, and why the header must be left out, if it must.

    One pass: what a variable brings is never searched for variables again.
    """
    missing: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name == "$":
            return "$"
        value = variables.resolve(name)
        if not value.strip():
            missing.append(name)
        return value

    filled = _VARIABLE.sub(replace, text)
    return filled, f"${missing[0]} has no value" if missing else None


def _fault(text: str) -> str | None:
    """Why this text cannot stand in a header line, None when it can."""
    if _CONTROL.search(text):
        return "control character"
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return "not valid text"
    return None
