"""JSON answers, and the one shape that every error of the API has: `{"error": {"code", "message", "field"}}`.

No answer ever quotes what was sent: a request may hold a password.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from b2bua.config.editing import EditRefused
from b2bua.config.problems import Problem
from b2bua.control import ControlError
from b2bua.http_api.documented import status_of
from b2bua.http_api.invalid import field_of, message_of

MAX_PROBLEMS = 100
"""Problems of a configuration in one answer; the log of a reload has them all."""

_HTTP_CODES = {404: "not_found", 405: "wrong_http_method"}
_SAYS = {
    400: "the body cannot be read as JSON",
    404: "there is no such path; GET /openapi.json has all of them",
    405: "the path does not know this method; the header Allow has those that it knows",
}


class Json(JSONResponse):
    """A JSON answer. Text from SIP that is not valid Unicode is shown with `?` in the place of what is not."""

    def render(self, content: object) -> bytes:
        """The octets of the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def error_answer(
    status: int,
    code: str,
    message: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """An error as the API shows it; `more` stands beside `error`."""
    body = {"error": {"code": code, "message": message, "field": field}, **more}
    return Json(body, status_code=status, headers=headers)


def shown_problems(problems: Sequence[Problem]) -> list[str]:
    """Problems of the configuration as an answer has them; they never quote a secret."""
    return [str(problem) for problem in problems[:MAX_PROBLEMS]]


def register_error_answers(app: FastAPI) -> None:
    """Give every error that `app` can raise the API's shape."""
    app.add_exception_handler(ControlError, _control_error)
    app.add_exception_handler(EditRefused, _edit_refused)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _defect)


async def _control_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError), "registered for nothing else"
    return error_answer(error.status, error.code, error.message, error.field)


async def _edit_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, EditRefused), "registered for nothing else"
    status, problems = status_of(error.code), shown_problems(error.problems)
    if problems:
        return error_answer(status, error.code, error.message, error.field, problems=problems)
    return error_answer(status, error.code, error.message, error.field)


async def _defect(_request: Request, _error: Exception) -> Response:
    """The framework raises the error again behind the answer; the gate logs it."""
    return error_answer(500, "internal_error", "a defect of this program; its log says more")


async def _http_error(_request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such path, wrong method, a body that is no JSON."""
    assert isinstance(error, HTTPException), "registered for nothing else"
    status = error.status_code
    message = _SAYS.get(status) or HTTPStatus(status).phrase
    return error_answer(status, _HTTP_CODES.get(status, "invalid_request"), message, headers=error.headers)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for nothing else"
    problems: Sequence[Mapping[str, object]] = error.errors()
    first = problems[0]
    message = message_of(first, request.scope.get("route"))
    if len(problems) > 1:
        message = f"{message} (and {len(problems) - 1} more wrong)"
    return error_answer(400, "invalid_request", message, field_of(first))
