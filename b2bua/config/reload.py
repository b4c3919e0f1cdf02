"""Picking up edits: which files changed, what the new configuration is, and what of it needs a restart.

Pure but for reading files: who looks how often, and in which thread, is up to `b2bua.app`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from b2bua.config.configuration import Configuration
from b2bua.config.loader import load_configuration
from b2bua.config.problems import ConfigurationError, Problem
from b2bua.config.sources import read_with_digest

_NEEDS_RESTART: dict[str, Callable[[Configuration], object]] = {
    "sip.listen": lambda configuration: configuration.sip.listen,
    "sip.name_servers": lambda configuration: configuration.sip.name_servers,
    "sip.dscp": lambda configuration: configuration.sip.dscp,
    "media.engine": lambda configuration: configuration.media.engine,
    "media.rtpengine": lambda configuration: configuration.media.rtpengine,
    "media.address": lambda configuration: configuration.media.address,
    "media.ports": lambda configuration: configuration.media.ports,
    "media.dscp": lambda configuration: configuration.media.dscp,
    "records.cdr": lambda configuration: configuration.records.cdr,
    "api.listen": lambda configuration: configuration.api.listen if configuration.api else None,
    "telemetry.trace": lambda configuration: configuration.telemetry.trace,
    "telemetry.hep": lambda configuration: configuration.telemetry.hep,
    "store": lambda configuration: configuration.store,
    "node": lambda configuration: configuration.node,
}


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What became of a reload."""

    configuration: Configuration | None
    """The new one; None when it has problems and the old one stays."""
    problems: tuple[Problem, ...] = ()
    restart_needed: tuple[str, ...] = ()
    """Keys that differ from what the process was started with and take effect at its next start."""


class ConfigurationWatcher:
    """Watches the files a configuration came from, by content: renames, links and mounts are seen too."""

    def __init__(self, configuration: Configuration) -> None:
        self._started = configuration
        self._origin = configuration.origin
        self._seen: Mapping[Path, str] = configuration.origin.files

    def changed(self) -> bool:
        """True when a file differs from what the last load saw, good or bad. Reads the files."""
        return any(read_with_digest(path)[1] != digest for path, digest in self._seen.items())

    def reload(self) -> ReloadResult:
        """Load again. A bad file is reported once: `changed` is False until somebody edits it."""
        origin = self._origin
        try:
            configuration = load_configuration(origin.path, origin.environ, origin.overrides)
        except ConfigurationError as error:
            # What was not reached because of the error is still worth watching.
            self._seen = {**self._seen, **error.files}
            return ReloadResult(None, error.problems)
        self._seen = configuration.origin.files
        return ReloadResult(configuration, restart_needed=self._restart_needed(configuration))

    def _restart_needed(self, configuration: Configuration) -> tuple[str, ...]:
        return tuple(key for key, of in _NEEDS_RESTART.items() if of(configuration) != of(self._started))
