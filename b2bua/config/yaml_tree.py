"""YAML text as a tree of values that know where they stand (YAML 1.2 core schema).

Built from the parser's events and not by a YAML constructor, which would not give the position of every key
and value, both positions of a duplicate key, and bounds on depth and size: no text at all (deep nesting,
aliases of aliases) exhausts the process. Tags other than `!!str` are refused. Messages never quote the text
around an error: it may hold a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from b2bua.config.problems import KeyPath, Position, Problem, key_text
from b2bua.config.yaml_faults import meaning_of

MAX_SIZE = 4 * 1024 * 1024
"""Characters of one file."""
MAX_DEPTH = 20
MAX_VALUES = 200_000
"""Values of one file after its aliases are expanded."""

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
"""A value without positions."""

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_STRING_TAGS = ("tag:yaml.org,2002:str", "!")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it was written."""

    value: Scalar | list[Node] | dict[str, Node] = field(repr=False)
    position: Position
    text: str = field(default="", repr=False)
    """A scalar as written, before `${NAME}` was replaced and before 0123 became a number."""
    keys: dict[str, Position] = field(default_factory=dict, repr=False)
    """Where a mapping's keys stand."""
    height: int = 0
    """Levels below this one."""

    def plain(self) -> Plain:
        """The value and all below it without positions."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return self.value

    def child(self, step: str | int) -> Node | None:
        """The value of a key or the item of a list; None when there is none."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def at(self, path: KeyPath) -> Node | None:
        """The value at a path; None when there is none."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node is not None else None
        return node

    def keys_at(self, path: KeyPath) -> list[str]:
        """The keys of the mapping at a path; none when something else is there."""
        node = self.at(path)
        return list(node.value) if node is not None and isinstance(node.value, dict) else []

    def position_of(self, path: KeyPath) -> Position:
        """Where the value at a path stands, or the nearest thing around it."""
        node = self
        for step in path:
            below = node.child(step)
            if below is None:
                break
            node = below
        return node.position

    def position_of_key(self, path: KeyPath) -> Position:
        """Where the key at the end of a path stands, or the nearest thing around it."""
        around = self.at(path[:-1])
        key = str(path[-1]) if path else ""
        if around is not None and key in around.keys:
            return around.keys[key]
        return self.position_of(path)


class YamlError(Exception):
    """The text is no YAML that we take. Holds what is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def parse_yaml(text: str, file: str) -> Node:
    """The tree of a YAML text.

    Raises `YamlError`; duplicate keys are all reported, any other error ends the reading.
    """
    if len(text) > MAX_SIZE:
        raise YamlError([Problem(Position(file), "", f"larger than {MAX_SIZE} characters")])
    try:
        return _Builder(file).build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark, problem, allowed = meaning_of(error)
        position = Position(file, mark.line + 1, mark.column + 1) if mark is not None else Position(file)
    except YAMLError as error:
        position, problem, allowed = _unreadable(text, file), getattr(error, "reason", "not YAML"), None
    except (ValueError, OverflowError):
        # What ruamel.yaml raises for "\\UFFFFFFFF" and for a %YAML directive with thousands of digits.
        position, problem, allowed = Position(file), "not YAML", None
    raise YamlError([Problem(position, "", problem, allowed=allowed)])


def in_command_line(node: Node, file: str) -> Node:
    """The same tree with one position for all of it: values given with `--set` have no lines."""
    position = Position(file)
    value = node.value
    if isinstance(value, list):
        value = [in_command_line(item, file) for item in value]
    elif isinstance(value, dict):
        value = {key: in_command_line(item, file) for key, item in value.items()}
    return replace(node, value=value, position=position, keys=dict.fromkeys(node.keys, position))


def scalar(text: str) -> Scalar:
    """A plain (unquoted) scalar by the core schema; what is no number, boolean or null is text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if len(text) < 40 and _FLOAT.fullmatch(text) else text


def _unreadable(text: str, file: str) -> Position:
    """Where the first character stands that YAML does not allow."""
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if not (character.isprintable() or character in "\t\r\x85\ufeff"):
                return Position(file, number, column)
    return Position(file)


def _height(nodes: Iterable[Node]) -> int:
    return 1 + max((node.height for node in nodes), default=0)


class _Builder:
    """Turns events into nodes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._values = 0
        self._duplicates: list[Problem] = []

    def build(self, events: Iterator[Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise self._error(event, "a second document; one file is one document")
            if not isinstance(
                event, StreamStartEvent | DocumentStartEvent | DocumentEndEvent | StreamEndEvent
            ):
                root = self._node(event, events, ())
        if self._duplicates:
            raise YamlError(self._duplicates)
        return root if root is not None else Node(None, Position(self._file, 1, 1))

    def _node(self, event: Event, events: Iterator[Event], path: KeyPath) -> Node:
        self._check_depth(event, len(path))
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        self._count(event, 1)
        before = self._values
        tag = getattr(event, "tag", None)
        if tag is not None and not (isinstance(event, ScalarEvent) and str(tag) in _STRING_TAGS):
            raise self._error(event, "tags are not used here; quote the value if it begins with '!'")
        if isinstance(event, ScalarEvent):
            text = str(event.value)
            plain = event.implicit[0] and tag is None
            node = Node(scalar(text) if plain else text, self._position(event), text)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(event, events, path)
        else:
            node = self._sequence(event, events, path)
        if (anchor := getattr(event, "anchor", None)) is not None:
            self._anchors[anchor] = (node, self._values - before + 1)
        return node

    def _mapping(self, start: Event, events: Iterator[Event], path: KeyPath) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self._error(event, "a key must be a word, not a list, a mapping or an alias")
            key, position = str(event.value), self._position(event)
            below = (*path, key)
            value = self._node(next(events), events, below)
            if key in keys:
                message = f"duplicate key; it is first set at {keys[key]}"
                self._duplicates.append(Problem(position, key_text(below), message))
            else:
                keys[key], values[key] = position, value
        return Node(values, self._position(start), keys=keys, height=_height(values.values()))

    def _sequence(self, start: Event, events: Iterator[Event], path: KeyPath) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return Node(items, self._position(start), height=_height(items))

    def _alias(self, event: AliasEvent, path: KeyPath) -> Node:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise self._error(event, "an alias without its anchor; quote the value if it begins with '*'")
        node, size = known
        self._count(event, size)
        self._check_depth(event, len(path) + node.height)
        return node

    def _count(self, event: Event, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._error(event, f"more than {MAX_VALUES} values")

    def _check_depth(self, event: Event, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")

    def _position(self, event: Event) -> Position:
        return Position(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _error(self, event: Event, message: str) -> YamlError:
        return YamlError([Problem(self._position(event), "", message)])
