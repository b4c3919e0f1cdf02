"""Values as YAML text: what is written into a file where an edit asks for a new value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from b2bua.config.yaml_tree import Plain, Scalar, scalar

INDENT = 2
"""Spaces by which new blocks are indented."""

_PLAIN = re.compile(r"[0-9]{1,9}(ms|s|m|h)|[A-Za-z$/][A-Za-z0-9_$@.:;=/+()' -]*")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off"})
"""Booleans to tools that read YAML 1.1."""


def scalar_text(value: Scalar, *, like: str = "") -> str:
    """One value on one line, quoted where it must be, or where the value in whose place it stands was."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if like[:1] == '"':
        return _double_quoted(value)
    if like[:1] == "'" and value.isprintable():
        return "'{}'".format(value.replace("'", "''"))
    return value if _may_stand_plain(value) else _double_quoted(value)


def flow_text(value: Plain) -> str:
    """Any value on one line: `{username: acme, password: "${NAME}"}`."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar_text(key)}: {flow_text(below)}' for key, below in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow_text, value))}]"
    return scalar_text(value)


def block_lines(key: str, value: Plain, indent: int) -> Iterator[str]:
    """A key and its value as lines without line ends, the usual way: what is nested is indented."""
    start = f"{' ' * indent}{scalar_text(key)}:"
    if isinstance(value, dict) and value:
        yield start
        for below_key, below in value.items():
            yield from block_lines(below_key, below, indent + INDENT)
    elif isinstance(value, list) and value:
        yield start
        yield from (f"{' ' * (indent + INDENT)}- {flow_text(item)}" for item in value)
    else:
        yield f"{start} {flow_text(value)}"


def _may_stand_plain(text: str) -> bool:
    """True for words, sentences and URIs that no reader of YAML takes for anything else, in braces neither."""
    if _PLAIN.fullmatch(text) is None or text[-1] in ": " or ": " in text:
        return False
    return isinstance(scalar(text), str) and text.lower() not in _OLD_WORDS


def _double_quoted(text: str) -> str:
    return '"{}"'.format("".join(map(_escaped, text)))


def _escaped(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
