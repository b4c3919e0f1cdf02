"""`/v1/calls/{call_id}/recording`: recording a live call."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.calls import CallId
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json

_ERRORS = ("invalid_request", "call_not_found", "call_ended", "call_elsewhere", "store_unavailable")


def recording_routes(control: Control) -> APIRouter:
    """The operations on the recording of a call. Each answers with the recording as it is then."""
    routes = APIRouter(prefix="/v1/calls/{call_id}/recording", tags=["calls"])
    started = documented(
        200, answers.Recording, "It is being recorded.", *_ERRORS, "call_not_answered", "not_recordable"
    )
    answered = documented(200, answers.Recording, "It is done.", *_ERRORS, "not_recording")

    @routes.post("", responses=started)
    async def start_recording(call_id: CallId) -> Response:
        """Record the call from now on, to a new file; one that is being recorded already goes on as it is."""
        return Json(await control.record(call_id, "start"))

    @routes.post("/pause", responses=answered)
    async def pause_recording(call_id: CallId) -> Response:
        """Write silence from now on."""
        return Json(await control.record(call_id, "pause"))

    @routes.post("/resume", responses=answered)
    async def resume_recording(call_id: CallId) -> Response:
        """Write sound again; the time of the pause is in the file, as silence."""
        return Json(await control.record(call_id, "resume"))

    @routes.delete("", responses=answered)
    async def stop_recording(call_id: CallId) -> Response:
        """End the recording; its file stays."""
        return Json(await control.record(call_id, "stop"))

    return routes
