"""The API as one ASGI application: its operations behind the gate, and the document that describes them."""

from __future__ import annotations

import json
from typing import cast

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp

from b2bua import __version__
from b2bua.control import Control
from b2bua.http_api.auth import Keys
from b2bua.http_api.calls import call_routes
from b2bua.http_api.consult import consult_routes
from b2bua.http_api.destinations import destination_routes
from b2bua.http_api.errors import register_error_answers
from b2bua.http_api.event_log import EventLog
from b2bua.http_api.events import event_routes
from b2bua.http_api.gate import OPEN_PATHS, Gate
from b2bua.http_api.handoffs import handoff_routes
from b2bua.http_api.history import context_routes, note_routes
from b2bua.http_api.placing import placing_routes
from b2bua.http_api.process import health_routes, operating_routes
from b2bua.http_api.recordings import recording_routes
from b2bua.http_api.trunks import trunk_routes

DESCRIPTION = """\
Ask a running B2BUA about its calls, and hand them to humans.

Errors are `{"error": {"code", "message", "field"}}`. Durations are numbers of seconds or texts such as `30s`.
`/healthz`, `/readyz` and this document need no key.
"""

_NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Newer FastAPI hands requests, bodies with passwords included, to OpenTelemetry where that is set up."""


def build_app(control: Control, keys: Keys, log: EventLog | None = None) -> ASGIApp:
    """The whole API for this program. `log` is what `/v1/events` tells; without one its answers end at once."""
    app = _operations(control, log or EventLog())
    # Made once: it never changes, and making it takes as long as a call.
    document = json.dumps(describe(app), separators=(",", ":")).encode()

    async def openapi_document() -> Response:
        return Response(document, media_type="application/json")

    app.add_api_route("/openapi.json", openapi_document, include_in_schema=False)
    return Gate(app, keys)


def api_document() -> dict[str, object]:
    """The OpenAPI document, without a program behind it."""
    return describe(_operations(cast(Control, None), EventLog()))


def _operations(control: Control, log: EventLog) -> FastAPI:
    app = FastAPI(
        title="b2bua",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        telemetry=_NO_TELEMETRY,  # type: ignore[arg-type]  # older versions keep it among `extra` and ignore it
    )
    register_error_answers(app)
    of_handoffs = (handoff_routes, consult_routes, context_routes, note_routes)
    for routes in (
        call_routes,
        placing_routes,
        recording_routes,
        *of_handoffs,
        destination_routes,
        trunk_routes,
        health_routes,
        operating_routes,
    ):
        app.include_router(routes(control))
    app.include_router(event_routes(log))
    return app


def describe(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document: FastAPI's, with keys, and without the 422 answers that are never given."""
    document = app.openapi()
    components = document["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}]
            for response in operation["responses"].values():
                content = response.get("content", {}).get("application/json", {})
                for example in content.get("examples", {}).values():
                    # FastAPI leaves out what is null; our errors do not.
                    example["value"]["error"].setdefault("field", None)
    return cast(dict[str, object], document)
