"""Which keys of a destination belong to which method."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic.config import JsonDict

from b2bua.config.trunk import Method

INVITE_KEYS = frozenset(
    {
        "100rel",
        "accept_key",
        "accept_timeout",
        "after_agent",
        "agent_may_transfer",
        "auth",
        "auth_timeout",
        "connect_timeout",
        "consult_timeout",
        "consult_without_assistant",
        "detect_voicemail",
        "encryption",
        "from_user",
        "hangup_on_star",
        "hold_music",
        "max_calls",
        "max_calls_per_hour",
        "media_timeout",
        "outbound_proxy",
        "pass_headers",
        "ping",
        "post_dial_digits",
        "record",
        "redirects",
        "release_assistant",
        "ring",
        "ring_timeout",
        "route_set",
        "session_timers",
        "time_limit",
        "tls",
        "trusted",
        "whisper",
    }
)
"""Of a leg that we dial and bridge."""
REFER_KEYS = frozenset({"on_refer_timeout", "refer_fallback", "refer_headers", "refer_timeout"})
NOT_OF_BYE = frozenset({"fallback", "route", "trunk"})
"""A BYE does not say where to, and nothing can follow it."""


def is_of_method(key: str, method: Method, *, dials: bool) -> bool:
    """True when the key has a meaning with `method`; `dials`: it is `invite` or falls back to it."""
    if key in INVITE_KEYS:
        return dials
    if key in REFER_KEYS:
        return method == "refer"
    return method != "bye" or key not in NOT_OF_BYE


def why_not(key: str, method: Method) -> tuple[str, str]:
    """The message for a key that does not belong to `method`, and where it is allowed."""
    message = f"not a key of method {method}"
    if key == "encryption":
        message += ": the SBC decides"
    elif key == "fallback":
        message += ": nothing can follow a BYE"
    elif key in NOT_OF_BYE:
        message += ": the SBC takes the caller back"
    if key in REFER_KEYS:
        return message, "with method refer"
    if key in NOT_OF_BYE:
        return message, "with method invite or refer"
    with_fallback = ", or `refer_fallback: invite` beside it" if method == "refer" else ""
    return message, f"with method invite{with_fallback}"


def schema_by_method() -> JsonDict:
    """What an editor is told about the keys of a destination."""
    refused_by_bye = INVITE_KEYS | REFER_KEYS | NOT_OF_BYE
    if_dialled: JsonDict = {
        "if": {"required": ["refer_fallback"]},
        "else": _without(INVITE_KEYS),
    }
    return {
        "required": ["method"],
        "allOf": [
            _if_method("invite", {"required": ["route"], **_without(REFER_KEYS)}),
            _if_method("refer", {"required": ["route"], **if_dialled}),
            _if_method("bye", _without(refused_by_bye)),
        ],
    }


def _if_method(method: Method, then: JsonDict) -> JsonDict:
    return {"if": {"properties": {"method": {"const": method}}, "required": ["method"]}, "then": then}


def _without(keys: Iterable[str]) -> JsonDict:
    return {"properties": {key: False for key in sorted(keys)}}
