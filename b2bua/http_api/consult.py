"""What comes next in a consultation: the human is briefed, introduced, gets the caller, or does not."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from b2bua.control import Control
from b2bua.handoff.consultation import ConsultVerb
from b2bua.http_api import answers
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json
from b2bua.http_api.handoffs import HandoffId

_ERRORS = (
    *("invalid_request", "handoff_not_found", "not_consulting", "handoff_final"),
    *("call_elsewhere", "store_unavailable"),
)


def consult_routes(control: Control) -> APIRouter:
    """The operations on the consultation of a handoff. Each answers at once; `consult` of the handoff follows."""
    routes = APIRouter(prefix="/v1/handoffs/{handoff_id}", tags=["handoffs"])
    answered = documented(202, answers.Handoff, "It is being done.", *_ERRORS)

    async def told(handoff_id: str, verb: ConsultVerb) -> Response:
        handoff = await control.consult(handoff_id, verb)
        return Json(handoff, status_code=202, headers={"Location": f"/v1/handoffs/{handoff_id}"})

    @routes.post("/brief", status_code=202, responses=answered)
    async def brief(handoff_id: HandoffId) -> Response:
        """The assistant and the human talk; the caller hears music."""
        return await told(handoff_id, "brief")

    @routes.post("/introduce", status_code=202, responses=answered)
    async def introduce(handoff_id: HandoffId) -> Response:
        """Caller, assistant and human hear each other."""
        return await told(handoff_id, "introduce")

    @routes.post("/accept", status_code=202, responses=answered)
    async def accept(handoff_id: HandoffId) -> Response:
        """The human gets the caller, and the assistant is hung up."""
        return await told(handoff_id, "accept")

    @routes.post("/decline", status_code=202, responses=answered)
    async def decline(handoff_id: HandoffId) -> Response:
        """The human is hung up, and the caller is back with the assistant."""
        return await told(handoff_id, "decline")

    return routes
