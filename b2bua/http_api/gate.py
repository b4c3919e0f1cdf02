"""What every request passes before the application sees it: key, size, kind of body; and what catches its defects.

The whole body is read here, so that the application never waits for a client. How long a client may take is
decided in `connection.py`.
"""

from __future__ import annotations

import asyncio
import traceback

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from b2bua.http_api.auth import Keys
from b2bua.http_api.connection import note_admitted
from b2bua.http_api.errors import error_answer
from b2bua.telemetry.logs import OncePerInterval, get_logger

MAX_BODY = 64 * 1024
"""Octets of a request's body."""
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""What needs no key: it says nothing about calls, and load balancers have none."""


class _Refused(Exception):
    """The request goes no further."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


class Gate:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._log = get_logger()
        self._once: OncePerInterval | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; anything else (WebSocket, lifespan) is not served."""
        if scope["type"] != "http":
            return
        try:
            headers = Headers(scope=scope)
            self._check_key(scope, headers)
            body = await _read_body(headers, receive)
            if body is None:
                return
            _check_kind(headers, body)
        except _Refused as refused:
            await refused.answer(scope, receive, send)
            return
        await self._serve(scope, _replay(body, receive), send)

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        if scope["path"] in OPEN_PATHS:
            return
        answer = self._keys.refusal(headers)
        if answer is not None:
            self._note_refusal(scope, answer.status_code)
            raise _Refused(answer)
        note_admitted(scope)

    def _note_refusal(self, scope: Scope, status: int) -> None:
        """One line per client and minute: somebody may be trying keys."""
        if self._once is None:
            self._once = OncePerInterval(60.0, asyncio.get_running_loop().time)
        client = scope["client"][0] if scope.get("client") else "unknown"
        if (held := self._once.allow(client)) is not None:
            self._log.warning("api_refused", client=client, status=status, held=held)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # A defect of ours costs this request, which has been answered 500, and nothing else. The trace is made
            # here, since there are log formats that show local variables, and one of them may be a password.
            trace = "".join(traceback.format_exception(error))
            self._log.error("api_error", method=scope["method"], path=scope["path"], exception=trace)


def _check_kind(headers: Headers, body: bytes) -> None:
    """Bodies are JSON and say so. That also keeps web pages out: they cannot send this type unasked."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise _Refused(error_answer(415, "not_json", "bodies need Content-Type: application/json"))


async def _read_body(headers: Headers, receive: Receive) -> bytes | None:
    """The body; None when the client has gone. Stops reading where it gets too long."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MAX_BODY:
        raise _Refused(_too_large())
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _Refused(_too_large())
        if not message.get("more_body", False):
            return bytes(body)


def _too_large() -> Response:
    return error_answer(413, "too_large", f"a body has at most {MAX_BODY} octets")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that brings the body in one piece, and then what else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
