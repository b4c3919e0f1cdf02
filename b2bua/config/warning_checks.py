"""What is allowed and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator

from b2bua.config.parts import Parts
from b2bua.config.problems import Problem
from b2bua.config.timers import Timers
from b2bua.headers import refusal_of


def warnings_of(parts: Parts, timers: Timers) -> Iterator[Problem]:
    """The warnings for a configuration without errors."""
    yield from _traffic(parts)
    yield from _unreachable_routes(parts)
    yield from _headers(parts)
    for name, destination in parts.destinations.items():
        own = destination.over(timers)
        for key in ("connect_timeout", "auth_timeout"):
            if getattr(own, key) > own.ring_timeout:
                path = (name, key) if getattr(destination, key) is not None else (name,)
                yield parts.people.problem(
                    path, f"{key} is longer than ring_timeout, which ends the attempt before it"
                )
    for key in ("api", "store"):
        if parts.main.root.at((key,)) is not None:
            yield parts.main.problem((key,), "checked, but not used yet", at_key=True)


def _traffic(parts: Parts) -> Iterator[Problem]:
    accepting = [name for name, trunk in parts.trunks.items() if trunk.accept is not None]
    if not accepting:
        yield parts.main.problem(("trunks",), "no trunk accepts calls: every call is refused", at_key=True)
    routed = {route.trunk for route in parts.routes.values()}
    for name in accepting:
        if None not in routed and name not in routed:
            yield parts.main.problem(("trunks", name), "no route: its calls are refused", at_key=True)


def _unreachable_routes(parts: Parts) -> Iterator[Problem]:
    taken: dict[str | None, int] = {}
    for index, route in parts.routes.items():
        before = taken.get(None, taken.get(route.trunk))
        if before is not None:
            message = f"never reached: routes[{before}] takes every call before it"
            yield parts.main.problem(("routes", index), message)
        elif route.to == "*":
            taken[route.trunk] = index


def _headers(parts: Parts) -> Iterator[Problem]:
    for name, destination in parts.destinations.items():
        for header in destination.headers:
            if (why := refusal_of(header)) is not None:
                yield parts.people.problem((name, "headers", header), f"never sent: {why}", at_key=True)
