"""What can go wrong when a B2BUA is asked, by what the asker can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.client.answers import Handoff


class ClientError(Exception):
    """The base of all of them."""


class Unreachable(ClientError):
    """No answer: nobody listens, or it took too long. What was asked may have been done or not."""


class ApiError(ClientError):
    """An answer that says no. `code` is a word for programs; `docs/api.md` lists them."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{code}: {message}" if field is None else f"{code}: {field}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        """Where in the request."""
        self.problems = problems
        """Those of the configuration, with file, line and key."""


class BadRequest(ApiError):
    """400 and the like: the request is wrong, and will be next time."""


class Unauthorized(ApiError):
    """401, 403: the key is missing or wrong."""


class NotFound(ApiError):
    """404: no such call, handoff or destination."""


class Conflict(ApiError):
    """409, 412: not now: the call has ended, another handoff is under way, somebody has edited the destination."""


class ServerError(ApiError):
    """5xx, and answers that are none of a B2BUA."""


class WaitTimeout(ClientError):
    """A handoff that is not there yet. `handoff` is how it stands."""

    def __init__(self, handoff: Handoff) -> None:
        super().__init__(f"handoff {handoff.id} is still {handoff.state}")
        self.handoff = handoff


def api_error(status: int, code: str, message: str, field: str | None, problems: tuple[str, ...]) -> ApiError:
    """The error for an answer."""
    if status in (401, 403):
        kind: type[ApiError] = Unauthorized
    elif status == 404:
        kind = NotFound
    elif status in (409, 412):
        kind = Conflict
    else:
        kind = BadRequest if 400 <= status < 500 else ServerError
    return kind(status, code, message, field, problems)
