"""A compose file read as `docker compose` reads it, and what its services would run here: no container engine needed.

Of the format, what `docker/cluster/compose.yaml` uses: anchors, `${NAME}`, `${NAME:-default}`, `${NAME:?why}` and `$$`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?P<rest>:[-?][^}]*)?\})")


@dataclass(frozen=True, slots=True)
class Service:
    """One service, its variables filled in."""

    name: str
    settings: Mapping[str, Any]
    """As they stand in the file."""

    @property
    def command(self) -> list[str]:
        """What it runs; with an entrypoint of the image, its arguments."""
        return [str(word) for word in self.settings["command"]]

    @property
    def environment(self) -> dict[str, str]:
        """What it adds to that."""
        return {name: str(value) for name, value in self.settings.get("environment", {}).items()}

    @property
    def volumes(self) -> dict[str, str]:
        """Files and folders of the container: where they come from, a path beside the file or a volume's name."""
        mounts = [str(mount).split(":") for mount in self.settings.get("volumes", ())]
        return {mount[1]: mount[0] for mount in mounts}

    def command_on(self, places: Mapping[str, Path]) -> list[str]:
        """The command with the files and folders of the container where they are here."""
        command = self.command
        for inside, here in sorted(places.items(), reverse=True):
            command = [re.sub(rf"{re.escape(inside)}(?![\w.])", str(here), word) for word in command]
        return command


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """The file, its variables filled in."""

    services: Mapping[str, Service]
    volumes: frozenset[str]

    @classmethod
    def read(cls, path: Path, variables: Mapping[str, str]) -> ComposeFile:
        """Raises `KeyError` for a variable that is not set and has no default."""
        whole = _filled(YAML(typ="safe", pure=True).load(path.read_text()), variables)
        services = {name: Service(name, settings) for name, settings in whole["services"].items()}
        return cls(services, frozenset(whole["volumes"]))


def variables_of(path: Path) -> tuple[set[str], set[str]]:
    """The variables that the file wants set, and those that have a default."""
    found = [match for match in _VARIABLE.finditer(path.read_text()) if match["name"]]
    having = {match["name"] for match in found if (match["rest"] or "").startswith(":-")}
    return {match["name"] for match in found} - having, having


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name, rest = match["name"], match["rest"] or ""
        if name is None:
            return "$"
        return variables.get(name) or rest[2:] if rest.startswith(":-") else variables[name]

    return _VARIABLE.sub(fill, value)
