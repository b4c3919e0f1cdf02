"""Every error code of the API, and what an operation may answer, as the OpenAPI document has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from b2bua.http_api.answers import ErrorAnswer, ProblemsAnswer

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
    problems: bool = False
    """Told with every problem of the configuration, `ProblemsAnswer`."""


ERRORS = (
    ErrorCode("invalid_request", 400, "the request is wrong; `field` says where", "ring_timeout"),
    ErrorCode("unknown_destination", 400, "there is no destination of this name", "destination"),
    ErrorCode("unknown_hold_music", 400, "no destination has hold music of this name", "hold_music"),
    ErrorCode("unknown_whisper", 400, "no destination has a whisper of this name", "whisper"),
    ErrorCode("policy_refused", 400, "`policy` does not allow a URI", "route[0]"),
    ErrorCode("secret_in_clear", 400, "a secret that is not `${NAME}` or `password_file`", "auth.password"),
    ErrorCode(
        "invalid_destination", 400, "it would have `problems`; nothing was written", "ring_timeout", True
    ),
    ErrorCode(
        "confirmation_needed", 400, "what is removed is named twice, the second time to confirm", "confirm"
    ),
    ErrorCode("receiver_refused", 400, "`webhooks` does not allow the address of a URL", "action_url"),
    ErrorCode("invalid_http", 400, "not an HTTP/1.1 request, or its head is longer than 16 KiB"),
    ErrorCode("unauthorized", 401, "no key, or a wrong one"),
    ErrorCode("web_page_refused", 403, "no keys are configured, and the request looks like a web page's"),
    ErrorCode("not_found", 404, "there is no such path"),
    ErrorCode("call_not_found", 404, "no call has this id, or it is kept no longer"),
    ErrorCode("trace_not_found", 404, "the messages of the call are not kept, or no more"),
    ErrorCode("handoff_not_found", 404, "no handoff has this id, or it is kept no longer"),
    ErrorCode("destination_not_found", 404, "there is no destination of this name"),
    ErrorCode("wrong_http_method", 405, "the path does not know the method; `Allow` says which"),
    ErrorCode("call_not_answered", 409, "nobody has answered the call yet"),
    ErrorCode("call_ended", 409, "the call has ended"),
    ErrorCode("call_elsewhere", 409, "the call is up at another node; its `node` says which"),
    ErrorCode("handoff_running", 409, "another handoff of the call is under way"),
    ErrorCode("too_many_handoffs", 409, "the call has had 100 handoffs"),
    ErrorCode("handoff_final", 409, "the handoff is connected or has ended"),
    ErrorCode("not_consulting", 409, "nobody is being consulted in the handoff"),
    ErrorCode("audio_passed_through", 409, "the codec of the call is passed through, and this needs G.711"),
    ErrorCode("not_recording", 409, "the call is not being recorded"),
    ErrorCode("not_recordable", 409, "the media engine cannot record this call, or it has 100 recordings"),
    ErrorCode("too_many_annotations", 409, "the call has had 100 annotations"),
    ErrorCode("destination_exists", 409, "there is a destination of this name"),
    ErrorCode("destination_in_use", 409, "a route or a fallback names it"),
    ErrorCode(
        "destination_is_default",
        409,
        "exactly one destination is the default; another edit moves the mark",
        "default",
    ),
    ErrorCode("not_editable", 409, "the file is spelt in a way that only an editor can change"),
    ErrorCode("not_writable", 409, "the file cannot be written, or somebody else keeps writing it"),
    ErrorCode("configuration_error", 409, "the files have `problems`, and nothing changed", problems=True),
    ErrorCode("destination_changed", 412, "it is not what `If-Match` says it was; read it again"),
    ErrorCode("too_large", 413, "the body is longer than 64 KiB"),
    ErrorCode("not_json", 415, "there is a body, and its Content-Type is not application/json"),
    ErrorCode("internal_error", 500, "a defect of the program; its log says more"),
    ErrorCode("too_many_connections", 503, "try again in a moment"),
    ErrorCode("too_many_calls", 503, "as many calls are running as `limits` allow"),
    ErrorCode("too_many_streams", 503, "16 clients follow the events already"),
    ErrorCode("store_unavailable", 503, "the store does not answer, and it is not known here"),
    ErrorCode("draining", 503, "running calls are finished, new ones are refused"),
)
_BY_CODE = {error.code: error for error in ERRORS}

_EVERYWHERE = ("too_large", "not_json", "internal_error", "too_many_connections")
_BEHIND_KEYS = ("unauthorized", "web_page_refused")
_HEADERS = {401: "WWW-Authenticate", 201: "Location", 202: "Location"}


def status_of(code: str) -> int:
    """The HTTP status of an error code."""
    return _BY_CODE[code].status


def documented(
    status: int,
    model: type[BaseModel] | None,
    text: str,
    *codes: str,
    open_to_all: bool = False,
    headers: Iterable[str] = (),
) -> Responses:
    """What an operation may answer: `model` with `status`, errors with these codes, and those that all have.

    `headers` are those of the good answer, beside the ones that its status brings.
    The one way to declare it; a test asks every operation for what it does not declare.
    """
    good: dict[str, object] = {"description": text, **_headers(status, headers)}
    if model is not None:
        good["model"] = model
    usual = _EVERYWHERE if open_to_all else (*_BEHIND_KEYS, *_EVERYWHERE)
    return {status: good, **_errors((*codes, *usual))}


def _errors(codes: Iterable[str]) -> Responses:
    """Error answers, by status, with an example for each code."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        error = _BY_CODE[code]
        by_status.setdefault(error.status, []).append(error)
    return {status: _error_response(status, of_status) for status, of_status in by_status.items()}


def _error_response(status: int, of_status: list[ErrorCode]) -> dict[str, object]:
    return {
        "model": ProblemsAnswer if any(each.problems for each in of_status) else ErrorAnswer,
        "description": "; ".join(f"`{error.code}`: {error.when}" for error in of_status),
        "content": {"application/json": {"examples": {each.code: _example(each) for each in of_status}}},
        **_headers(status),
    }


def _example(error: ErrorCode) -> dict[str, object]:
    body: dict[str, object] = {"error": {"code": error.code, "message": error.when, "field": error.field}}
    if error.problems:
        body["problems"] = ["b2bua.yaml:3:5: routes[0].to: not text"]
    return {"summary": error.when, "value": body}


def _headers(status: int, more: Iterable[str] = ()) -> dict[str, object]:
    names = [*([_HEADERS[status]] if status in _HEADERS else []), *more]
    if not names:
        return {}
    return {"headers": {name: {"required": True, "schema": {"type": "string"}} for name in names}}
