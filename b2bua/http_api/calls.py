"""`/v1/calls`: what is going on, and hanging up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json

MAX_CALLS = 500
"""Calls in one answer; more would hold up the loop that also carries SIP."""

OF_A_CALL = ("invalid_request", "call_not_found", "store_unavailable")

CallId = Annotated[str, Path(max_length=128, description="`call_id` of the call.")]
CallLimit = Annotated[int, Query(ge=1, le=MAX_CALLS, description="The most calls to answer with.")]


def call_routes(control: Control) -> APIRouter:
    """The operations on calls."""
    routes = APIRouter(prefix="/v1/calls", tags=["calls"])

    @routes.get("", responses=documented(200, answers.Calls, "The calls.", "invalid_request"))
    async def list_calls(limit: CallLimit = 100) -> Response:
        """Live calls, then recent ones, newest first; each in short."""
        return Json({"calls": await control.calls(limit=limit)})

    @routes.get("/{call_id}", responses=documented(200, answers.Call, "The call.", *OF_A_CALL))
    async def get_call(call_id: CallId) -> Response:
        """One call in full, live or ended: legs, timeline, handoffs, media statistics, annotations."""
        return Json(await control.call(call_id))

    @routes.delete(
        "/{call_id}",
        status_code=204,
        responses=documented(204, None, "The call is being hung up on every side.", *OF_A_CALL, "call_ended"),
    )
    async def hang_up(call_id: CallId) -> Response:
        """End a call toward every side."""
        await control.hang_up(call_id)
        return Response(status_code=204)

    return routes
