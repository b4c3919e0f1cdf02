"""The parts that name each other: trunks, routes and destinations, read one by one.

A faulty one is left out after its problems have been noted, so that the others can still be looked at; its
name goes on to count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from b2bua.config.acceptance import WHISPER_ALLOWED
from b2bua.config.assistant import Assistant
from b2bua.config.destination import Destination
from b2bua.config.dial_uri import number_of, through
from b2bua.config.hold_music import ALLOWED, WORDS, HoldMusic, wav_fault
from b2bua.config.judge import Judge
from b2bua.config.method_keys import is_of_method, why_not
from b2bua.config.problems import KeyPath, closest
from b2bua.config.route import Route
from b2bua.config.secrets import beside
from b2bua.config.section import NAME_ALLOWED, NAME_PATTERN
from b2bua.config.trunk import METHODS, Trunk
from b2bua.config.yaml_tree import Node

TRUNKS: KeyPath = ("trunks",)
ROUTES: KeyPath = ("routes",)

Place = TypeVar("Place", Destination, Assistant)


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

    def places(self) -> Iterator[tuple[Judge, KeyPath, Destination | Assistant]]:
        """All destinations and assistants, and where they are written."""
        for name, destination in self.destinations.items():
            yield self.people, (name,), destination
        for index, route in self.routes.items():
            if route.assistant is not None:
                yield self.main, (*ROUTES, index, "assistant"), route.assistant

    def dialled(self) -> Iterator[tuple[Judge, KeyPath, Destination | Assistant]]:
        """Those of them that we send INVITEs to."""
        for judge, path, place in self.places():
            if not isinstance(place, Destination) or place.dials:
                yield judge, path, place

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
        _check_keys(judge, name)
        destination = judge.section(Destination, (name,))
        if destination is not None:
            destinations[name] = _with_whisper(judge, _with_music(judge, destination.named(name)))
    return destinations


def _check_keys(judge: Judge, name: str) -> None:
    """Note the keys that do not belong to the destination's method."""
    written = {
        key: node.value
        for key in judge.root.keys_at((name,))
        if (node := judge.root.at((name, key))) is not None
    }
    method = next((method for method in METHODS if method == written.get("method")), None)
    if method is None:
        return
    dials = method == "invite" or (method == "refer" and written.get("refer_fallback") == "invite")
    for key in written:
        if not is_of_method(key, method, dials=dials):
            message, allowed = why_not(key, method)
            judge.note((name, key), message, allowed=allowed, at_key=True)


def _with_music(judge: Judge, destination: Destination) -> Destination:
    """The destination with the file of its music found beside the file that names it; a bad one is noted."""
    path = (destination.name, "hold_music")
    node = judge.root.at(path)
    if not destination.dials or destination.hold_music is None or destination.hold_music.path is None:
        return destination
    if node is None or judge.is_silent(path):
        return destination
    file = beside(node)
    if (fault := wav_fault(file)) is not None:
        judge.note(path, fault, allowed=ALLOWED, suggestion=closest(node.text, WORDS), show=True)
    return destination.model_copy(update={"hold_music": HoldMusic("file", file)})


def _with_whisper(judge: Judge, destination: Destination) -> Destination:
    """The same for the file of its whisper."""
    path = (destination.name, "whisper")
    node = judge.root.at(path)
    if not destination.dials or destination.whisper is None or node is None or judge.is_silent(path):
        return destination
    file = beside(node)
    if (fault := wav_fault(file)) is not None:
        judge.note(path, fault, allowed=WHISPER_ALLOWED, show=True)
    return destination.model_copy(update={"whisper": file})


def ready_to_dial(place: Place, trunks: Mapping[str, Trunk]) -> Place:
    """The place with URIs for its numbers, and its trunk's identity where it has none of its own."""
    trunk = trunks[place.trunk] if place.trunk is not None else None
    outbound = trunk.outbound if trunk is not None else None
    if trunk is None or outbound is None:
        return place
    route = tuple(
        text if (number := number_of(text)) is None else through(outbound.uri, number) for text in place.route
    )
    update: dict[str, object] = {"route": route}
    if not isinstance(place, Destination) or place.dials:
        update["auth"] = place.auth or outbound.auth
        update["from_user"] = place.from_user or outbound.from_user
        update["tls"] = place.tls or outbound.tls
        update["outbound_proxy"] = place.outbound_proxy or outbound.outbound_proxy
        update["route_set"] = place.route_set or outbound.route_set
        update["trusted"] = trunk.trusted if place.trusted is None else place.trusted
        update["pass_headers"] = trunk.pass_headers if place.pass_headers is None else place.pass_headers
    return place.model_copy(update=update)


def ready_route(route: Route, trunks: Mapping[str, Trunk]) -> Route:
    """The route with its assistant ready to dial."""
    if route.assistant is None:
        return route
    return route.model_copy(update={"assistant": ready_to_dial(route.assistant, trunks)})


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
