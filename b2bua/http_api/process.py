"""The process itself: alive, ready for calls, and its configuration."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from b2bua.control import Control
from b2bua.http_api import answers
from b2bua.http_api.documented import Responses, documented
from b2bua.http_api.errors import Json, error_answer, shown_problems
from b2bua.wording import counted


def health_routes(control: Control) -> APIRouter:
    """Liveness, readiness and metrics."""
    routes = APIRouter()

    @routes.get(
        "/healthz", tags=["process"], responses=documented(200, answers.Status, "It is.", open_to_all=True)
    )
    async def is_alive() -> Response:
        """Whether the process is alive and its loop turns. Needs no key."""
        return Json({"status": "ok"})

    @routes.get(
        "/readyz",
        tags=["process"],
        responses=documented(200, answers.Ready, "It is.", "draining", open_to_all=True),
    )
    async def is_ready() -> Response:
        """Whether new calls are taken; not while draining. Needs no key.

        A store or an rtpengine daemon that is down is shown and changes nothing: all nodes share them.
        """
        if control.draining:
            return error_answer(503, "draining", "running calls are finished, new ones are refused")
        return Json({"status": "ok", "store": asdict(control.store), "rtpengine": control.rtpengine})

    @routes.get("/metrics", tags=["process"], response_class=Response, responses=_of_metrics())
    async def metrics(request: Request) -> Response:
        """All metrics in the format of Prometheus, or OpenMetrics when asked for; `docs/metrics.md` lists them."""
        text, media_type = await control.metrics(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": media_type})

    return routes


def operating_routes(control: Control) -> APIRouter:
    """What an operator does to it."""
    routes = APIRouter()

    @routes.post(
        "/v1/drain",
        tags=["process"],
        status_code=202,
        responses=documented(202, answers.Draining, "It has begun, or goes on; `/readyz` says so."),
    )
    async def drain() -> Response:
        """Do what SIGTERM does: refuse new calls and pings, let the running calls end for a while, end them, exit."""
        return Json(control.drain()._asdict(), status_code=202, headers={"Location": "/readyz"})

    @routes.post(
        "/v1/reload",
        tags=["process"],
        responses=documented(200, answers.Reloaded, "The edits are in force.", "configuration_error"),
    )
    async def reload() -> Response:
        """Take the edited configuration for new calls. A bad one changes nothing."""
        result = await control.reload()
        if result.configuration is None:
            message = f"{counted(len(result.problems), 'problem')} in the configuration; nothing changed"
            return error_answer(409, "configuration_error", message, problems=shown_problems(result.problems))
        taken = result.configuration
        return Json(
            {
                "destinations": len(taken.destinations),
                "restart_needed": list(result.restart_needed),
                "warnings": shown_problems(taken.warnings),
            }
        )

    return routes


def _of_metrics() -> Responses:
    responses = documented(200, None, "Every metric, with its meaning.")
    example = "# HELP b2bua_draining 1 while new calls are refused.\n# TYPE b2bua_draining gauge\nb2bua_draining 0.0\n"
    content = {"schema": {"type": "string"}, "example": example}
    responses[200]["content"] = {"text/plain": content, "application/openmetrics-text": content}
    return responses
