"""The file of the destinations as it stands: its text, what it says, and what of the main file refers to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from b2bua.config.editing.refusal import EditRefused
from b2bua.config.editing.settings import Settings
from b2bua.config.overrides import apply_override, parse_overrides
from b2bua.config.problems import ConfigurationError, Position, Problem, known_names
from b2bua.config.secrets import SecretResolver, beside
from b2bua.config.sources import Sources, read_with_digest
from b2bua.config.yaml_tree import Node, Plain, YamlError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FILE = ("destinations",)


@dataclass(frozen=True, slots=True)
class DestinationsText:
    """One state of the file."""

    file: Path
    content: bytes
    destinations: Mapping[str, Settings]
    """By name, in the order of the file; what is no mapping is an empty one here."""
    routes: Mapping[str, tuple[int, ...]]
    """The indexes of the routes that name a destination, by its name."""

    @property
    def text(self) -> str:
        """Without a byte order mark."""
        return self.content.decode("utf-8-sig")

    def as_content(self, text: str) -> bytes:
        """An edited text as octets, with the byte order mark when there is one."""
        mark = _BYTE_ORDER_MARK if self.content.startswith(_BYTE_ORDER_MARK) else b""
        return mark + text.encode()

    def settings(self, name: str) -> Settings:
        """The settings of a destination. Raises `EditRefused`."""
        if name not in self.destinations:
            there_are = known_names(name, self.destinations)
            raise EditRefused("destination_not_found", f"no such destination; {there_are}")
        return self.destinations[name]

    def tree(self) -> dict[str, Plain]:
        """All of it, as a copy that may be changed at the top."""
        return dict(self.destinations)


def read_destinations_text(
    main: Path, environ: Mapping[str, str], overrides: tuple[str, ...]
) -> DestinationsText:
    """The file that the main file, or a `--set destinations=FILE`, names. Raises `ConfigurationError`."""
    problems: list[Problem] = []
    sources = Sources()
    try:
        root = sources.read_yaml(main)
        for path, node in parse_overrides(overrides, problems):
            if path == _FILE:
                root = apply_override(root, path, node)
        named = root.at(_FILE)
        if named is not None:
            named = SecretResolver(environ, sources, problems).resolve(named)
        if problems or named is None or not isinstance(named.value, str):
            message = "no file of destinations"
            raise ConfigurationError(problems or [Problem(Position(str(main)), "destinations", message)])
        return _read(beside(named), _routes(root))
    except YamlError as error:
        raise ConfigurationError(error.problems) from None


def _read(file: Path, routes: Mapping[str, tuple[int, ...]]) -> DestinationsText:
    content, _ = read_with_digest(file)
    instead = {file: content} if isinstance(content, bytes) else None
    root = Sources(instead).read_yaml(file)
    if isinstance(content, OSError) or not isinstance(root.value, dict | None):
        raise ConfigurationError([Problem(root.position, "", "not a mapping of keys to values")])
    destinations = {name: _settings(node) for name, node in (root.value or {}).items()}
    return DestinationsText(file, content, destinations, routes)


def _settings(node: Node) -> Settings:
    settings = node.plain()
    return settings if isinstance(settings, dict) else {}


def _routes(root: Node) -> dict[str, tuple[int, ...]]:
    routes: dict[str, tuple[int, ...]] = {}
    node = root.at(("routes",))
    for index, route in enumerate(node.value if node is not None and isinstance(node.value, list) else ()):
        named = route.child("destination")
        if named is not None and isinstance(named.value, str):
            routes[named.value] = (*routes.get(named.value, ()), index)
    return routes
