"""`/v1/destinations`: the places a call can be handed to. Read only; never a route or a secret."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from b2bua.config import Destination
from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json


def destination_routes(control: Control) -> APIRouter:
    """The operations on destinations."""
    routes = APIRouter(prefix="/v1/destinations", tags=["destinations"])

    @routes.get("", responses=documented(200, answers.Destinations, "The destinations."))
    async def list_destinations() -> Response:
        """What can be named in a handoff, with the descriptions that tell when to."""
        return Json({"destinations": [_shown(each) for each in control.configuration.destinations.values()]})

    return routes


def _shown(destination: Destination) -> dict[str, object]:
    return {
        "name": destination.name,
        "description": destination.description,
        "default": destination.default,
        "method": destination.method,
        "encryption": destination.encryption or None,
    }
