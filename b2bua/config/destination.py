"""A destination: a named place for humans, from the file that operators edit.

One model for all methods. Which keys belong to which is in `method_keys.py` and looked at by the loader, which
knows where each is written; here is what depends on the method otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticKnownError

from b2bua.config.acceptance import AcceptanceKeys
from b2bua.config.callback_url import CallbackUrlText
from b2bua.config.consult import ConsultKeys
from b2bua.config.dial_keys import DialKeys
from b2bua.config.dial_uri import check_refer_target, check_route
from b2bua.config.dialled import MAX_ROUTE, CustomHeaders
from b2bua.config.durations import PingInterval, SilenceDuration
from b2bua.config.hold_music import HoldMusicChoice
from b2bua.config.method_keys import schema_by_method
from b2bua.config.presets import NO_PRESET, PRESETS, PresetName
from b2bua.config.proxies import ProxyKeys
from b2bua.config.route import AfterAgent
from b2bua.config.section import Name, NamedSection, one_or_list, refusal
from b2bua.config.timers import TimerOverrides
from b2bua.config.tls import TlsOfPlace
from b2bua.config.trunk import CallLimit, CallsPerHour, Method
from b2bua.config.trust import TrustKeys
from b2bua.config.user_to_user import UserToUserKeys
from b2bua.encryption import DEFAULT, UNENCRYPTED, Encryption
from b2bua.headers import HANDOFF_ID, USER_TO_USER, Template


def _dials(info: ValidationInfo) -> bool:
    method = info.data.get("method")
    return method == "invite" or (method == "refer" and info.data.get("refer_fallback") == "invite")


def _encryption(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    return handler(value) if _dials(info) else ""


def _target(text: str, info: ValidationInfo) -> str:
    if not _dials(info):
        return check_refer_target(text)
    return check_route(text, info.data.get("encryption", UNENCRYPTED))


def _route(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> tuple[str, ...]:
    method = info.data.get("method")
    if method in ("bye", None):
        return ()
    if value == ():
        # The default; what is written as [] is a list.
        raise PydanticKnownError("missing")
    route: tuple[str, ...] = handler(value)
    if method == "refer" and len(route) > 1:
        raise refusal("more than one URI with method refer", allowed="one; `fallback` names what follows")
    return route


def _preset(name: PresetName | None, info: ValidationInfo) -> PresetName | None:
    method = info.data.get("method")
    if name is None or method is None:
        return name
    preset = PRESETS[name]
    if method not in preset.methods:
        raise refusal(
            f"preset {name} is not for method {method}", allowed=f"with method {' or '.join(preset.methods)}"
        )
    names = (*preset.headers, *info.data.get("headers", ()), HANDOFF_ID)
    written = len({header.lower() for header in names})
    if preset.most_headers is not None and written > preset.most_headers:
        message = f"{name} reads {preset.most_headers} custom headers and would get {written}"
        raise refusal(message, allowed=f"those of the preset, {HANDOFF_ID}, and what is left in `headers`")
    return name


def _user_to_user(keys: UserToUserKeys | None, info: ValidationInfo) -> UserToUserKeys | None:
    if keys is not None and any(name.lower() == USER_TO_USER for name in info.data.get("headers", ())):
        raise refusal("`headers` has User-to-User too", allowed="one of them")
    return keys


class Destination(NamedSection, AcceptanceKeys, ConsultKeys, DialKeys, ProxyKeys, TrustKeys, TimerOverrides):
    """One destination; its timers stand beside the other keys and override those of `timers:`."""

    model_config = ConfigDict(json_schema_extra=schema_by_method())

    description: Annotated[str, Field(max_length=1024)] = ""
    """When to use it; read by people and by the assistant."""
    default: StrictBool = False
    """Exactly one destination is the default."""
    # These two first: the keys below are judged by them.
    method: Method
    """How a handoff reaches it."""
    refer_fallback: Literal["invite"] | None = None
    """`refer`: when the SBC refuses the REFER, we dial `route` and bridge ourselves."""
    encryption: Annotated[Encryption, WrapValidator(_encryption)] = Field(
        default=DEFAULT, validate_default=True
    )
    """What protects signalling and audio; `udp/rtp` is unencrypted."""  # "" where we do not dial
    route: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_target)], ...],
        Field(min_length=1, max_length=MAX_ROUTE),
        one_or_list(),
        WrapValidator(_route),
    ] = Field(default=(), validate_default=True)
    """The URI, or the URIs in the order in which they are tried; `refer`: where the SBC is to send the caller."""
    tls: TlsOfPlace = None
    """On what terms it is called over TLS."""
    headers: CustomHeaders = Field(default={}, validate_default=True)
    """Custom headers, `X-*` or `User-to-User`; `$name` stands for a variable."""
    # After `headers`, by which they are judged.
    preset: Annotated[PresetName | None, AfterValidator(_preset)] = None
    """The headers that a known platform reads; `headers` and `user_to_user` replace what they name."""
    user_to_user: Annotated[UserToUserKeys | None, AfterValidator(_user_to_user)] = None
    """The User-to-User header (RFC 7433)."""
    ping: PingInterval = 0.0
    """How often `route` is asked by OPTIONS whether it is there, so that no call waits in vain; 0 never asks."""
    max_calls: CallLimit | None = None
    """Calls of ours to it at once, those that ring included; the next attempt fails."""
    max_calls_per_hour: CallsPerHour | None = None
    """Calls of ours to it within any hour; the next attempt fails."""
    fallback: Name | None = None
    """The destination tried when this one fails."""
    wait_for_silence: SilenceDuration | None = None
    """The longest wait for the assistant to finish its sentence; without it 5 s when one was announced, else 0."""

    ring: Literal["in_order", "together"] = "in_order"
    """`together`: all of `route` at once, and the first answer wins."""
    hold_music: HoldMusicChoice | None = None
    """What the caller hears until the human is heard; without it the assistant."""
    release_assistant: Literal["on_answer", "on_start", "before_dial"] = "on_answer"
    """When the assistant gets its BYE: the human answered, their phone was reached, or before we dial."""
    hangup_on_star: StrictBool = False
    """`*` pressed by the caller ends the talk with the human."""
    record: StrictBool = False
    """Record the call from when the caller has the human to its end."""
    agent_may_transfer: StrictBool = False
    """The human may send the caller on by REFER, by the rules that hold for the assistant's."""
    after_agent: AfterAgent | None = None
    """What becomes of the caller after the human hung up; without it what the route says."""

    callback_url: CallbackUrlText | None = None
    """Called while a handoff to it goes on: answer, connected, digits, hangup. A handoff may name another."""
    action_url: CallbackUrlText | None = None
    """Called once, with what became of a handoff to it. A handoff may name another."""

    on_refer_timeout: Literal["assume_done", "fail"] = "fail"
    """`refer`: what `refer_timeout` means after the SBC accepted."""
    refer_headers: Literal["refer_to", "request", "both"] = "refer_to"
    """`refer`: where `headers` go, into Refer-To, beside it, or both."""

    @property
    def dials(self) -> bool:
        """True when we may send it INVITEs: method `invite`, or `refer` with `refer_fallback`."""
        return self.method == "invite" or self.refer_fallback == "invite"

    def headers_of(self, method: Method) -> Mapping[str, Template]:
        """Its custom headers in a request of `method`: the preset's, its own, and User-to-User."""
        preset = PRESETS[self.preset] if self.preset is not None else NO_PRESET
        shape = preset.user_to_user.get(method)
        user_to_user = shape if self.user_to_user is None else self.user_to_user.over(shape)
        if user_to_user is None and not preset.headers:
            return self.headers
        headers: dict[str, Template] = {} if user_to_user is None else {"User-to-User": user_to_user}
        headers.update(preset.headers)
        own = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in own}
        return {**self.headers, **kept}
