"""What handoffs need: methods that fit where a destination is used, and trunks that permit them."""

from __future__ import annotations

from collections.abc import Iterator

from b2bua.config.destination import Destination
from b2bua.config.parts import ROUTES, Parts
from b2bua.config.problems import Problem, listing


def check_new_calls(parts: Parts) -> None:
    """Note the routes whose destination, or a fallback of it, cannot answer a call that nobody answered yet."""
    for index, route in parts.routes.items():
        for destination in _chain(parts, route.destination):
            if destination.method != "invite":
                name, method = destination.name, destination.method
                which = "it" if name == route.destination else f"its fallback {name}"
                able = (each.name for each in parts.destinations.values() if each.method == "invite")
                parts.main.note(
                    (*ROUTES, index, "destination"),
                    f"a new call needs method invite, and {which} has method {method}",
                    allowed=listing(able),
                    show=True,
                )


def handoff_warnings(parts: Parts) -> Iterator[Problem]:
    """What is allowed and probably not meant."""
    yield from _permissions(parts)
    yield from _default_after_assistant(parts)
    for name, destination in parts.destinations.items():
        if destination.release_assistant != "on_answer" and destination.hold_music is None:
            message = "the caller hears ringing once the assistant was released: set hold_music"
            yield parts.people.problem((name, "release_assistant"), message)
        if destination.accept_key is not None and destination.whisper is None:
            message = "the human hears nothing that asks for the key: set whisper"
            yield parts.people.problem((name, "accept_key"), message)
        if destination.accept_key is None and parts.people.root.at((name, "accept_timeout")) is not None:
            yield parts.people.problem((name, "accept_timeout"), "nothing is awaited without accept_key")


def _chain(parts: Parts, name: str | None) -> Iterator[Destination]:
    """A destination and its fallbacks. Ends where one is missing or faulty, and where a cycle closes."""
    seen: set[str] = set()
    while name is not None and name in parts.destinations and name not in seen:
        seen.add(name)
        yield parts.destinations[name]
        name = parts.destinations[name].fallback


def _permissions(parts: Parts) -> Iterator[Problem]:
    """Destinations that no caller of an assistant can be handed to: no trunk of theirs permits the method."""
    trunks = _trunks_with_assistants(parts)
    of_new_calls = {
        destination.name
        for route in parts.routes.values()
        for destination in _chain(parts, route.destination)
    }
    for name, destination in parts.destinations.items():
        permitted = any(destination.method in parts.trunks[trunk].allowed_methods for trunk in trunks)
        if trunks and not permitted and name not in of_new_calls:
            who = f"trunk {trunks[0]} does" if len(trunks) == 1 else f"the trunks {listing(trunks)} do"
            message = f"no handoff to {name}: {who} not permit method {destination.method}"
            yield parts.people.problem((name, "method"), message)


def _trunks_with_assistants(parts: Parts) -> list[str]:
    """The trunks whose calls may meet an assistant."""
    routed = {route.trunk for route in parts.routes.values() if route.assistant is not None}
    return [
        name
        for name, trunk in parts.trunks.items()
        if trunk.accept is not None and (name in routed or None in routed)
    ]


def _default_after_assistant(parts: Parts) -> Iterator[Problem]:
    default = next((each for each in parts.destinations.values() if each.default), None)
    for index, route in parts.routes.items():
        if route.on_assistant_lost != "default_destination" or default is None or default.method == "invite":
            continue
        yield parts.main.problem(
            (*ROUTES, index, "on_assistant_lost"),
            f"{default.name} has method {default.method}: no use when the assistant never answered",
        )
