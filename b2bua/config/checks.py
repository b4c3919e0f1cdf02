"""What one part of the configuration says about another: names that must exist, cycles, overlaps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from b2bua.config.addresses import Listener, Network
from b2bua.config.assistant import Assistant
from b2bua.config.destination import Destination
from b2bua.config.dial_uri import contradiction_of, number_of, through, transport_said
from b2bua.config.handoff_checks import check_new_calls
from b2bua.config.judge import Judge
from b2bua.config.parts import Parts
from b2bua.config.policy import Policy
from b2bua.config.problems import KeyPath, closest, listing
from b2bua.config.proxies import ProxyKeys
from b2bua.encryption import UNENCRYPTED, needs_tls, signalling_transport
from sip_stack.message import SipUri


def check_parts(parts: Parts) -> None:
    """Note what does not fit together."""
    _check_routes(parts)
    _check_default(parts.people)
    _check_fallbacks(parts)
    for judge, path, place in parts.places():
        _check_trunk(parts, judge, path, place)
    check_new_calls(parts)
    _check_networks(parts)
    _check_logins(parts)
    _check_subjects(parts)


def check_transports(parts: Parts, listeners: Iterable[Listener]) -> None:
    """Note what is to be dialled over a transport that nothing listens on: answers could not reach us."""
    transports = {listener.transport for listener in listeners}
    for judge, path, place in parts.dialled():
        for index, text in enumerate(place.route):
            uri = _dialled_uri(parts, place, text)
            if uri is not None:
                transport = signalling_transport(place.encryption, transport_said(uri))
                _check_transport(judge, (*path, "route", index), transport, transports, place.encryption)
        _check_proxies(judge, path, place, transports)
    for name, trunk in parts.trunks.items():
        said = None if trunk.outbound is None else transport_said(SipUri.parse(trunk.outbound.uri))
        if said is not None:
            _check_transport(parts.main, ("trunks", name, "outbound", "uri"), said, transports)
        if trunk.outbound is not None:
            _check_proxies(parts.main, ("trunks", name, "outbound"), trunk.outbound, transports)
        registration = None if trunk.outbound is None else trunk.outbound.registration
        for index, text in enumerate(registration.registrar if registration is not None else ()):
            if (said := transport_said(SipUri.parse(text))) is not None:
                path = ("trunks", name, "outbound", "register", "registrar", index)
                _check_transport(parts.main, path, said, transports)
        if trunk.accept is not None and trunk.accept.tls_subject:
            _check_transport(parts.main, ("trunks", name, "accept", "tls_subject"), "tls", transports)


def _check_proxies(judge: Judge, path: KeyPath, place: ProxyKeys, transports: Collection[str]) -> None:
    """A proxy is reached as the place is, and over a transport that we listen on."""
    encryption = place.encryption if isinstance(place, Destination | Assistant) else None
    if place.outbound_proxy is not None:
        _check_proxy(judge, (*path, "outbound_proxy"), place.outbound_proxy, encryption, transports)
    for index, text in enumerate(place.route_set):
        _check_proxy(judge, (*path, "route_set", index), text, encryption, transports)


def _check_proxy(
    judge: Judge, path: KeyPath, text: str, encryption: str | None, transports: Collection[str]
) -> None:
    uri = SipUri.parse(text)
    contradiction = contradiction_of(uri, encryption) if encryption else None
    if contradiction is not None:
        message, allowed = contradiction
        judge.note(path, message, allowed=allowed, show=True)
    elif encryption or transport_said(uri):
        transport = signalling_transport(encryption or UNENCRYPTED, transport_said(uri))
        _check_transport(judge, path, transport, transports)


def check_prefixes(parts: Parts, policy: Policy) -> None:
    """Note the numbers that are configured, and that `policy` bars."""
    for judge, path, place in parts.dialled():
        for index, text in enumerate(place.route):
            uri = _dialled_uri(parts, place, text)
            number = number_of(text)
            if uri is not None and policy.bars(text if number is None else through(str(uri), number)):
                allowed = "what policy.allow_prefixes and deny_prefixes let through"
                judge.note((*path, "route", index), "a number that policy bars", allowed=allowed, show=True)


def _dialled_uri(parts: Parts, place: Destination | Assistant, text: str) -> SipUri | None:
    """What is dialled for an item of `route`; None when what its trunk is does not stand."""
    if number_of(text) is None:
        return SipUri.parse(text)
    trunk = None if place.trunk is None else parts.trunks.get(place.trunk)
    return None if trunk is None or trunk.outbound is None else SipUri.parse(trunk.outbound.uri)


def _check_transport(
    judge: Judge,
    path: KeyPath,
    transport: str,
    transports: Collection[str],
    encryption: str = UNENCRYPTED,
) -> None:
    if transport not in transports:
        why, allowed = "", f"{transport}:… in sip.listen"
        if needs_tls(
            encryption
        ):  # which may stand nowhere: it is what destinations have unless they say otherwise
            why, allowed = f", as encryption is {encryption}", f"{allowed}, or encryption: {UNENCRYPTED}"
        judge.note(path, f"needs a listener for {transport}{why}", allowed=allowed, show=True)


def _check_routes(parts: Parts) -> None:
    for index, route in parts.routes.items():
        if route.trunk is not None:
            _check_name(parts.main, ("routes", index, "trunk"), "trunk", route.trunk, parts.trunk_names)
        if route.destination is not None:
            path = ("routes", index, "destination")
            _check_name(parts.main, path, "destination", route.destination, parts.destination_names)


def _check_name(judge: Judge, path: KeyPath, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        allowed = listing(known) or f"nothing; there is no {kind}"
        judge.note(path, f"no such {kind}", allowed=allowed, suggestion=closest(name, known), show=True)


def _check_default(judge: Judge) -> None:
    """Exactly one default. Looks at the tree, so that a destination faulty elsewhere still counts."""
    first: str | None = None
    for name in judge.root.keys_at(()):
        node = judge.root.at((name, "default"))
        if node is None or node.value is not True:
            continue
        if first is None:
            first = name
        else:
            where = judge.root.position_of((first, "default"))
            judge.note(
                (name, "default"),
                f"a second default; {first} is the first, at {where}",
                allowed="exactly one",
            )
    if first is None:
        judge.note((), "no destination is the default", allowed="`default: true` on exactly one")


def _check_fallbacks(parts: Parts) -> None:
    in_a_reported_cycle: set[str] = set()
    for name, destination in parts.destinations.items():
        if destination.fallback is None:
            continue
        path = (name, "fallback")
        _check_name(parts.people, path, "destination", destination.fallback, parts.destination_names)
        cycle = _cycle_through(name, parts.destinations)
        if cycle and name not in in_a_reported_cycle:
            in_a_reported_cycle.update(cycle)
            parts.people.note(path, f"a cycle of fallbacks: {' → '.join([*cycle, name])}")


def _cycle_through(name: str, destinations: Mapping[str, Destination]) -> list[str]:
    """The names of the fallback cycle that `name` is part of; [] when it is part of none."""
    seen = [name]
    visited = {name}
    following = destinations[name].fallback
    while following is not None and following in destinations:
        if following == name:
            return seen
        if following in visited:
            return []
        seen.append(following)
        visited.add(following)
        following = destinations[following].fallback
    return []


def _check_trunk(parts: Parts, judge: Judge, path: KeyPath, place: Destination | Assistant) -> None:
    if place.trunk is None:
        referred = isinstance(place, Destination) and not place.dials
        for index, text in enumerate(place.route):
            # The SBC may know where a tel URI leads, and does not have to guess what a bare number is.
            if number_of(text) is not None and not (referred and text[:4].lower() == "tel:"):
                message = "a bare number says not where to dial it"
                also = ", tel:+15550001000" if referred else ""
                allowed = f"sip:user@host{also}, or `trunk: <name of a trunk with outbound>` beside it"
                judge.note((*path, "route", index), message, allowed=allowed, show=True)
        return
    path = (*path, "trunk")
    _check_name(judge, path, "trunk", place.trunk, parts.trunk_names)
    trunk = parts.trunks.get(place.trunk)
    if trunk is not None and trunk.outbound is None:
        able = [name for name, trunk in parts.trunks.items() if trunk.outbound is not None]
        allowed = listing(able) or "a trunk with outbound"
        judge.note(path, "a trunk without outbound", allowed=allowed, show=True)
    elif trunk is not None and trunk.outbound is not None:
        _check_outbound(judge, path, place, SipUri.parse(trunk.outbound.uri))


def _check_outbound(judge: Judge, path: KeyPath, place: Destination | Assistant, uri: SipUri) -> None:
    """Numbers go where the trunk's URI says, which must not contradict how this place is dialled."""
    numbers = any(number_of(text) is not None for text in place.route)
    contradiction = contradiction_of(uri, place.encryption) if numbers and place.encryption else None
    if contradiction is not None:
        message, allowed = contradiction
        judge.note(path, f"its outbound.uri: {message}", allowed=allowed, show=True)


