"""What can be asked of a B2BUA: each operation as a request, and what becomes of its answer. No I/O here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote, urlencode

from b2bua.client.answers import Call, Destination, DestinationSettings, Handoff, Json

T = TypeVar("T")
Headers = Mapping[str, str]
Data = Mapping[str, str | int | float | bool | None]
Duration = str | float
"""`"20s"`, or seconds."""


ConsultVerb = Literal["brief", "introduce", "accept", "decline"]


class HandoffOptions(TypedDict, total=False):
    """What else a handoff may say; `docs/handoff.md` explains each."""

    route: str | list[str]
    """URIs in place of a destination; `policy` must allow them, and `encryption` goes with them."""
    auth: Mapping[str, str]
    """`username` and `password` for `route`."""
    encryption: str
    data: Data
    """Context for the human side."""
    shared_id: str
    """Your own id, that the handoff can be found by."""
    ring_timeout: Duration
    hold_music: str
    release_assistant: Literal["on_answer", "on_start", "before_dial"]
    wait_for_silence: Duration
    consult: bool
    brief: Literal["on_request", "on_answer"]
    consult_timeout: Duration
    whisper: str
    accept_key: str
    accept_timeout: Duration
    post_dial_digits: str
    detect_voicemail: str
    callback_url: str
    action_url: str


class CallOptions(TypedDict, total=False):
    """What else a call of ours may say; `docs/api.md` explains each."""

    route: str | list[str]
    """URIs in place of a destination; `policy` must allow them, and `encryption` goes with them."""
    encryption: str
    sip_auth_username: str
    sip_auth_password: str
    caller_id: str
    call_id: str
    """The live call in which whoever answers is consulted."""
    brief: Literal["on_request", "on_answer"]
    reason: str
    sip_headers: Mapping[str, str]
    data: Data
    shared_id: str
    ring_timeout: Duration
    record: bool


class ContextOptions(TypedDict, total=False):
    """What a conversation that is no call hands to the human who takes it over."""

    destination: str
    reason: str
    utterance: str
    shared_id: str
    data: Data


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One request."""

    method: str
    path: str
    read: Callable[[Any, Headers], T] = field(repr=False)
    """From the JSON and the headers of a good answer."""
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def may_be_repeated(self) -> bool:
        """True when asking twice is the same as asking once: reading, and what has an Idempotency-Key."""
        return self.method == "GET" or "Idempotency-Key" in self.headers


def call_handoff(
    call_id: str,
    destination: str | None,
    reason: str | None,
    utterance: str | None,
    sip_headers: Mapping[str, str] | None,
    idempotency_key: str | None,
    options: HandoffOptions,
) -> Request[Handoff]:
    """Hand a live call over. Without a key of the caller's it gets one, so that it may be repeated."""
    said = {
        "destination": destination,
        # As published by platforms that have this function: the destination is a reason, too.
        "reason": reason if reason is not None else destination,
        "utterance": utterance,
        "sip_headers": sip_headers,
        **options,
    }
    return Request(
        "POST",
        f"/v1/calls/{_segment(call_id)}/handoff",
        _handoff,
        {key: value for key, value in said.items() if value is not None},
        _idempotent(idempotency_key),
    )


def handoff(handoff_id: str) -> Request[Handoff]:
    """How a handoff stands."""
    return Request("GET", f"/v1/handoffs/{_segment(handoff_id)}", _handoff)


def handoffs(shared_id: str) -> Request[list[Handoff]]:
    """The handoffs with an id of the application, newest first."""
    query = urlencode({"shared_id": shared_id})
    return Request("GET", f"/v1/handoffs?{query}", lambda answer, _: [*map(Handoff.of, answer["handoffs"])])


def cancel_handoff(handoff_id: str) -> Request[Handoff]:
    """Give up on a handoff that is not connected yet."""
    return Request("DELETE", f"/v1/handoffs/{_segment(handoff_id)}", _handoff)


def consult(handoff_id: str, verb: ConsultVerb) -> Request[Handoff]:
    """Lead a consultation on."""
    return Request("POST", f"/v1/handoffs/{_segment(handoff_id)}/{verb}", _handoff)


