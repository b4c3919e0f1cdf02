"""What is allowed and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from b2bua.config.handoff_checks import handoff_warnings
from b2bua.config.judge import Judge
from b2bua.config.media import Media
from b2bua.config.parts import Parts
from b2bua.config.problems import KeyPath, Problem
from b2bua.config.rtpengine import rtpengine_warnings
from b2bua.config.sip import Sip
from b2bua.config.timers import Timers
from b2bua.config.trust import TrustKeys
from b2bua.config.yaml_tree import Node
from b2bua.headers import refusal_of
from b2bua.pass_list import TRUSTED_ONLY


def warnings_of(parts: Parts, timers: Timers) -> Iterator[Problem]:
    """The warnings for a configuration without errors."""
    yield from _traffic(parts)
    yield from _unreachable_routes(parts)
    yield from _headers(parts)
    yield from _passed(parts)
    yield from handoff_warnings(parts)
    for judge in (parts.main, parts.people):
        for path in _empty(judge.root):
            message = "nothing stands here, so that it counts as left out"
            yield judge.problem(
                path, message, allowed='a value, in quotes if it begins with "#"', at_key=True
            )
    for judge, path, place in parts.dialled():
        own = place.over(timers)
        for key in ("connect_timeout", "auth_timeout"):
            if getattr(own, key) > own.ring_timeout:
                where = (*path, key) if getattr(place, key) is not None else path
                yield judge.problem(
                    where, f"{key} is longer than ring_timeout, which ends the attempt before it"
                )


def audio_warnings(main: Judge, sip: Sip, media: Media) -> Iterator[Problem]:
    """A listener for IPv6 peers beside audio ports that only take IPv4, and the reverse; what is of no use beside
    rtpengine."""
    if media.rtpengine is not None:
        yield from rtpengine_warnings(main, media.rtpengine)
        return
    audio = ip_address(media.address)
    for index, listener in enumerate(sip.listen):
        version = 6 if ":" in listener.host else 4
        if audio.version != version and not (audio.version == 6 and audio.is_unspecified):
            message = f"media.address {audio} takes no audio from IPv{version} peers"
            yield main.problem(("sip", "listen", index), f'{message}; "::" takes both')


def srtp_warnings(parts: Parts, sip: Sip, media: Media) -> Iterator[Problem]:
    """Trunks that must encrypt their audio and have nothing to send the keys over."""
    if media.srtp.keys_in_clear or any(listener.transport == "tls" for listener in sip.listen):
        return
    for name, trunk in parts.trunks.items():
        if trunk.srtp == "required":
            message = "every call is refused: its keys only cross over TLS, and sip.listen has no tls:…"
            yield parts.main.problem(("trunks", name, "srtp"), message)


def _empty(node: Node, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The keys below `node` that have no value: what stood there may have been taken for a comment."""
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            if below.value is None and not below.text:
                yield (*path, key)
            yield from _empty(below, (*path, key))
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _empty(item, (*path, index))


def _traffic(parts: Parts) -> Iterator[Problem]:
    accepting = [name for name, trunk in parts.trunks.items() if trunk.accept is not None or trunk.registers]
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


def _passed(parts: Parts) -> Iterator[Problem]:
    """Headers on a pass list that never pass, since the peer is not trusted."""
    peers: list[tuple[Judge, KeyPath, TrustKeys, bool]] = [
        (parts.main, ("trunks", name), trunk, trunk.is_trusted) for name, trunk in parts.trunks.items()
    ]
    for judge, path, place in parts.dialled():
        trunk = parts.trunks.get(place.trunk or "")
        trusted = trunk is not None and trunk.is_trusted if place.trusted is None else place.trusted
        peers.append((judge, path, place, trusted))
    for judge, path, peer, trusted in peers:
        for index, name in enumerate(peer.pass_headers or ()):
            if name.lower() in TRUSTED_ONLY and not trusted:
                yield judge.problem(
                    (*path, "pass_headers", index), "never passes: only among peers with `trusted: true`"
                )


def _headers(parts: Parts) -> Iterator[Problem]:
    for judge, path, place in parts.places():
        for header in place.headers:
            if (why := refusal_of(header)) is not None:
                yield judge.problem((*path, "headers", header), f"never sent: {why}", at_key=True)
