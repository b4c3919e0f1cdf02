"""The configuration in force: one immutable snapshot, with the look-ups that calls make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from b2bua.certificates import Certificate
from b2bua.config.assistant import Assistant
from b2bua.config.destination import Destination
from b2bua.config.dialled import Dialled
from b2bua.config.media import Media
from b2bua.config.policy import Policy
from b2bua.config.prefix_table import PrefixTable
from b2bua.config.problems import Problem
from b2bua.config.route import Route
from b2bua.config.services import Api, Limits, Records, Store
from b2bua.config.sip import Sip
from b2bua.config.telemetry import Telemetry
from b2bua.config.timers import Timers
from b2bua.config.trunk import Outbound, Trunk
from b2bua.config.webhooks import Webhooks
from b2bua.encryption import MediaProtection
from b2bua.pass_list import DEFAULT_LIST, PassList
from media.engine import Latching
from sip_stack.aio.tls_contexts import TlsSettings
from sip_stack.extensions import Extensions
from sip_stack.transport import TlsTerms


@dataclass(frozen=True, slots=True)
class Origin:
    """What a configuration was loaded from, so that it can be loaded again."""

    path: Path
    environ: Mapping[str, str] = field(repr=False)
    overrides: tuple[str, ...] = field(repr=False)
    files: Mapping[Path, str]
    """Every file read, password files included, with a digest of its content."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that is configured. Reloading makes a new one; a call keeps the one it started with."""

    sip: Sip
    media: Media
    trunks: Mapping[str, Trunk]
    routes: tuple[Route, ...]
    destinations: Mapping[str, Destination]
    """Ready to dial: numbers are URIs at their trunk, whose `outbound` identity fills in for their own."""
    policy: Policy
    timers: Timers
    limits: Limits
    records: Records
    store: Store
    context_ttl: float
    """How long the store keeps things; seconds."""
    origin: Origin
    node: str | None = None
    """What we are called; None: as the host is."""
    api: Api | None = None
    webhooks: Webhooks = field(default_factory=Webhooks)
    telemetry: Telemetry = field(default_factory=Telemetry)
    warnings: tuple[Problem, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    """Ours: what we show over TLS."""
    logins: Mapping[str, Trunk] = field(init=False, repr=False, compare=False)
    """The trunks known by their credentials alone, by username."""
    _subjects: Mapping[str, Trunk] = field(init=False, repr=False, compare=False)
    """The trunks known by their certificates from any address, by each of their names."""
    _trunk_table: PrefixTable[Trunk] = field(init=False, repr=False, compare=False)
    _advertised: PrefixTable[str] = field(init=False, repr=False, compare=False)
    _timers_of: Mapping[str, Timers] = field(init=False, repr=False, compare=False)
    _passes_of: Mapping[str, PassList] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        networks = [
            (network, trunk)
            for trunk in self.trunks.values()
            if trunk.accept is not None
            for network in trunk.accept.addresses
        ]
        timers = {name: destination.over(self.timers) for name, destination in self.destinations.items()}
        logins = {
            trunk.accept.auth.username: trunk
            for trunk in self.trunks.values()
            if trunk.accept is not None and trunk.accept.auth is not None
            if not trunk.accept.addresses and not trunk.accept.tls_subject
        }
        subjects = {
            subject: trunk
            for trunk in self.trunks.values()
            if trunk.accept is not None and not trunk.accept.addresses
            for subject in trunk.accept.tls_subject
        }
        object.__setattr__(self, "logins", MappingProxyType(logins))
        object.__setattr__(self, "_subjects", MappingProxyType(subjects))
        object.__setattr__(self, "_trunk_table", PrefixTable(networks))
        object.__setattr__(self, "_advertised", PrefixTable(self.sip.advertised_networks()))
        object.__setattr__(self, "_timers_of", timers)
        object.__setattr__(self, "_passes_of", {name: trunk.passes for name, trunk in self.trunks.items()})

    @property
    def default_destination(self) -> Destination:
        """The one with `default: true`."""
        return next(destination for destination in self.destinations.values() if destination.default)

    def trunk_for(self, address: str) -> Trunk | None:
        """The trunk that sends from this IP address, by the longest prefix; None for a stranger."""
        return self._trunk_table.find(address)

    def trunk_of_certificate(self, subjects: Iterable[str]) -> Trunk | None:
        """The trunk without addresses whose certificate has one of these names."""
        return next((self._subjects[each] for each in subjects if each in self._subjects), None)

    def route_for(self, trunk: str, user: str) -> Route | None:
        """The first route for a call of the trunk named `trunk` to `user`, the unescaped Request-URI user."""
        for route in self.routes:
            if route.matches(trunk, user):
                return route
        return None

    def assistant_for(self, route: Route) -> Assistant | None:
        """The assistant of a route, ready to dial as destinations are; None for a route to a destination."""
        return route.assistant

    def hold_music_files(self) -> tuple[Path, ...]:
        """Every WAV file that a destination names, once, in the order of the file."""
        music = (destination.hold_music for destination in self.destinations.values())
        return tuple(dict.fromkeys(each.path for each in music if each is not None and each.path is not None))

    def whisper_files(self) -> tuple[Path, ...]:
        """Every WAV file that a destination whispers to its humans, once."""
        whispers = (destination.whisper for destination in self.destinations.values())
        return tuple(dict.fromkeys(path for path in whispers if path is not None))

    def timers_for(self, place: Dialled) -> Timers:
        """The timers of a destination or an assistant: its own where it has them, else the defaults."""
        name = place.name
        if self.destinations.get(name) is place:
            return self._timers_of[name]
        return place.over(self.timers)

    def latching_for(self, trunk: str | None) -> Latching:
        """Whom to believe about where the audio of a trunk's calls comes from; None for no trunk."""
        named = None if trunk is None else self.trunks.get(trunk)
        return (named and named.latching) or self.media.latching

    def extensions_for(self, trunk: str | None, place: Dialled | None = None) -> Extensions:
        """What the sessions of a trunk's calls, or those to a place, may use beyond RFC 3261."""
        named = None if trunk is None else self.trunks.get(trunk)
        timers = (
            (place and place.session_timers) or (named and named.session_timers) or self.sip.session_timers
        )
        reliable = (
            (place and place.reliable_provisionals)
            or (named and named.reliable_provisionals)
            or self.sip.reliable_provisionals
        )
        return timers.extensions[reliable]

    def passes_of(self, trunk: str) -> PassList:
        """What of a trunk's headers may go on."""
        return self._passes_of.get(trunk, DEFAULT_LIST)

    def srtp_for(self, trunk: str) -> MediaProtection:
        """Whether the audio of a trunk's calls is encrypted."""
        named = self.trunks.get(trunk)
        return "disabled" if named is None else named.srtp

    def tls_settings(self) -> TlsSettings | None:
        """Our side of TLS; None without a certificate."""
        tls = self.sip.tls
        if tls is None:
            return None
        asks = any(trunk.accept is not None and trunk.accept.tls_subject for trunk in self.trunks.values())
        return TlsSettings(tls.certificate, tls.private_key, tls.ca, name=tls.name or "", asks_clients=asks)

    def tls_terms(self) -> set[TlsTerms]:
        """All that places and trunks are called over TLS on."""
        called: list[Dialled | Outbound | None] = [
            *self.destinations.values(),
            *(route.assistant for route in self.routes),
            *(trunk.outbound for trunk in self.trunks.values()),
        ]
        return {each.tls.terms for each in called if each is not None and each.tls is not None}

    def advertised_address(self, peer: str) -> str | None:
        """The address a peer at this IP address is told; None for the local address that faces it."""
        return self._advertised.find(peer)
