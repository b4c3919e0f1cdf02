"""Loading: files, overrides and environment in; one `Configuration` out, or every problem there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from b2bua.certificates import Certificate
from b2bua.config.checks import check_parts, check_prefixes, check_transports
from b2bua.config.configuration import Configuration, Origin
from b2bua.config.file_models import ConfigurationFile, Names
from b2bua.config.judge import Judge
from b2bua.config.media import Media
from b2bua.config.overrides import COMMAND_LINE, Override, apply_override, parse_overrides
from b2bua.config.parts import Parts, read_destinations, read_routes, read_trunks, ready_route, ready_to_dial
from b2bua.config.policy import Policy
from b2bua.config.problems import ConfigurationError, KeyPath, Problem
from b2bua.config.rtpengine import check_rtpengine
from b2bua.config.secrets import SecretResolver, beside
from b2bua.config.services import Api, Limits, Records, Store
from b2bua.config.sip import Sip
from b2bua.config.sources import Sources
from b2bua.config.telemetry import Telemetry
from b2bua.config.timers import Timers
from b2bua.config.tls import locate_files
from b2bua.config.tls_checks import check_tls, tls_warnings
from b2bua.config.warning_checks import audio_warnings, srtp_warnings, warnings_of
from b2bua.config.webhook_checks import check_webhooks
from b2bua.config.webhooks import Webhooks
from b2bua.config.yaml_tree import Node, YamlError


def load_configuration(
    path: Path | str,
    environ: Mapping[str, str],
    overrides: Iterable[str] = (),
    *,
    instead: Mapping[Path, bytes] | None = None,
) -> Configuration:
    """Load a configuration file and what it names.

    `environ` is where `${NAME}` is looked up. `overrides` are `path=YAML value` texts (`--set`); relative
    paths in them are relative to the working folder. `instead` are contents that are taken to be in files.
    Raises `ConfigurationError` with every problem.
    """
    return _Load(Path(path), environ, tuple(overrides), Sources(instead)).run()


@dataclass(frozen=True, slots=True)
class _Sections:
    """The parts of the main file that are judged as wholes."""

    names: Names
    sip: Sip
    media: Media
    policy: Policy
    timers: Timers
    limits: Limits
    records: Records
    webhooks: Webhooks
    telemetry: Telemetry
    api: Api | None


class _Load:
    """One load."""

    def __init__(
        self, path: Path, environ: Mapping[str, str], overrides: tuple[str, ...], sources: Sources
    ) -> None:
        self._path = path
        self._environ = environ
        self._overrides = overrides
        self._sources = sources
        self._problems: list[Problem] = []
        self._certificates: tuple[Certificate, ...] = ()

    def run(self) -> Configuration:
        overrides = parse_overrides(self._overrides, self._problems)
        of_people = [
            (path[1:], node) for path, node in overrides if path[0] == "destinations" and len(path) > 1
        ]
        of_main = [(path, node) for path, node in overrides if path[0] != "destinations" or len(path) == 1]
        main = self._judge(self._path, of_main)
        if main is None:
            raise self._error()
        sections = self._read_sections(main)
        parts = self._read_parts(main, of_people)
        if parts is not None:
            check_parts(parts)
        if parts is not None and sections is not None:
            check_transports(parts, sections.sip.listen)
            check_prefixes(parts, sections.policy)
            check_webhooks(parts, sections.webhooks)
            if sections.media.rtpengine is not None:
                check_rtpengine(parts)
            self._certificates = check_tls(parts, sections.sip, self._sources)
        if self._problems or parts is None or sections is None:
            raise self._error()
        return self._build(main, sections, parts)

    def _error(self) -> ConfigurationError:
        files = list(
            dict.fromkeys([COMMAND_LINE, str(self._path), *(p.position.file for p in self._problems)])
        )
        self._problems.sort(key=lambda p: (files.index(p.position.file), p.position.line or 0))
        return ConfigurationError(self._problems, self._sources.digests)

    def _judge(
        self, path: Path, overrides: list[Override], prefix: KeyPath = (), named_by: Node | None = None
    ) -> Judge | None:
        """Read a file, put overrides and secrets in; None after its problems have been noted. `named_by`: the value
        that says where it is."""
        try:
            root = self._sources.read_yaml(path)
        except YamlError as error:
            for problem in error.problems:
                if named_by is not None and problem.position.line is None:
                    # There is no such file: whoever looks for the mistake is shown where it is named.
                    problem = Problem(
                        named_by.position, str(prefix[0]), problem.message, found=repr(named_by.value)
                    )
                self._problems.append(problem)
            return None
        if root.value is not None and not isinstance(root.value, dict):
            self._problems.append(Problem(root.position, "", "not a mapping of keys to values"))
            return None
        for where, node in overrides:
            root = apply_override(root, where, node)
        resolver = SecretResolver(self._environ, self._sources, self._problems)
        root = locate_files(resolver.resolve(root))
        return Judge(root, self._problems, resolver.unresolved, prefix)

    def _read_sections(self, main: Judge) -> _Sections | None:
        """None after the problems of at least one have been noted."""
        main.unknown_keys(ConfigurationFile)
        names = main.section(Names, ())
        sip = main.section(Sip, ("sip",))
        media = main.section(Media, ("media",))
        policy = main.section(Policy, ("policy",))
        timers = main.section(Timers, ("timers",))
        limits = main.section(Limits, ("limits",))
        records = main.section(Records, ("records",))
        webhooks = main.section(Webhooks, ("webhooks",))
        telemetry = main.section(Telemetry, ("telemetry",))
        api = main.section(Api, ("api",)) if main.root.at(("api",)) is not None else None
        if names is None or sip is None or media is None or policy is None:
            return None
        if timers is None or limits is None or records is None or webhooks is None or telemetry is None:
            return None
        return _Sections(names, sip, media, policy, timers, limits, records, webhooks, telemetry, api)

    def _read_parts(self, main: Judge, overrides: list[Override]) -> Parts | None:
        """None when there are no destinations to look at."""
        trunks = read_trunks(main)
        routes = read_routes(main)
        file = main.root.at(("destinations",))
        if file is None or not isinstance(file.value, str) or main.is_silent(("destinations",)):
            return None
        people = self._judge(beside(file), overrides, prefix=("destinations",), named_by=file)
        if people is None:
            return None
        return Parts(main, people, trunks, routes, read_destinations(people))

    def _build(self, main: Judge, sections: _Sections, parts: Parts) -> Configuration:
        destinations = {
            name: ready_to_dial(place, parts.trunks) for name, place in parts.destinations.items()
        }
        return Configuration(
            sip=sections.sip,
            media=sections.media,
            trunks=MappingProxyType(dict(parts.trunks)),
            routes=tuple(ready_route(route, parts.trunks) for route in parts.routes.values()),
            destinations=MappingProxyType(destinations),
            policy=sections.policy,
            timers=sections.timers,
            limits=sections.limits,
            records=Records(
                cdr=self._file(main, ("records", "cdr"), sections.records.cdr),
                recordings=self._file(main, ("records", "recordings"), sections.records.recordings),
            ),
            webhooks=sections.webhooks,
            telemetry=sections.telemetry,
            api=sections.api,
            store=self._store(main, sections.names.store, sections.api),
            context_ttl=sections.names.context_ttl,
            node=sections.names.node,
            origin=Origin(
                self._path, self._environ, self._overrides, MappingProxyType(self._sources.digests)
            ),
            warnings=(
                *warnings_of(parts, sections.timers),
                *audio_warnings(main, sections.sip, sections.media),
                *srtp_warnings(parts, sections.sip, sections.media),
                *tls_warnings(parts),
            ),
            certificates=self._certificates,
        )

    def _file(self, main: Judge, path: KeyPath, file: Path) -> Path:
        """A file relative to what names it; a default is relative to the main file."""
        node = main.root.at(path)
        return (self._path.parent if node is None else node.position.folder) / file

    def _store(self, main: Judge, store: Store, api: Api | None) -> Store:
        if api is None and main.root.at(("store",)) is None:
            return Store("disabled")  # Nobody has asked for one, and nobody could read it.
        if store.path is None:
            return store
        return replace(store, path=self._file(main, ("store",), store.path))
