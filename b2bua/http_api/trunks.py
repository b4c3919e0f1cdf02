"""`/v1/trunks`: whether the peers can be reached, and whether they have us registered."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json


def trunk_routes(control: Control) -> APIRouter:
    """The operation on trunks."""
    routes = APIRouter(prefix="/v1/trunks", tags=["trunks"])

    @routes.get("", responses=documented(200, answers.Trunks, "The trunks."))
    async def list_trunks() -> Response:
        """The trunks: whether pings find them up, and how our registrations there do."""
        return Json({"trunks": control.trunks()})

    return routes