def resolve(handoff_id: str, result: str, agent: str, note: str, data: Data) -> Request[Handoff]:
    """What the human side says became of a handoff."""
    said = {"result": result, "agent": agent, "note": note, "data": data}
    return Request("POST", f"/v1/handoffs/{_segment(handoff_id)}/outcome", _handoff, said)


def add_context(channel: str, idempotency_key: str | None, options: ContextOptions) -> Request[Handoff]:
    """Keep the context of a conversation that is no call."""
    headers = _idempotent(idempotency_key)
    return Request("POST", "/v1/handoffs", _handoff, {"channel": channel, **options}, headers)


def place_call(destination: str | None, idempotency_key: str | None, options: CallOptions) -> Request[Call]:
    """Call a destination or a URI."""
    where = {} if destination is None else {"destination": destination}
    headers = _idempotent(idempotency_key)
    return Request("POST", "/v1/calls", _call, {**where, **options}, headers)


def bridge(call_id: str, other: str) -> Request[Call]:
    """Join two calls."""
    return Request("POST", f"/v1/calls/{_segment(call_id)}/bridge", _call, {"call_id": other})


def annotate(call_id: str, text: str, author: str, data: Data) -> Request[Json]:
    """Note something on a call."""
    said = {"text": text, "author": author, "data": data}
    return Request("POST", f"/v1/calls/{_segment(call_id)}/annotations", lambda answer, _: answer, said)


def calls(limit: int) -> Request[list[Call]]:
    """Live calls, then recent ones, newest first."""
    return Request("GET", f"/v1/calls?limit={limit}", lambda answer, _: [*map(Call.of, answer["calls"])])


def call(call_id: str) -> Request[Call]:
    """One call; `raw` has legs, timeline, handoffs and media statistics."""
    return Request("GET", f"/v1/calls/{_segment(call_id)}", _call)


def hang_up(call_id: str) -> Request[None]:
    """End a call toward every side."""
    return Request("DELETE", f"/v1/calls/{_segment(call_id)}", _nothing)


def destinations() -> Request[list[Destination]]:
    """What can be named in a handoff."""
    return Request(
        "GET", "/v1/destinations", lambda answer, _: [*map(Destination.of, answer["destinations"])]
    )


def destination(name: str) -> Request[DestinationSettings]:
    """The settings of one."""
    return Request("GET", _of_destination(name), _settings)


def add_destination(name: str, settings: Json) -> Request[DestinationSettings]:
    """A new one."""
    return Request("POST", "/v1/destinations", _settings, {"name": name, **settings})


def replace_destination(name: str, settings: Json, tag: str | None) -> Request[DestinationSettings]:
    """Other settings for one; with `tag`, only if it is still what was read."""
    return Request("PUT", _of_destination(name), _settings, settings, _if_match(tag))


def duplicate_destination(name: str, new_name: str) -> Request[DestinationSettings]:
    """A copy."""
    return Request("POST", f"{_of_destination(name)}/duplicate", _settings, {"name": new_name})


def make_default(name: str) -> Request[DestinationSettings]:
    """Another default."""
    return Request("POST", f"{_of_destination(name)}/default", _settings)


def remove_destination(name: str, tag: str | None) -> Request[None]:
    """One less."""
    query = urlencode({"confirm": name})
    return Request("DELETE", f"{_of_destination(name)}?{query}", _nothing, headers=_if_match(tag))


def _idempotent(key: str | None) -> dict[str, str]:
    """Without a key of the caller's it gets one, so that the request may be repeated."""
    return {"Idempotency-Key": key or uuid.uuid4().hex}


def _segment(text: str) -> str:
    return quote(text, safe="")


def _of_destination(name: str) -> str:
    return f"/v1/destinations/{_segment(name)}"


def _if_match(tag: str | None) -> dict[str, str]:
    return {} if tag is None else {"If-Match": tag}


def _handoff(answer: Any, _headers: Headers) -> Handoff:
    return Handoff.of(answer)


def _call(answer: Any, _headers: Headers) -> Call:
    return Call.of(answer)


def _settings(answer: Any, headers: Headers) -> DestinationSettings:
    return DestinationSettings.of(answer, headers["etag"])


def _nothing(_answer: Any, _headers: Headers) -> None:
    return None
