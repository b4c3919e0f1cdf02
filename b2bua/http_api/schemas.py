"""What may be asked: the bodies of requests, their bounds, and how they become the program's own values.

No header rule is written here: custom headers are tried by `b2bua.headers`, URIs by `b2bua.config`.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    WithJsonSchema,
)

from b2bua.config.acceptance import AcceptKey, PostDialDigits
from b2bua.config.auth import Auth, Password, Word
from b2bua.config.callback_url import CallbackUrlText
from b2bua.config.dial_uri import FromUser, RouteUri
from b2bua.config.dialled import MAX_ROUTE
from b2bua.config.durations import DAY, EXAMPLES, format_duration, parse_duration
from b2bua.config.section import Section, refusal
from b2bua.handoff.handoff import DetectVoicemail, ReleaseAssistant
from b2bua.headers import HeaderRefused, Scalar, Variables, render

MAX_DATA = 64
"""Keys of `data`."""
MAX_SILENCE = 10.0
"""Seconds of `wait_for_silence`."""
MAX_INTEGER = 2**63 - 1

Encryption = Literal["tls/srtp", "tls/srtp-preferred", "tls/rtp", "udp/rtp"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def _text(value: str) -> str:
    """Text that UTF-8 can carry, without NUL: it goes into records, JSON and other programs."""
    if "\0" in value:
        raise refusal("a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refusal("not valid Unicode text") from None
    return value


def line(value: str) -> str:
    """Text for one line: it may end up in a SIP header."""
    if _CONTROLS.search(value):
        raise refusal("a control character; this is text of one line")
    return _text(value)


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and len(value) <= 4096:
        return _text(value)
    raise refusal(
        "not a plain value", allowed="text up to 4096 characters, a number of 64 bits, true, false or null"
    )


def _seconds(minimum: float, maximum: float, *, or_zero: bool = False) -> BeforeValidator:
    """Durations as the configuration writes them, and numbers of seconds."""

    def check(value: object) -> float | None:
        if value is None:
            return None
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        # Compared before it is made a float: JSON's integers may be larger than any float.
        seconds = value if plain else parse_duration(value)
        assert isinstance(seconds, int | float), "a number, or what parse_duration returned"
        if minimum <= seconds <= maximum or (or_zero and seconds == 0):
            return float(seconds)
        low = "0" if or_zero else format_duration(minimum)
        raise refusal("out of range", allowed=f"{low} to {format_duration(maximum)}: {EXAMPLES}, or seconds")

    return BeforeValidator(check)


def _duration_schema(example: str) -> WithJsonSchema:
    kinds = [
        {"type": "string", "pattern": r"^(0|[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d))$"},
        {"type": "number"},
    ]
    return WithJsonSchema({"anyOf": [*kinds, {"type": "null"}], "examples": [example]})


def _custom_headers(headers: dict[str, str]) -> dict[str, str]:
    """Refuses what would break out of its line; names that may not be sent are dropped later, visibly."""
    try:
        render({}, headers, Variables())
    except HeaderRefused as error:
        raise refusal(f"a header that cannot be sent: {error.why}") from None
    return headers


def _uris(value: object) -> object:
    """One text may stand alone. The number is judged before the URIs are: each of them is work."""
    if isinstance(value, list) and len(value) > MAX_ROUTE:
        raise refusal("too many URIs", allowed=f"up to {MAX_ROUTE}")
    if not isinstance(value, str | list):
        raise refusal("of the wrong kind", allowed="a URI, or a list of URIs")
    return [value] if isinstance(value, str) else value


_ROUTE = BeforeValidator(_uris, json_schema_input_type=str | list[str])
Text = Annotated[str, Field(max_length=4096), AfterValidator(_text)]
Line = Annotated[str, Field(max_length=1024), AfterValidator(line)]
ShortLine = Annotated[str, Field(max_length=255), AfterValidator(line)]
NonEmptyLine = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(line)]
HeaderName = Annotated[str, Field(max_length=256), AfterValidator(_text)]
DataKey = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(line)]
DataValue = Annotated[
    Scalar,
    PlainValidator(_scalar),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 4096},
                *({"type": kind} for kind in ("number", "boolean", "null")),
            ]
        }
    ),
]
CustomHeaders = Annotated[dict[HeaderName, Text], Field(max_length=64), AfterValidator(_custom_headers)]
Data = Annotated[dict[DataKey, DataValue], Field(max_length=MAX_DATA)]
RingTimeout = Annotated[float | None, _seconds(0.1, DAY), _duration_schema("30s")]


class HandoffAuth(Auth):
    """As whom the URIs of `route` are called; kept in memory only, returned and logged never."""

    model_config = ConfigDict(json_schema_extra={})  # `password_file` is for configurations

    password: Annotated[Password, WithJsonSchema({"type": "string", "writeOnly": True, "maxLength": 1024})]


class CallBody(Section):
    """A call to be placed. Without `destination` and `route` it goes to the default destination."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"destination": "billing", "caller_id": "+15550001000"}]}
    )

    destination: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(line)] | None = None
    """The name of a destination; or `route` in its place."""
    route: Annotated[tuple[RouteUri, ...], _ROUTE] | None = None
    """The URI, or the URIs in the order in which they are tried. `policy` must allow each."""
    encryption: Encryption | None = None
    """For `route`."""
    sip_auth_username: Word | None = None
    """Answers the challenges of `route`."""
    sip_auth_password: (
        Annotated[Password, WithJsonSchema({"type": "string", "writeOnly": True, "maxLength": 1024})] | None
    ) = None
    """Kept in memory only, returned and logged never."""
    caller_id: FromUser | None = None
    """The number or name that is shown as calling, in a call alone."""
    call_id: ShortLine = ""
    """The live call in which whoever answers is consulted; without it the call stands alone."""
    brief: Literal["on_request", "on_answer"] = "on_request"
    """With `call_id`: when the assistant talks to the human."""
    reason: Line = ""
    """`$reason` in headers."""
    sip_headers: CustomHeaders = Field(default={})
    """`X-*` and `User-to-User` headers."""
    data: Data = Field(default={})
    """Context, plain values only; `$name` in the destination's headers."""
    shared_id: ShortLine = ""
    """Your own id; `$shared_id` in headers."""
    ring_timeout: RingTimeout = None
    """Instead of the destination's; at most a day."""
    record: StrictBool = False
    """Record the call from the answer on, in a call alone; a live call has `/recording`."""


