"""Reading the files a configuration is made of, and remembering what was in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from b2bua.config.problems import Position, Problem
from b2bua.config.yaml_tree import Node, YamlError, parse_yaml

MAX_FILE = 4 * 1024 * 1024
"""Octets of one file."""


class Sources:
    """Reads files for one load; `digests` tells afterwards what was read, for change detection."""

    def __init__(self, instead: Mapping[Path, bytes] | None = None) -> None:
        """`instead`: contents that stand for those of the files, to try an edit before it is made."""
        self.digests: dict[Path, str] = {}
        self._instead = instead or {}

    def read_text(self, path: Path) -> str:
        """The text of a file. Raises `OSError`, also for what is no file, and `UnicodeDecodeError`."""
        content: bytes | OSError
        if path in self._instead:
            content = self._instead[path]
            self.digests[path] = hashlib.sha256(content).hexdigest()
        else:
            content, self.digests[path] = read_with_digest(path)
        if isinstance(content, OSError):
            raise content
        return content.decode("utf-8-sig")

    def watch(self, path: Path) -> None:
        """Remember what is in a file that somebody else reads."""
        self.digests[path] = read_with_digest(path)[1]

    def read_yaml(self, path: Path) -> Node:
        """The tree of a YAML file. Raises `YamlError`, also when it cannot be read."""
        try:
            text = self.read_text(path)
        except OSError as error:
            problem = Problem(Position(str(path)), "", f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problem = Problem(Position(str(path), line), "", "not UTF-8")
        else:
            return parse_yaml(text, str(path))
        raise YamlError([problem])


def read_with_digest(path: Path) -> tuple[bytes | OSError, str]:
    """The content of a file, or why it cannot be read, and a text that changes when either does."""
    try:
        # A FIFO or a terminal would hold the process up; a mount or a link to a file is a file.
        if path.exists() and not path.is_file():
            raise OSError(0, "not a file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise OSError(0, f"larger than {MAX_FILE} octets")
    except ValueError:
        # What `open` raises for a NUL in the name.
        return OSError(0, "not a file name"), "not a file name"
    except OSError as error:
        return error, f"unreadable: {error.strerror}"
    return content, hashlib.sha256(content).hexdigest()
