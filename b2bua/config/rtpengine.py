"""`media.rtpengine:` the daemons that carry the audio with `media.engine: rtpengine`, and what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from b2bua.config.addresses import ApiListener, Listener, MediaNode
from b2bua.config.judge import Judge
from b2bua.config.parts import Parts
from b2bua.config.problems import Problem
from b2bua.config.section import Section, refusal

SPARE_LEGS = 32
NOT_RECORDED = "the rtpengine engine does not record"


InterfaceName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s/!]+$")]


def _usable(nodes: tuple[Listener, ...]) -> tuple[Listener, ...]:
    if len(set(nodes)) < len(nodes):
        raise refusal("an rtpengine named twice")
    if any(node.transport == "ws" for node in nodes) and find_spec("wsproto") is None:
        raise refusal("ws: needs the extra: pip install 'b2bua[rtpengine-ws]'", allowed="tcp: or udp:")
    return nodes


class RtpengineInterfaces(Section):
    """The daemons' interfaces for the two sides of a leg. See docs/media.md."""

    inside: InterfaceName
    """Where the legs of a call hear each other: the NAME of an `--interface=NAME/ADDRESS` that nobody but the daemons
    reaches. Whoever sends audio there is heard in a call."""
    outside: InterfaceName
    """Where callers and destinations are."""


class Rtpengine(Section):
    """Where the daemons are and how they are used. See docs/media.md."""

    nodes: Annotated[tuple[MediaNode, ...], Field(min_length=1), AfterValidator(_usable)]
    """The daemons: `tcp:ADDRESS:PORT` of their `listen-tcp-ng`, `udp:` of their `listen-ng` or `ws:` of their
    `listen-http`. Each new call goes to the next one that answers. Over `udp:` prompts may be eight seconds long at
    most; `ws:` needs the extra `rtpengine-ws`."""
    dtmf_listen: ApiListener | None = None
    """Where daemons reached over `udp:` or `ws:` send the keys that peers press: their `dtmf-log-dest`. Over `tcp:`
    keys come on the connection (`dtmf-log-ng-tcp`)."""
    interfaces: RtpengineInterfaces | None = None
    """The interfaces of the daemons, by name; without, the first of each for everything."""
    spare_legs: Annotated[StrictInt, Field(ge=2, le=1000)] = SPARE_LEGS
    """Legs opened ahead on each daemon, as many again for IPv6 where it has an address: how many a burst of calls may
    take before the daemon has answered."""


def check_rtpengine(parts: Parts) -> None:
    """Note what destinations ask of the audio that rtpengine does not do."""
    for name, destination in parts.destinations.items():
        if destination.detect_voicemail != "disabled":
            parts.people.note(
                (name, "detect_voicemail"), "not with the rtpengine engine", allowed="disabled", show=True
            )
        if destination.record:
            parts.people.note((name, "record"), NOT_RECORDED, allowed="false", show=True)
        if destination.wait_for_silence:
            parts.people.note(
                (name, "wait_for_silence"),
                "the rtpengine engine cannot tell silence",
                allowed="0s",
                show=True,
            )
    for index, route in parts.routes.items():
        if route.record:
            parts.main.note(("routes", index, "record"), NOT_RECORDED, allowed="false", show=True)


def rtpengine_warnings(main: Judge, rtpengine: Rtpengine) -> Iterator[Problem]:
    """Keys that nobody would hear of, and settings of the native engine that have no effect."""
    others = [index for index, node in enumerate(rtpengine.nodes) if node.transport != "tcp"]
    if others and rtpengine.dtmf_listen is None:
        message = "keys that peers press are not heard: set dtmf_listen, and dtmf-log-dest of the rtpengine"
        yield main.problem(("media", "rtpengine", "nodes", others[0]), message)
    for key in ("address", "ports", "dscp"):
        if main.root.at(("media", key)) is not None:
            yield main.problem(("media", key), "has no effect: with the rtpengine engine its daemons decide")
