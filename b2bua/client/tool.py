"""`connect_to_live_agent`: handing a call over as a tool that a language model calls.

Name, arguments and failure reasons are those that are published for such a tool, so that prompts written for
one platform work here. Whatever happens the tool answers and raises nothing: a failed transfer never ends the call,
and the model needs a sentence to go on with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from b2bua.client.answers import Destination, Handoff
from b2bua.client.async_client import AsyncOnCall
from b2bua.client.client import OnCall
from b2bua.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    ServerError,
    Unauthorized,
    Unreachable,
    WaitTimeout,
)

NAME = "connect_to_live_agent"
DESCRIPTION = (
    "Connect the caller to a human. Use it when the caller asks for a person, or when what they need is described by "
    "one of the destinations. The caller stays with you until a human has answered; when that fails, go on talking."
)
WAIT_SECONDS = 45.0
"""Until a human has to have answered."""

FAILURE_REASONS = {
    "missing_outbound_number_id": "",  # published; nothing here has such ids, so that it is never answered
    "outbound_number_not_found": "",
    "telephony_number_not_found": "",
    "transfer_number_not_configured": "The human's number is not set up.",
    "telephony_service_unavailable": "The human's telephone system could not be reached.",
    "conference_service_unavailable": "The audio to the human could not be set up.",
    "unavailable": "No human is available at the moment.",
    "cancelled": "The transfer was cancelled, or the caller has left.",
    "exception": "The transfer failed unexpectedly.",
}
"""Every published reason, and the sentence that goes with it."""

REASON_OF_OUTCOME = {
    **dict.fromkeys(
        ("no-answer", "busy", "rejected", "lost_race", "destination_limit", "destination_hourly_limit"),
        "unavailable",
    ),
    **dict.fromkeys(("confirm_failed", "machine_detected"), "unavailable"),
    **dict.fromkeys(("destination_limit", "destination_hourly_limit"), "unavailable"),
    **dict.fromkeys(
        (
            "unallocated",
            "out_of_service",
            "policy_refused",
            "prefix_barred",
            "method_not_allowed",
            "no_route",
        ),
        "transfer_number_not_configured",
    ),
    **dict.fromkeys(
        (
            "sip_auth_failed",
            "sip_auth_timeout",
            "forbidden",
            "network_error",
            "routing_error",
            "loop_detected",
        ),
        "telephony_service_unavailable",
    ),
    **dict.fromkeys(
        ("carrier_error", "carrier_congestion", "tls_untrusted", "tls_expired", "tls_name_mismatch"),
        "telephony_service_unavailable",
    ),
    **dict.fromkeys(
        (
            "refer_refused",
            "refer_timeout",
            "session_expired",
            "not_acknowledged",
            "provisional_not_acknowledged",
            "unknown_trunk",
        ),
        "telephony_service_unavailable",
    ),
    **dict.fromkeys(("overload", "draining", "shutdown"), "telephony_service_unavailable"),
    **dict.fromkeys(
        (
            "srtp_required",
            "media_not_acceptable",
            "offer_required",
            "media_engine_lost",
            "media_ports_exhausted",
            "process_lost",
        ),
        "conference_service_unavailable",
    ),
    "media_timeout": "conference_service_unavailable",
    **dict.fromkeys(("cancel", "normal_hangup", "scheduled_hangup"), "cancelled"),
    **dict.fromkeys(("internal_error", "bad_request", "bad_extension", "extension_required"), "exception"),
}
"""By the name of a handoff's outcome."""

REASON_OF_CODE = {
    **dict.fromkeys(("call_not_found", "call_ended"), "cancelled"),
    **dict.fromkeys(("call_not_answered", "handoff_running", "too_many_handoffs"), "unavailable"),
    **dict.fromkeys(("unknown_destination", "policy_refused"), "transfer_number_not_configured"),
}
"""By the code of an error of the API."""


class Arguments(TypedDict, total=False):
    """What the model may say."""

    destination: str
    reason: str
    utterance: str


class ToolResult(TypedDict):
    """What the model is told."""

    status: str
    """success or failed."""
    reason: str | None
    """One of `FAILURE_REASONS`; null for a success."""
    message: str
    conference_id: str | None
    """The id of the handoff, when one began."""


