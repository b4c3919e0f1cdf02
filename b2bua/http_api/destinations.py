"""`/v1/destinations`: the places a call can be handed to, to choose from and to manage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from b2bua.config import Destination
from b2bua.config.editing import (
    EditRefused,
    Settings,
    added,
    duplicated,
    made_default,
    removed,
    replaced,
    shown,
    tag_of,
)
from b2bua.config.section import NAME_ALLOWED, Section
from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.destination_changes import DestinationChanges
from b2bua.http_api.destination_schema import NameText, NewDestination, NewSettings, settings_of
from b2bua.http_api.documented import documented
from b2bua.http_api.errors import Json

DestinationName = Annotated[str, Path(max_length=64, description="Its name.")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1024,
        description="`ETag` of what you have read: 412 when it has been changed since, over the API or by hand.",
    ),
]
Confirm = Annotated[str, Query(max_length=64, description="The name again: what is removed is gone.")]

_OF_A_DESTINATION = ("invalid_request", "destination_not_found", "configuration_error")
_OF_AN_EDIT = (*_OF_A_DESTINATION, "not_editable", "not_writable")
_OF_SETTINGS = ("secret_in_clear", "invalid_destination", "destination_is_default")


class Duplicate(Section):
    """A copy that is asked for."""

    name: NameText
    """What the copy is called."""


def destination_routes(control: Control) -> APIRouter:
    """The operations on destinations."""
    routes = APIRouter(prefix="/v1/destinations", tags=["destinations"])
    changes = DestinationChanges(control)

    @routes.get("", responses=documented(200, answers.Destinations, "The destinations."))
    async def list_destinations() -> Response:
        """What can be named in a handoff, with the descriptions that tell when to."""
        return Json(
            {
                "destinations": [
                    {**_in_short(each), "reachability": control.reachability(each)}
                    for each in control.configuration.destinations.values()
                ]
            }
        )

    _add_reading(routes, changes)
    _add_writing(routes, changes)
    _add_removing(routes, changes)
    return routes


def _add_reading(routes: APIRouter, changes: DestinationChanges) -> None:
    @routes.get(
        "/{name}",
        responses=documented(
            200, answers.DestinationSettings, "Its settings.", *_OF_A_DESTINATION, headers=["ETag"]
        ),
    )
    async def get_destination(name: DestinationName) -> Response:
        """The settings of a destination as the file has them, without secrets."""
        return await _answer(changes, name)


def _add_writing(routes: APIRouter, changes: DestinationChanges) -> None:
    @routes.post(
        "",
        status_code=201,
        responses=documented(
            *(201, answers.DestinationSettings, "It is in the file and in force."),
            *(*_OF_AN_EDIT, *_OF_SETTINGS, "destination_exists"),
            headers=["ETag"],
        ),
    )
    async def add_destination(body: NewDestination) -> Response:
        """Add a destination at the end of the file."""
        name = body.get("name")
        if not isinstance(name, str):
            message = "the name is missing" if name is None else f"not a name; allowed: {NAME_ALLOWED}"
            raise EditRefused("invalid_request", message, "name")
        await changes.make(added(name, settings_of(body), from_afar=True))
        return await _answer(changes, name, created=True)

    @routes.put(
        "/{name}",
        responses=documented(
            *(200, answers.DestinationSettings, "It is in the file and in force."),
            *(*_OF_AN_EDIT, *_OF_SETTINGS, "destination_changed"),
            headers=["ETag"],
        ),
    )
    async def replace_destination(
        name: DestinationName, body: NewSettings, if_match: IfMatch = None
    ) -> Response:
        """Give a destination other settings. What is not sent is taken out, but a password stays."""
        if body.get("name", name) != name:
            raise EditRefused("invalid_request", "a destination keeps its name; duplicate it", "name")
        await changes.make(replaced(name, settings_of(body), tags=_tags(if_match), from_afar=True))
        return await _answer(changes, name)

    @routes.post(
        "/{name}/default",
        responses=documented(
            200, answers.DestinationSettings, "It is the default.", *_OF_AN_EDIT, headers=["ETag"]
        ),
    )
    async def make_default(name: DestinationName) -> Response:
        """Make this destination the default in place of the one that is."""
        await changes.make(made_default(name))
        return await _answer(changes, name)

    @routes.post(
        "/{name}/duplicate",
        status_code=201,
        responses=documented(
            *(201, answers.DestinationSettings, "The copy."),
            *(*_OF_AN_EDIT, "destination_exists"),
            headers=["ETag"],
        ),
    )
    async def duplicate_destination(name: DestinationName, body: Duplicate) -> Response:
        """Copy a destination, with its comments and what its secrets refer to; the copy is not the default."""
        await changes.make(duplicated(name, body.name))
        return await _answer(changes, body.name, created=True)


def _add_removing(routes: APIRouter, changes: DestinationChanges) -> None:
    @routes.delete(
        "/{name}",
        status_code=204,
        responses=documented(
            *(204, None, "It is gone; calls that are on their way to it go on."),
            *(*_OF_AN_EDIT, "confirmation_needed", "destination_changed"),
            *("destination_in_use", "destination_is_default"),
        ),
    )
    async def remove_destination(
        name: DestinationName, confirm: Confirm = "", if_match: IfMatch = None
    ) -> Response:
        """Remove a destination that nothing refers to."""
        if confirm != name:
            message = "to remove a destination, send its name again as ?confirm="
            raise EditRefused("confirmation_needed", message, "confirm")
        await changes.make(removed(name, tags=_tags(if_match)))
        return Response(status_code=204)


async def _answer(changes: DestinationChanges, name: str, *, created: bool = False) -> Response:
    """The destination as the file has it now, which somebody may have edited in this moment."""
    settings = (await changes.read()).settings(name)
    headers = {"ETag": tag_of(settings)}
    if created:
        headers["Location"] = f"/v1/destinations/{name}"
    return Json(_in_full(name, settings), status_code=201 if created else 200, headers=headers)


def _in_full(name: str, settings: Settings) -> dict[str, object]:
    whole, secrets = shown(settings)
    return {"name": name, **whole, "default": settings.get("default") is True, "secrets": secrets}


def _in_short(destination: Destination) -> dict[str, object]:
    return {
        "name": destination.name,
        "description": destination.description,
        "default": destination.default,
        "method": destination.method,
        "encryption": str(destination.encryption) or None,
    }


def _tags(if_match: str | None) -> frozenset[str] | None:
    """The entity tags of If-Match (RFC 9110 section 13.1.1); None when any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(tag.strip() for tag in if_match.split(","))
