"""Beginning a handoff: who may ask for what, and the one place where a request becomes a `Handoff`."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from b2bua.call.codecs import check_understood
from b2bua.call.events import HandoffAsked
from b2bua.call.replacing import BEING_REPLACED
from b2bua.config import Destination, parse_hold_music
from b2bua.config.problems import key_text, known_names
from b2bua.config.webhook_checks import URL_KEYS, may_be_reached
from b2bua.control import ControlError
from b2bua.handoff.consultation import ConsultPhase
from b2bua.handoff.handoff import Handoff

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.config import Configuration
    from b2bua.handoff.handoff import HandoffRequest


_OVERRIDES = (
    *("ring_timeout", "release_assistant", "accept_key", "accept_timeout"),
    *("post_dial_digits", "detect_voicemail", "consult_timeout"),
)
"""What a request and a destination call alike, and the request decides."""

MAX_HANDOFFS = 100
"""Of one call: each is kept until it ends, and somebody who asks for ever gets nobody."""


def begin(call: Call, request: HandoffRequest) -> Handoff:
    """Put a handoff to a live call; it is carried out when the call gets to it. Raises `ControlError`.

    The same idempotency key joins the handoff that has it, running or over.
    """
    if request.idempotency_key:
        for known in call.handoffs:
            if known.request.idempotency_key == request.idempotency_key:
                return known
    if call.over:
        raise ControlError(409, "call_ended", "the call has ended")
    if not call.answered or call.peer is None or call.caller is None:
        raise ControlError(409, "call_not_answered", "the caller does not talk to anybody yet")
    if call.handoff is not None:
        raise ControlError(409, "handoff_running", f"handoff {call.handoff.id} is under way")
    if call.replacement is not None:
        raise ControlError(409, "call_not_answered", BEING_REPLACED)
    if len(call.handoffs) >= MAX_HANDOFFS:
        raise ControlError(409, "too_many_handoffs", f"the call has had {MAX_HANDOFFS} handoffs")
    destination = place_of(call.configuration, request)
    if request.consult and destination.method != "invite":
        raise ControlError(400, "invalid_request", f"not with method {destination.method}", "consult")
    if request.consult:
        check_understood((call.caller, call.peer), "a consultation")
    request = _with_urls(call.configuration, destination, request)
    now = call.services.now()
    handoff = Handoff(
        id=uuid.uuid4().hex,
        call_id=call.id,
        request=request,
        first=destination,
        method=destination.method,
        destination=destination.name,
        created=now,
        updated=now,
        clock=call.record.clock,
        feed=call.services.feed,
        consult=ConsultPhase.DIALING if request.consult else None,
    )
    call.handoff = handoff
    call.handoffs.append(handoff)
    call.on_handoff(handoff)
    handoff.publish()
    call.inbox.put(HandoffAsked(handoff))
    return handoff


def _with_urls(
    configuration: Configuration, destination: Destination, request: HandoffRequest
) -> HandoffRequest:
    """The request with the destination's webhooks where it names none of its own."""
    for field in URL_KEYS:
        url = getattr(request, field)
        if url is not None and not may_be_reached(configuration.webhooks, url):
            raise ControlError(400, "receiver_refused", "webhooks.allow does not name this address", field)
    return replace(
        request,
        callback_url=request.callback_url or destination.callback_url,
        action_url=request.action_url or destination.action_url,
    )


def place_of(configuration: Configuration, request: HandoffRequest) -> Destination:
    """The destination that a request names or describes, with what the request says in place of its own."""
    if request.destination is not None:
        found = configuration.destinations.get(request.destination)
        if found is None:
            known = known_names(request.destination, configuration.destinations)
            raise ControlError(400, "unknown_destination", known, "destination")
    elif request.route:
        found = _described(configuration, request)
    else:
        found = configuration.default_destination
    return found.model_copy(update=_overrides(configuration, request))


def _described(configuration: Configuration, request: HandoffRequest) -> Destination:
    for number, uri in enumerate(request.route):
        if not configuration.policy.allows(uri):
            field = key_text(("route", number))
            raise ControlError(400, "policy_refused", f"policy.allow does not include {uri}", field)
    values: dict[str, object] = {"method": "invite", "route": list(request.route)}
    if request.encryption is not None:
        values["encryption"] = request.encryption
    if request.credentials is not None:
        given = request.credentials
        values["auth"] = {"username": given.username, "password": given.password, "realm": given.realm}
    try:
        return Destination.model_validate(values)
    except ValidationError as error:
        # Never the error's own text: it quotes what it found, passwords included.
        first = error.errors(include_input=False, include_url=False)[0]
        allowed = first.get("ctx", {}).get("allowed")
        message = f"{first['msg']}; allowed: {allowed}" if allowed else first["msg"]
        raise ControlError(400, "invalid_request", message, key_text(first["loc"])) from None


def _overrides(configuration: Configuration, request: HandoffRequest) -> dict[str, object]:
    overrides: dict[str, object] = {
        key: value for key in _OVERRIDES if (value := getattr(request, key)) is not None
    }
    if request.consult:
        # Who is to brief the human must be there.
        overrides["release_assistant"] = "on_answer"
    if request.whisper is not None:
        whispers = {path.name: path for path in configuration.whisper_files()}
        if request.whisper not in whispers:
            raise ControlError(400, "unknown_whisper", known_names(request.whisper, whispers), "whisper")
        overrides["whisper"] = whispers[request.whisper]
    if request.hold_music is not None:
        music = parse_hold_music(request.hold_music)
        if music.path is not None:
            # Only what the operator configured: an API key must not read files.
            known = {path.name: path for path in configuration.hold_music_files()}
            if request.hold_music not in known:
                names = known_names(request.hold_music, known)
                raise ControlError(400, "unknown_hold_music", names, "hold_music")
            music = type(music)("file", known[request.hold_music])
        overrides["hold_music"] = music
    return overrides
