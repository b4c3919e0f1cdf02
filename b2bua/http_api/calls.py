"""`/v1/calls`: what is going on, and hanging up."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.documented import Responses, documented
from b2bua.http_api.errors import Json
from b2bua.trace import FORMATS, Format, render

MAX_CALLS = 500
"""Calls in one answer; more would hold up the loop that also carries SIP."""

OF_A_CALL = ("invalid_request", "call_not_found", "store_unavailable")

CallId = Annotated[str, Path(max_length=128, description="`call_id` of the call.")]
CallLimit = Annotated[int, Query(ge=1, le=MAX_CALLS, description="The most calls to answer with.")]


_NO_SCRIPT = "default-src 'none'; style-src 'unsafe-inline'"
"""For the web page: what far ends wrote is escaped, and would not run either."""


def call_routes(control: Control) -> APIRouter:
    """The operations on calls."""
    routes = APIRouter(prefix="/v1/calls", tags=["calls"])

    @routes.get("", responses=documented(200, answers.Calls, "The calls.", "invalid_request"))
    async def list_calls(limit: CallLimit = 100) -> Response:
        """Live calls, then recent ones, newest first; each in short."""
        return Json({"calls": await control.calls(limit=limit)})

    @routes.get("/{call_id}", responses=documented(200, answers.Call, "The call.", *OF_A_CALL))
    async def get_call(call_id: CallId) -> Response:
        """One call in full, live or ended: legs, timeline, handoffs, media statistics, annotations.

        Of a call that is up at another node with the same store: as it was when somebody last joined or left it.
        """
        return Json(await control.call(call_id))

    @routes.get("/{call_id}/trace", response_class=Response, responses=_of_trace())
    async def trace_call(
        call_id: CallId, shape: Annotated[Format, Query(alias="format")] = Format.TEXT
    ) -> Response:
        """The SIP messages of a call on all its legs, secrets masked: as text, a Mermaid diagram, a web page with the
        ladder, or a capture file. What was sent over TLS is in clear."""
        ladder = await control.trace(call_id)
        content = await asyncio.to_thread(render, ladder, shape)
        return Response(
            content, headers={"Content-Type": FORMATS[shape], "Content-Security-Policy": _NO_SCRIPT}
        )

    @routes.delete(
        "/{call_id}",
        status_code=204,
        responses=documented(
            204, None, "The call is being hung up on every side.", *OF_A_CALL, "call_ended", "call_elsewhere"
        ),
    )
    async def hang_up(call_id: CallId) -> Response:
        """End a call toward every side."""
        await control.hang_up(call_id)
        return Response(status_code=204)

    return routes


def _of_trace() -> Responses:
    responses = documented(200, None, "The trace.", *OF_A_CALL, "trace_not_found")
    responses[200]["content"] = {
        kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in FORMATS.values()
    }
    return responses