class BridgeBody(Section):
    """The call that another one is joined with."""

    call_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(line)]


class HandoffBody(Section):
    """A handoff that is asked for. Without `destination` and `route` it goes to the default destination."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "destination": "billing",
                    "reason": "refund",
                    "utterance": "I am connecting you to a colleague.",
                    "sip_headers": {"X-Ticket": "4711"},
                    "data": {"customer_id": "C-1", "vip": True},
                    "shared_id": "conversation-17",
                    "ring_timeout": "20s",
                }
            ]
        }
    )

    destination: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(line)] | None = None
    """The name of a destination; or `route` in its place."""
    route: Annotated[tuple[RouteUri, ...], _ROUTE] | None = None
    """The URI, or the URIs in the order in which they are tried. `policy` must allow each."""
    auth: HandoffAuth | None = None
    """Answers the challenges of `route`."""
    encryption: Encryption | None = None
    """For `route`; `tls/srtp` unless it says otherwise."""
    reason: Line = ""
    """Why a human is needed; `$reason` in headers."""
    utterance: Text = ""
    """What the assistant is saying to the caller before it hands over. It is not spoken by us."""
    sip_headers: CustomHeaders = Field(default={})
    """`X-*` and `User-to-User` headers for the destination; what may not be sent is listed in `headers_dropped`."""
    data: Data = Field(default={})
    """Context for the human side, plain values only; `$name` in the destination's headers."""
    shared_id: ShortLine = ""
    """Your own id; `GET /v1/handoffs?shared_id=` finds the handoff by it."""
    ring_timeout: RingTimeout = None
    """Instead of the destination's; at most a day."""
    hold_music: NonEmptyLine | None = None
    """What the caller hears while the destination is called, instead of the destination's."""
    whisper: NonEmptyLine | None = None
    """What the human hears alone before the bridge, instead of the destination's: the name of a configured file."""
    accept_key: AcceptKey | None = None
    """The key that the human must press to get the caller, instead of the destination's."""
    accept_timeout: Annotated[float | None, _seconds(0.1, DAY), _duration_schema("20s")] = None
    """How long the human has for it, instead of the destination's."""
    post_dial_digits: PostDialDigits | None = None
    """Digits sent after the answer, instead of the destination's; `w` waits 0.5 s, `W` 1 s."""
    detect_voicemail: DetectVoicemail | None = None
    """How a machine is known that answered, instead of the destination's."""
    release_assistant: ReleaseAssistant | None = None
    """When the assistant is hung up, instead of the destination's."""
    wait_for_silence: Annotated[
        float | None, _seconds(0, MAX_SILENCE, or_zero=True), _duration_schema("5s")
    ] = None
    """How long the assistant may go on speaking before its audio is cut; at most 10s."""
    consult: StrictBool = False
    """Ask the human first: nobody gets the caller before `POST /v1/handoffs/{id}/accept`."""
    brief: Literal["on_request", "on_answer"] = "on_request"
    """With `consult`: when the assistant talks to the human, at once or when it is asked for."""
    consult_timeout: Annotated[float | None, _seconds(0.1, DAY), _duration_schema("60s")] = None
    """How long the human is consulted, instead of the destination's."""
    callback_url: CallbackUrlText | None = None
    """Called while the handoff goes on: answer, connected, digits, hangup; instead of the destination's."""
    action_url: CallbackUrlText | None = None
    """Called once, with what became of the handoff; instead of the destination's."""
