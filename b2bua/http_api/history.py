"""What is known and said of handoffs and calls beyond their end: the screen pop, contexts, outcomes, annotations."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from b2bua.control import Control, ControlError
from b2bua.history import Annotation, Context, Resolution
from b2bua.http_api import answers
from b2bua.http_api.calls import OF_A_CALL, CallId
from b2bua.http_api.documented import Responses, documented
from b2bua.http_api.errors import Json
from b2bua.http_api.handoffs import OF_A_HANDOFF, HandoffId, IdempotencyKey
from b2bua.http_api.note_bodies import AnnotationBody, ContextBody, OutcomeBody
from b2bua.store import Place

MAX_PAGE = 100
"""Handoffs in one answer; each may be as long as a request."""

_CURSOR = re.compile(r"([0-9]{1,16})-([A-Za-z0-9]{1,64})")

QueriedId = Annotated[
    str,
    Query(alias="id", max_length=128, description="`id` of a handoff; `shared_id` wins when both are given."),
]
SharedId = Annotated[str, Query(max_length=255, description="As it was given with the handoff.")]
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="The most handoffs to answer with.")]
After = Annotated[str, Query(max_length=128, description="`next` of the page before.")]


def _kept(model: type[answers.Answer], text: str, *codes: str) -> Responses:
    """201, or 202 while the store does not take it."""
    return {
        **documented(201, model, f"{text} It is in the store.", *codes),
        **{202: documented(202, model, f"{text} It waits for the store.")[202]},
    }


def context_routes(control: Control) -> APIRouter:
    """Contexts of conversations: kept with a handoff, or without a call, and found again."""
    routes = APIRouter()

    @routes.get(
        "/v1/handoffs",
        tags=["handoffs"],
        responses=documented(
            200, answers.Handoffs, "The handoffs, perhaps none.", "invalid_request", "store_unavailable"
        ),
    )
    async def find_handoffs(
        shared_id: SharedId = "", handoff_id: QueriedId = "", limit: PageLimit = 20, after: After = ""
    ) -> Response:
        """The handoffs that carry an id of yours, newest first, of all nodes; or the one with an id of ours."""
        if shared_id:
            page = await control.handoffs(shared_id, before=_place(after), limit=limit)
            following = None if page.following is None else f"{page.following.created}-{page.following.key}"
            return Json({"handoffs": page.handoffs, "next": following, "complete": page.complete})
        if not handoff_id:
            raise ControlError(400, "invalid_request", "an id to look for is needed", "shared_id")
        try:
            found = [await control.handoff(handoff_id)]
        except ControlError as error:
            if error.status != 404:
                raise
            found = []
        return Json({"handoffs": found, "next": None, "complete": True})

    @routes.post(
        "/v1/handoffs",
        tags=["handoffs"],
        status_code=201,
        responses=_kept(answers.Handoff, "The context.", "invalid_request", "store_unavailable"),
    )
    async def add_context(body: ContextBody, idempotency_key: IdempotencyKey = "") -> Response:
        """Keep the context of a conversation that is no call, for the human who takes it over."""
        context = Context(**body.model_dump(), idempotency_key=idempotency_key)
        handoff, kept = await control.add_context(context)
        return _answer(handoff, f"/v1/handoffs/{handoff['id']}", kept=kept)

    return routes


def note_routes(control: Control) -> APIRouter:
    """What people note on handoffs and calls, while they last or afterwards."""
    routes = APIRouter()

    @routes.post(
        "/v1/handoffs/{handoff_id}/outcome",
        tags=["handoffs"],
        status_code=201,
        responses=_kept(answers.Handoff, "The handoff with it.", *OF_A_HANDOFF),
    )
    async def resolve_handoff(handoff_id: HandoffId, body: OutcomeBody) -> Response:
        """Say what became of a handoff on the human side. Kept with the call; said again, the last one counts."""
        handoff, kept = await control.resolve(handoff_id, Resolution(**body.model_dump()))
        return _answer(handoff, f"/v1/handoffs/{handoff['id']}", kept=kept)

    @routes.post(
        "/v1/calls/{call_id}/annotations",
        tags=["calls"],
        status_code=201,
        responses=_kept(answers.Annotation, "The annotation.", *OF_A_CALL, "too_many_annotations"),
    )
    async def annotate_call(call_id: CallId, body: AnnotationBody) -> Response:
        """Note something on a call, while it is up or afterwards."""
        annotation, kept = await control.annotate(call_id, Annotation(**body.model_dump()))
        return _answer(annotation, f"/v1/calls/{call_id}", kept=kept)

    return routes


def _answer(body: object, location: str, *, kept: bool) -> Response:
    return Json(body, status_code=201 if kept else 202, headers={"Location": location})


def _place(after: str) -> Place | None:
    if not after:
        return None
    match = _CURSOR.fullmatch(after)
    if match is None:
        raise ControlError(400, "invalid_request", "not the `next` of a page", "after")
    return Place(int(match[1]), match[2])