def _check_networks(parts: Parts) -> None:
    owners: dict[Network, str] = {}
    for name, trunk in parts.trunks.items():
        for index, network in enumerate(trunk.accept.addresses if trunk.accept is not None else ()):
            owner = owners.setdefault(network, name)
            if owner != name:
                path = ("trunks", name, "accept", "addresses", index)
                parts.main.note(path, f"also an address of trunk {owner}", show=True)


def _check_logins(parts: Parts) -> None:
    """A username alone must tell which trunk it is."""
    owners: dict[str, str] = {}
    for name, trunk in parts.trunks.items():
        accept = trunk.accept
        if accept is None or accept.auth is None or accept.addresses or accept.tls_subject:
            continue
        owner = owners.setdefault(accept.auth.username, name)
        if owner != name:
            path = ("trunks", name, "accept", "auth", "username")
            parts.main.note(path, f"also the username of trunk {owner}, and neither has addresses", show=True)


def _check_subjects(parts: Parts) -> None:
    """A certificate alone must tell which trunk it is."""
    owners: dict[str, str] = {}
    for name, trunk in parts.trunks.items():
        if trunk.accept is None or trunk.accept.addresses:
            continue
        for subject in trunk.accept.tls_subject:
            owner = owners.setdefault(subject, name)
            if owner != name:
                path = ("trunks", name, "accept", "tls_subject")
                parts.main.note(path, f"{subject} is also trunk {owner}, and neither has addresses")
