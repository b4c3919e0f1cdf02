"""`--set path=value`: single values that replace what the files say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from b2bua.config.problems import KeyPath, Position, Problem
from b2bua.config.yaml_tree import MAX_DEPTH, Node, YamlError, in_command_line, parse_yaml

COMMAND_LINE = "--set"
"""What stands in the place of a file name for these values."""

_INDEX = re.compile("[0-9]{1,6}")

Override = tuple[KeyPath, Node]


def parse_overrides(texts: Iterable[str], problems: list[Problem]) -> list[Override]:
    """The values of `path=YAML` texts; what is none is added to `problems`.

    A path is keys and list indexes with dots between: `destinations.front-desk.ring_timeout`, `routes.0.to`.
    """
    overrides: list[Override] = []
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        steps = name.split(".")
        if not equals or not all(steps) or len(steps) > MAX_DEPTH:
            # Not quoted: what is written here may be a secret.
            problems.append(Problem(Position(COMMAND_LINE), "", "not an override", allowed="path=value"))
            continue
        try:
            node = parse_yaml(value, COMMAND_LINE)
        except YamlError as error:
            problems += [
                replace(problem, position=Position(COMMAND_LINE), key=name) for problem in error.problems
            ]
        else:
            path = tuple(int(step) if _INDEX.fullmatch(step) else step for step in steps)
            overrides.append((path, in_command_line(node, COMMAND_LINE)))
    return overrides


def apply_override(root: Node, path: KeyPath, value: Node) -> Node:
    """A copy of the tree with `value` at `path`; mappings on the way are made where there are none."""
    if not path:
        return value
    step, *rest = path
    if isinstance(root.value, list) and isinstance(step, int) and step < len(root.value):
        items = list(root.value)
        items[step] = apply_override(items[step], tuple(rest), value)
        return replace(root, value=items)
    mapping = dict(root.value) if isinstance(root.value, dict) else {}
    below = mapping.get(str(step), Node(None, value.position))
    mapping[str(step)] = apply_override(below, tuple(rest), value)
    return replace(root, value=mapping, keys={**root.keys, str(step): value.position})
