"""Placing calls, and joining two of them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from b2bua.call_order import CallOrder
from b2bua.control import Control
from b2bua.handoff.handoff import HandoffRequest
from b2bua.http_api import answers
from b2bua.http_api.calls import CallId
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json
from b2bua.http_api.handoffs import IdempotencyKey, check_place, credentials_of, refusal_of_request
from b2bua.http_api.schemas import BridgeBody, CallBody, HandoffAuth

_PLACE_ERRORS = (
    *("invalid_request", "unknown_destination", "policy_refused"),
    *("call_not_found", "call_not_answered", "call_ended", "call_elsewhere"),
    *("handoff_running", "too_many_handoffs"),
    *("draining", "too_many_calls", "store_unavailable", "audio_passed_through"),
)
_BRIDGE_ERRORS = (
    *("invalid_request", "call_not_found", "call_not_answered", "call_ended", "call_elsewhere"),
    "handoff_running",
    *("store_unavailable", "audio_passed_through"),
)


def placing_routes(control: Control) -> APIRouter:
    """The operations that begin and join calls."""
    routes = APIRouter(prefix="/v1/calls", tags=["calls"])

    @routes.post(
        "",
        status_code=202,
        responses=documented(202, answers.Call, "The call is being placed.", *_PLACE_ERRORS),
    )
    async def place_call(body: CallBody, idempotency_key: IdempotencyKey = "") -> Response:
        """Call a destination or a URI: alone, or beside a live call to consult whoever answers. Answers at once."""
        call = await control.place_call(_order(control, body, idempotency_key))
        return Json(call, status_code=202, headers={"Location": f"/v1/calls/{call['call_id']}"})

    @routes.post(
        "/{call_id}/bridge",
        responses=documented(200, answers.Call, "They hear each other.", *_BRIDGE_ERRORS),
    )
    async def bridge_calls(call_id: CallId, body: BridgeBody) -> Response:
        """Join two calls: those they are there for hear each other, whom both talked to before is hung up."""
        return Json(await control.bridge(call_id, body.call_id))

    return routes


def _order(control: Control, body: CallBody, idempotency_key: str) -> CallOrder:
    """The body in the program's words. Raises `ControlError` 400 for parts that do not go together."""
    auth = None
    if (body.sip_auth_username is None) is not (body.sip_auth_password is None):
        raise refusal_of_request("both or none of username and password", "sip_auth_password")
    if body.sip_auth_username is not None and body.sip_auth_password is not None:
        auth = HandoffAuth(username=body.sip_auth_username, password=body.sip_auth_password)
    check_place(body.destination, body.route, body.encryption, auth, "sip_auth_username")
    if not body.call_id and body.brief != "on_request":
        raise refusal_of_request("goes with call_id", "brief")
    if body.call_id and body.caller_id is not None:
        raise refusal_of_request("of a call alone; beside a live call its caller is shown", "caller_id")
    if body.call_id and body.record:
        raise refusal_of_request("of a call alone; a live call is recorded by /recording", "record")
    named = body.destination
    if named is None and body.route is None:
        named = control.configuration.default_destination.name
    request = HandoffRequest(
        destination=named,
        route=body.route or (),
        credentials=credentials_of(auth) if auth else None,
        encryption=body.encryption,
        reason=body.reason,
        sip_headers=body.sip_headers,
        data=body.data,
        shared_id=body.shared_id,
        ring_timeout=body.ring_timeout,
        consult=bool(body.call_id),
        brief=body.brief,
        idempotency_key=idempotency_key,
    )
    return CallOrder(request, body.caller_id or "", body.record, body.call_id)
