"""Where secrets come from: `${NAME}` in any value, and `password_file:` in place of `password:`.

Values are replaced in the tree before it is judged; the text as written stays beside them, and only that is
ever shown in a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from b2bua.config.problems import KeyPath, Position, Problem, closest, key_text
from b2bua.config.sources import Sources
from b2bua.config.yaml_tree import Node

SECRET_KEYS = frozenset({"password", "keys", "store"})
"""Keys whose values are never shown, whatever is wrong with them."""

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{[^}]*\}?")


class SecretResolver:
    """Replaces references in a tree; what cannot be resolved is added to `problems` and left as it is."""

    def __init__(self, environ: Mapping[str, str], sources: Sources, problems: list[Problem]) -> None:
        self._environ = environ
        self._sources = sources
        self._problems = problems
        self.unresolved: set[KeyPath] = set()
        """Values that have been reported here, so that nobody judges them again."""

    def resolve(self, node: Node, path: KeyPath = ()) -> Node:
        """A copy of the tree with every `${NAME}` replaced and every `password_file` read."""
        value = node.value
        if isinstance(value, list):
            return replace(
                node, value=[self.resolve(item, (*path, index)) for index, item in enumerate(value)]
            )
        if isinstance(value, dict):
            resolved = {key: self.resolve(item, (*path, key)) for key, item in value.items()}
            if "password_file" in resolved:
                self._read_password(resolved, node, path)
            return replace(node, value=resolved)
        if isinstance(value, str) and "${" in value:
            return replace(node, value=self._interpolate(value, node.position, path))
        return node

    def _interpolate(self, text: str, position: Position, path: KeyPath) -> str:
        def reference(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match["name"]
            if name is None:
                self._report(
                    position, path, "a malformed reference", allowed="${NAME}, or $${ for the characters ${"
                )
            elif name in self._environ:
                return self._environ[name]
            else:
                suggestion = closest(name, self._environ)
                message = f"the environment variable {name} is not set"
                self._report(position, path, message, suggestion=suggestion, of_environment=True)
            return match[0]

        return _REFERENCE.sub(reference, text)

    def _read_password(self, values: dict[str, Node], node: Node, path: KeyPath) -> None:
        """Put the content of the file in the place of `password`; one line end is taken off its end."""
        below = (*path, "password_file")
        file = values.pop("password_file")
        if "password" in values:
            self._report(
                node.keys["password_file"], below, "set together with password", allowed="one of the two"
            )
            return
        # Something must stand there, or the missing password would be reported too.
        values["password"] = replace(file, value="?")
        if not isinstance(file.value, str):
            self._report(file.position, below, "not the name of a file")
        elif below not in self.unresolved:
            self._read_file(values, file, below)

    def _read_file(self, values: dict[str, Node], file: Node, path: KeyPath) -> None:
        try:
            text = self._sources.read_text(beside(file))
        except OSError as error:
            self._report(file.position, path, f"cannot be read: {error.strerror}", found=repr(file.text))
        except UnicodeDecodeError:
            self._report(file.position, path, "not UTF-8")
        else:
            values["password"] = replace(file, value=text.removesuffix("\n").removesuffix("\r"))

    def _report(
        self,
        position: Position,
        path: KeyPath,
        message: str,
        *,
        found: str | None = None,
        allowed: str | None = None,
        suggestion: str | None = None,
        of_environment: bool = False,
    ) -> None:
        self.unresolved.add(path)
        key = key_text(path)
        self._problems.append(Problem(position, key, message, found, allowed, suggestion, of_environment))


def is_secret(path: KeyPath) -> bool:
    """True when the value at this path must not be shown."""
    return not SECRET_KEYS.isdisjoint(step for step in path if isinstance(step, str))


def beside(node: Node) -> Path:
    """The path a value names: relative to its file, or to the working folder when given with `--set`."""
    return node.position.folder / str(node.value)