def openai_tool(destinations: Iterable[Destination]) -> dict[str, Any]:
    """The tool for OpenAI's Chat Completions, and for what speaks like it."""
    return {"type": "function", "function": _definition(destinations, "parameters")}


def openai_responses_tool(destinations: Iterable[Destination]) -> dict[str, Any]:
    """The tool for OpenAI's Responses and Realtime."""
    return {"type": "function", **_definition(destinations, "parameters")}


def anthropic_tool(destinations: Iterable[Destination]) -> dict[str, Any]:
    """The tool for Anthropic's Messages."""
    return _definition(destinations, "input_schema")


def connect_to_live_agent(
    call: OnCall, arguments: Mapping[str, Any] | str, *, seconds: float = WAIT_SECONDS
) -> ToolResult:
    """Do what a model asked for with its arguments, JSON text or read already, and wait for what comes of it."""
    handoff_id = None
    try:
        handoff = call.call_handoff(**_read(arguments))
        handoff_id = handoff.id
        try:
            return _result(call.client.wait_for_handoff(handoff.id, seconds=seconds))
        except WaitTimeout:
            pass
        try:
            call.client.cancel_handoff(handoff.id)
        except Conflict:
            # In this moment a human answered after all, or it failed by itself.
            return _result(call.client.handoff(handoff.id))
        return _failed("unavailable", handoff.id)
    except (ClientError, ValueError) as error:
        return _failed(_reason_of(error), handoff_id)


async def connect_to_live_agent_async(
    call: AsyncOnCall, arguments: Mapping[str, Any] | str, *, seconds: float = WAIT_SECONDS
) -> ToolResult:
    """`connect_to_live_agent` to be awaited."""
    handoff_id = None
    try:
        handoff = await call.call_handoff(**_read(arguments))
        handoff_id = handoff.id
        try:
            return _result(await call.client.wait_for_handoff(handoff.id, seconds=seconds))
        except WaitTimeout:
            pass
        try:
            await call.client.cancel_handoff(handoff.id)
        except Conflict:
            return _result(await call.client.handoff(handoff.id))
        return _failed("unavailable", handoff.id)
    except (ClientError, ValueError) as error:
        return _failed(_reason_of(error), handoff_id)


def _definition(destinations: Iterable[Destination], schema: str) -> dict[str, Any]:
    known = list(destinations)
    default = next((each.name for each in known if each.default), None)
    lines = [f"{each.name}: {each.description or each.name}" for each in known]
    what = "Where to. " + (f"Left out, it is {default}. " if default else "") + "\n".join(lines)
    properties = {
        "destination": {"type": "string", "enum": [each.name for each in known], "description": what},
        "reason": {"type": "string", "description": "Why a human is needed, in a few words for that human."},
        "utterance": {"type": "string", "description": "What you are saying to the caller meanwhile."},
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": ["reason"],
        "additionalProperties": False,
    }
    return {"name": NAME, "description": DESCRIPTION, schema: parameters}


def _read(arguments: Mapping[str, Any] | str) -> Arguments:
    """The arguments that the tool has; what else a model makes up is left out. Raises `ValueError`."""
    given = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
    if not isinstance(given, Mapping):
        raise ValueError("not a mapping of arguments")
    read = Arguments()
    for key in ("destination", "reason", "utterance"):
        if given.get(key):
            read[key] = str(given[key])
    return read


def _result(handoff: Handoff) -> ToolResult:
    if handoff.succeeded:
        message = "The caller is connected to a human."
        return ToolResult(status="success", reason=None, message=message, conference_id=handoff.id)
    if handoff.state == "cancelled":
        return _failed("cancelled", handoff.id)
    outcome = handoff.outcome
    reason = REASON_OF_OUTCOME.get(outcome.name, "exception") if outcome is not None else "exception"
    return _failed(reason, handoff.id)


def _failed(reason: str, handoff_id: str | None) -> ToolResult:
    return ToolResult(
        status="failed", reason=reason, message=FAILURE_REASONS[reason], conference_id=handoff_id
    )


def _reason_of(error: Exception) -> str:
    if isinstance(error, Unauthorized | ServerError | Unreachable):
        return "telephony_service_unavailable"
    return REASON_OF_CODE.get(error.code, "exception") if isinstance(error, ApiError) else "exception"
