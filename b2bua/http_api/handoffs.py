"""Handoffs: asking for one, its state and context, giving up on it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Path
from pydantic import AfterValidator
from starlette.responses import Response

from b2bua.config.section import refusal
from b2bua.control import Control, ControlError
from b2bua.handoff.handoff import HandoffRequest
from b2bua.http_api import answers
from b2bua.http_api.calls import CallId
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json
from b2bua.http_api.schemas import HandoffAuth, HandoffBody
from sip_stack.auth import Credentials
from sip_stack.errors import LocalError

HandoffId = Annotated[str, Path(max_length=128, description="`id` of the handoff.")]
_KEY = r"^[\x21-\x7e]*$"


def _idempotency_key(text: str) -> str:
    if re.fullmatch(_KEY, text) is None:
        raise refusal(
            "characters that it may not have", allowed="letters, digits and signs of ASCII, without spaces"
        )
    return text


IdempotencyKey = Annotated[
    str,
    AfterValidator(_idempotency_key),
    Header(
        alias="Idempotency-Key",
        max_length=255,
        json_schema_extra={"pattern": _KEY},
        description="A text of your own, different for each handoff you mean. Sending a request again with the same "
        "key answers with the handoff that the first one began.",
    ),
]

_BEGIN_ERRORS = (
    *("invalid_request", "unknown_destination", "policy_refused", "receiver_refused"),
    *("unknown_hold_music", "unknown_whisper"),
    *("call_not_found", "call_not_answered", "call_ended", "call_elsewhere"),
    *("handoff_running", "too_many_handoffs"),
    *("store_unavailable", "audio_passed_through"),
)
OF_A_HANDOFF = ("invalid_request", "handoff_not_found", "store_unavailable")


def handoff_routes(control: Control) -> APIRouter:
    """The operations on handoffs."""
    routes = APIRouter(tags=["handoffs"])

    @routes.post(
        "/v1/calls/{call_id}/handoff",
        status_code=202,
        responses=documented(202, answers.Handoff, "The handoff has begun.", *_BEGIN_ERRORS),
    )
    async def begin_handoff(
        call_id: CallId, body: HandoffBody, idempotency_key: IdempotencyKey = ""
    ) -> Response:
        """Hand a live call to a human. Answers at once; `Location` is where to follow the handoff."""
        handoff = await control.hand_off(call_id, _request(control, body, idempotency_key))
        where = {"Location": f"/v1/handoffs/{handoff['id']}"}
        return Json(handoff, status_code=202, headers=where)

    @routes.get(
        "/v1/handoffs/{handoff_id}",
        responses=documented(200, answers.Handoff, "The handoff.", *OF_A_HANDOFF),
    )
    async def get_handoff(handoff_id: HandoffId) -> Response:
        """One handoff: its state, its context (screen pop) and its outcome."""
        return Json(await control.handoff(handoff_id))

    @routes.delete(
        "/v1/handoffs/{handoff_id}",
        responses=documented(
            200, answers.Handoff, "The handoff, given up.", *OF_A_HANDOFF, "handoff_final", "call_elsewhere"
        ),
    )
    async def cancel_handoff(handoff_id: HandoffId) -> Response:
        """Give up on a handoff that is not connected yet; the caller stays with the assistant."""
        return Json(await control.cancel_handoff(handoff_id))

    return routes


def _request(control: Control, body: HandoffBody, idempotency_key: str) -> HandoffRequest:
    """The body in the program's words. Raises `ControlError` 400 for parts that do not go together."""
    check_place(body.destination, body.route, body.encryption, body.auth)
    _check_consult(body)
    named = body.destination
    if named is None and body.route is None:
        named = control.configuration.default_destination.name
    return HandoffRequest(
        destination=named,
        route=body.route or (),
        credentials=credentials_of(body.auth) if body.auth else None,
        encryption=body.encryption,
        reason=body.reason,
        utterance=body.utterance,
        sip_headers=body.sip_headers,
        data=body.data,
        shared_id=body.shared_id,
        ring_timeout=body.ring_timeout,
        hold_music=body.hold_music,
        whisper=body.whisper,
        accept_key=body.accept_key,
        accept_timeout=body.accept_timeout,
        post_dial_digits=body.post_dial_digits,
        detect_voicemail=body.detect_voicemail,
        release_assistant=body.release_assistant,
        wait_for_silence=body.wait_for_silence,
        consult=body.consult,
        brief=body.brief,
        consult_timeout=body.consult_timeout,
        callback_url=body.callback_url,
        action_url=body.action_url,
        asked_by="api",
        idempotency_key=idempotency_key,
    )


def check_place(
    destination: str | None,
    route: tuple[str, ...] | None,
    encryption: str | None,
    auth: HandoffAuth | None,
    auth_field: str = "auth",
) -> None:
    """Whether it is clear whom to call. Raises `ControlError` 400."""
    if route is None:
        for field, value in ((auth_field, auth), ("encryption", encryption)):
            if value is not None:
                raise refusal_of_request("goes with route; a destination has its own", field)
        return
    if destination is not None:
        raise refusal_of_request("a destination or a route, not both", "route")
    if not route:
        raise refusal_of_request("a route needs a URI", "route")


def _check_consult(body: HandoffBody) -> None:
    if body.consult:
        if body.release_assistant not in (None, "on_answer"):
            raise refusal_of_request("the assistant stays for as long as it consults", "release_assistant")
        return
    for field, given in (("brief", body.brief != "on_request"), ("consult_timeout", body.consult_timeout)):
        if given:
            raise refusal_of_request("goes with consult", field)


def credentials_of(auth: HandoffAuth) -> Credentials:
    """What answers the challenges of a route. Raises `ControlError` 400 for what cannot be sent."""
    try:
        return auth.credentials
    except LocalError as error:
        # Its text names the part and never quotes it.
        raise refusal_of_request(str(error), "auth") from None


def refusal_of_request(message: str, field: str) -> ControlError:
    """What is wrong with a request, and where."""
    return ControlError(400, "invalid_request", message, field)
