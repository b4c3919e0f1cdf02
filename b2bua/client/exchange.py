"""From a request to its answer, for both clients: what is sent, what is tried again, and what an answer means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2

from b2bua import __version__
from b2bua.client.errors import Unreachable, api_error
from b2bua.client.requests import Request

DELAYS = (0.2, 0.8)
"""Seconds before the second and the third try of what may be repeated."""
BUSY = 503
TIMEOUT = 10.0
"""Seconds for one request."""
STREAM = httpx2.Timeout(TIMEOUT, read=45.0)
"""For the stream of events, which says something each 15 s."""
POLL_SECONDS = 0.3
"""Between looks at a handoff that is waited for."""
WAIT_SECONDS = 60.0

T = TypeVar("T")


def headers(key: str | None) -> dict[str, str]:
    """Those of every request."""
    authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"User-Agent": f"b2bua-client/{__version__}", "Accept": "application/json", **authorization}


def pauses(request: Request[T]) -> list[float | None]:
    """After each try how long to wait for the next one; None after the last."""
    return [*DELAYS, None] if request.may_be_repeated else [None]


@contextmanager
def transport_errors() -> Iterator[None]:
    """Turn those of the HTTP library into `Unreachable`."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Unreachable("no answer in time") from error
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error


def read(request: Request[T], answer: httpx2.Response) -> T:
    """What an answer means. Raises `ApiError`."""
    content: Any = None
    try:
        content = answer.json() if answer.content else None
        if answer.is_success:
            return request.read(content, answer.headers)
        error = content["error"]
        problems = tuple(content.get("problems", ()))
        refusal = api_error(answer.status_code, error["code"], error["message"], error["field"], problems)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{answer.status_code} with a body that no B2BUA sends"
        raise api_error(max(answer.status_code, 500), "unexpected_answer", message, None, ()) from None
    raise refusal
