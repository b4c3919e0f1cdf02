"""Every error code of the API, and what an operation may answer, as the OpenAPI document has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from b2bua.http_api.answers import ErrorAnswer

# FastAPI's own type for `responses=`; its values are OpenAPI response objects, and `model`.
Responses = dict[int | str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A word for programs, its HTTP status, and when it is answered."""

    code: str
    status: int
    when: str
    field: str | None = None
    """As in the example."""


ERRORS = (
    ErrorCode("invalid_request", 400, "the request is wrong; `field` says where", "ring_timeout"),
    ErrorCode("not_available_yet", 400, "a later version will do what is asked", "callback_url"),
    ErrorCode("unknown_destination", 400, "there is no destination of this name", "destination"),
    ErrorCode("unknown_hold_music", 400, "no destination has hold music of this name", "hold_music"),
    ErrorCode("unknown_whisper", 400, "no destination has a whisper of this name", "whisper"),
    ErrorCode("policy_refused", 400, "`policy` does not allow a URI", "route[0]"),
    ErrorCode("invalid_http", 400, "not an HTTP/1.1 request, or its head is longer than 16 KiB"),
    ErrorCode("unauthorized", 401, "no key, or a wrong one"),
    ErrorCode("web_page_refused", 403, "no keys are configured, and the request looks like a web page's"),
    ErrorCode("not_found", 404, "there is no such path"),
    ErrorCode("call_not_found", 404, "no live or recent call has this id"),
    ErrorCode("handoff_not_found", 404, "no live or recent handoff has this id"),
    ErrorCode("wrong_http_method", 405, "the path does not know the method; `Allow` says which"),
    ErrorCode("call_not_answered", 409, "nobody has answered the call yet"),
    ErrorCode("call_ended", 409, "the call has ended"),
    ErrorCode("handoff_running", 409, "another handoff of the call is under way"),
    ErrorCode("too_many_handoffs", 409, "the call has had 100 handoffs"),
    ErrorCode("handoff_final", 409, "the handoff is connected or has ended"),
    ErrorCode("configuration_error", 409, "the files have `problems`, and nothing changed"),
    ErrorCode("too_large", 413, "the body is longer than 64 KiB"),
    ErrorCode("not_json", 415, "there is a body, and its Content-Type is not application/json"),
    ErrorCode("internal_error", 500, "a defect of the program; its log says more"),
    ErrorCode("too_many_connections", 503, "try again in a moment"),
    ErrorCode("too_many_streams", 503, "16 clients follow the events already"),
    ErrorCode("draining", 503, "running calls are finished, new ones are refused"),
)
_BY_CODE = {error.code: error for error in ERRORS}

_EVERYWHERE = ("too_large", "not_json", "internal_error", "too_many_connections")
_BEHIND_KEYS = ("unauthorized", "web_page_refused")
_HEADERS = {401: "WWW-Authenticate", 202: "Location"}


def documented(
    status: int, model: type[BaseModel] | None, text: str, *codes: str, open_to_all: bool = False
) -> Responses:
    """What an operation may answer: `model` with `status`, errors with these codes, and those that all have."""
    good: dict[str, object] = {"description": text, **_headers(status)}
    if model is not None:
        good["model"] = model
    usual = _EVERYWHERE if open_to_all else (*_BEHIND_KEYS, *_EVERYWHERE)
    return {status: good, **errors((*codes, *usual))}


def errors(codes: Iterable[str], model: type[BaseModel] = ErrorAnswer) -> Responses:
    """Error answers, by status, with an example for each code."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        error = _BY_CODE[code]
        by_status.setdefault(error.status, []).append(error)
    return {status: _error_response(status, of_status, model) for status, of_status in by_status.items()}


def _error_response(status: int, of_status: list[ErrorCode], model: type[BaseModel]) -> dict[str, object]:
    return {
        "model": model,
        "description": "; ".join(f"`{error.code}`: {error.when}" for error in of_status),
        "content": {
            "application/json": {"examples": {each.code: _example(each, model) for each in of_status}}
        },
        **_headers(status),
    }


def _example(error: ErrorCode, model: type[BaseModel]) -> dict[str, object]:
    body: dict[str, object] = {"error": {"code": error.code, "message": error.when, "field": error.field}}
    if model is not ErrorAnswer:
        body["problems"] = ["b2bua.yaml:3:5: routes[0].to: not text"]
    return {"summary": error.when, "value": body}


def _headers(status: int) -> dict[str, object]:
    name = _HEADERS.get(status)
    return {} if name is None else {"headers": {name: {"required": True, "schema": {"type": "string"}}}}
