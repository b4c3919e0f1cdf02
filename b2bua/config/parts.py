"""The parts that name each other: trunks, routes and destinations, read one by one.

A faulty one is left out after its problems have been noted, so that the others can still be looked at; its
name goes on to count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from b2bua.config.destination import LATER_METHODS, Destination
from b2bua.config.dial_uri import number_of, through
from b2bua.config.judge import Judge
from b2bua.config.problems import KeyPath
from b2bua.config.route import Route
from b2bua.config.section import NAME_ALLOWED, NAME_PATTERN
from b2bua.config.trunk import Trunk
from b2bua.config.yaml_tree import Node

TRUNKS: KeyPath = ("trunks",)
ROUTES: KeyPath = ("routes",)


@dataclass(frozen=True, slots=True)
class Parts:
    """What has been read."""

    main: Judge
    people: Judge
    """The judge of the destinations' file."""
    trunks: Mapping[str, Trunk]
    routes: Mapping[int, Route]
    """By index."""
    destinations: Mapping[str, Destination]

    @property
    def trunk_names(self) -> Collection[str]:
        """Those of faulty trunks too."""
        return self.main.root.keys_at(TRUNKS)

    @property
    def destination_names(self) -> Collection[str]:
        """Those of faulty destinations too."""
        return self.people.root.keys_at(())


def read_trunks(judge: Judge) -> dict[str, Trunk]:
    """The trunks that are right."""
    trunks: dict[str, Trunk] = {}
    for name in _names(judge, TRUNKS):
        trunk = judge.section(Trunk, (*TRUNKS, name))
        if trunk is not None:
            trunks[name] = trunk.named(name)
    return trunks


def read_routes(judge: Judge) -> dict[int, Route]:
    """The routes that are right."""
    node = judge.root.at(ROUTES)
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, list):
        judge.note(ROUTES, "of the wrong kind", allowed="a list", show=True)
        return {}
    routes = ((index, judge.section(Route, (*ROUTES, index))) for index in range(len(node.value)))
    return {index: route for index, route in routes if route is not None}


def read_destinations(judge: Judge) -> dict[str, Destination]:
    """The destinations that are right."""
    destinations: dict[str, Destination] = {}
    for name in _names(judge, ()):
        method = judge.root.at((name, "method"))
        if method is not None and method.value in LATER_METHODS:
            # Today's rules for its other keys do not apply to it.
            judge.note((name, "method"), f"method {method.value}: not available yet", allowed="invite")
            continue
        destination = judge.section(Destination, (name,))
        if destination is not None:
            destinations[name] = destination.named(name)
    return destinations


def ready_to_dial(destination: Destination, trunks: Mapping[str, Trunk]) -> Destination:
    """The destination with URIs for its numbers, and its trunk's identity where it has none of its own."""
    outbound = trunks[destination.trunk].outbound if destination.trunk is not None else None
    if outbound is None:
        return destination
    route = tuple(
        text if (number := number_of(text)) is None else through(outbound.uri, number)
        for text in destination.route
    )
    auth = destination.auth or outbound.auth
    from_user = destination.from_user or outbound.from_user
    return destination.model_copy(update={"route": route, "auth": auth, "from_user": from_user})


def _names(judge: Judge, path: KeyPath) -> list[str]:
    """The keys of a mapping of names; none when something else is there, which is noted."""
    node: Node | None = judge.root.at(path)
    if node is not None and node.value is not None and not isinstance(node.value, dict):
        judge.note(path, "of the wrong kind", allowed="a mapping of names", show=True)
    names = judge.root.keys_at(path)
    for name in names:
        if re.fullmatch(NAME_PATTERN, name) is None:
            judge.note((*path, name), "not a name", allowed=NAME_ALLOWED, at_key=True)
    return names
