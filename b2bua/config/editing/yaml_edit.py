"""Editing YAML text in place: only the characters of what changes are touched.

A round trip through ruamel.yaml's own document keeps most comments and quotes, but normalises what it did not
change (indentation, line ends, long lines) and hangs the comment above a key on the key before it, so that it goes
when that one is removed. Operators read these files in `git diff`: everything but the edit stays as it was, to the
octet. A comment directly above a key belongs to that key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from b2bua.config.editing.yaml_spans import Entry, Span, spans_of
from b2bua.config.editing.yaml_values import block_lines, flow_text, scalar_text
from b2bua.config.yaml_tree import Node, Plain, YamlError, parse_yaml


class NotEditable(Exception):
    """The text is written in a way that this module cannot edit; the message says where."""


@dataclass(frozen=True, slots=True)
class _Splice:
    """`text` in the place of the characters from `start` up to `end`."""

    start: int
    end: int
    text: str


def rewritten(text: str, wanted: dict[str, Plain]) -> str:
    """The text with as little changed as makes it mean `wanted`. New keys come last in their mapping.

    Raises `YamlError` when the text is not YAML, and `NotEditable`.
    """
    tree = parse_yaml(text, "")
    return _checked(_Rewrite(text).run(tree, wanted), wanted)


def with_copy(text: str, key: str, new_key: str) -> str:
    """The text with a top-level entry copied, its comments too, directly behind the original.

    Raises as `rewritten` does.
    """
    tree = parse_yaml(text, "").plain()
    assert isinstance(tree, dict), "there is a key to copy"
    wanted = {**tree, new_key: tree[key]}
    return _checked(_Rewrite(text).copy(key, new_key), wanted)


def block_of(text: str, key: str) -> tuple[int, int]:
    """Where a top-level entry is, with the comment above it: lines, from the first up to behind the last.

    Raises as `rewritten` does.
    """
    parse_yaml(text, "")
    span = spans_of(text)
    if span is None or span.flow or key not in span.entries:
        raise NotEditable("the file is written in a way that cannot be edited here; edit it by hand")
    return _Rewrite(text).block(span.entries[key])


def _checked(text: str, wanted: dict[str, Plain]) -> str:
    """The text, if it means what it should: no unusual spelling may turn an edit into a different one."""
    try:
        result = parse_yaml(text, "").plain()
    except YamlError as error:
        problem = error.problems[0]
        message = f"{problem.key}: {problem.message}" if problem.key else problem.message
        raise NotEditable(f"the edit would leave something behind that is wrong: {message}") from None
    if not _same(result if result is not None else {}, wanted):
        raise NotEditable("the file is written in a way that cannot be edited here; edit it by hand")
    return text


def _same(one: Plain, other: Plain) -> bool:
    """Equal, and of the same kinds: `true` is not 1. The order of keys does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class _Rewrite:
    """One edit of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._splices: list[_Splice] = []

    def run(self, tree: Node, wanted: dict[str, Plain]) -> str:
        """Make the whole text mean `wanted`."""
        span = spans_of(self._text)
        if span is None or tree.value is None:
            self._append(
                len(self._text), [line for key in wanted for line in block_lines(key, wanted[key], 0)]
            )
        elif not _same(tree.plain(), wanted):
            self._mapping(span, tree, wanted, top=True)
        return self._result()

    def copy(self, key: str, new_key: str) -> str:
        """Put a copy of a top-level entry behind it."""
        span = spans_of(self._text)
        assert span is not None, "there is a key to copy"
        entry = span.entries[key]
        if span.flow:
            value = self._text[entry.value.start : entry.value.end]
            self._splices.append(
                _Splice(entry.value.end, entry.value.end, f", {scalar_text(new_key)}: {value}")
            )
            return self._result()
        start, end = self._own_line(entry), self._block_end(entry)
        body = self._text[entry.end : end].rstrip("\r\n")
        gap = self._newline if self._has_gaps(span) else ""
        self._append(end, [f"{gap}{self._text[start : entry.start]}{scalar_text(new_key)}{body}"])
        return self._result()

    def block(self, entry: Entry) -> tuple[int, int]:
        """The lines of an entry."""
        return self._comment_above(entry), self._block_end(entry)

    def _result(self) -> str:
        parts, done = [], 0
        for splice in sorted(self._splices, key=lambda each: (each.start, each.end)):
            parts += [self._text[done : splice.start], splice.text]
            done = max(done, splice.end)
        return "".join([*parts, self._text[done:]])

    # -- values ----------------------------------------------------------------------------------------------------

    def _change(self, span: Span, node: Node, wanted: Plain, entry: Entry | None) -> None:
        """Make the value at `span` mean `wanted`; `entry`, when it is the value of a key."""
        if _same(node.plain(), wanted):
            return
        if span.flow or span.kind in ("scalar", "alias"):
            self._in_place(span, node, wanted)
        elif span.kind == "mapping" and isinstance(wanted, dict) and wanted:
            self._mapping(span, node, wanted)
        elif span.kind == "sequence" and isinstance(wanted, list) and wanted:
            self._sequence(span, node, wanted)
        elif entry is not None:
            # A block in whose place something short comes: its comments go with it.
            self._splices.append(_Splice(entry.end, span.end, f": {flow_text(wanted)}"))
        else:
            raise NotEditable("a list in a list that cannot be edited here; edit it by hand")

    def _in_place(self, span: Span, node: Node, wanted: Plain) -> None:
        old = self._text[span.start : span.end]
        new = self._flow(span, node, wanted)
        self._splices.append(_Splice(span.start, span.end, new if old else f" {new}"))

    def _flow(self, span: Span, node: Node, wanted: Plain) -> str:
        """A value in braces or brackets; what stays the same in it keeps its spelling."""
        if _same(node.plain(), wanted):
            return self._text[span.start : span.end]
        if isinstance(wanted, dict) and isinstance(node.value, dict) and span.entries:
            parts = []
            for key, value in wanted.items():
                known = span.entries.get(key)
                if known is None:
                    parts.append(f"{scalar_text(key)}: {flow_text(value)}")
                else:
                    spelt = self._text[known.start : known.end]
                    parts.append(f"{spelt}: {self._flow(known.value, node.value[key], value)}")
            return f"{{{', '.join(parts)}}}"
        if isinstance(wanted, dict | list):
            return flow_text(wanted)
        return scalar_text(wanted, like=self._text[span.start : span.end])

    def _sequence(self, span: Span, node: Node, wanted: list[Plain]) -> None:
        assert isinstance(node.value, list), "the span of a list"
        for item, below, value in zip(span.items, node.value, wanted, strict=False):
            self._change(item, below, value, None)
        for item in span.items[len(wanted) :]:
            start = self._line_start(item.start)
            self._splices.append(_Splice(start, self._line_end(item.end), ""))
        first = span.items[0]
        dash = self._text[self._line_start(first.start) : first.start]
        if dash.strip() != "-":
            raise NotEditable("a list that cannot be edited here; edit it by hand")
        new = [f"{dash}{flow_text(value)}" for value in wanted[len(span.items) :]]
        self._append(self._line_end(span.items[-1].end), new)

    # -- mappings --------------------------------------------------------------------------------------------------

    def _mapping(self, span: Span, node: Node, wanted: dict[str, Plain], *, top: bool = False) -> None:
        if span.flow:
            self._in_place(span, node, wanted)
            return
        assert isinstance(node.value, dict), "the span of a mapping"
        for key, entry in span.entries.items():
            if key in wanted:
                self._change(entry.value, node.value[key], wanted[key], entry)
            else:
                self._remove(entry, top=top)
        new = [key for key in wanted if key not in span.entries]
        if not new:
            return
        *_, last = span.entries.values()
        indent = self._indent(last)
        gap = [""] if top and self._has_gaps(span) else []
        lines = [line for key in new for line in (*gap, *block_lines(key, wanted[key], indent))]
        self._append(self._block_end(last), lines)

    def _remove(self, entry: Entry, *, top: bool) -> None:
        """Take an entry out, with the comment above it; a destination with the blank lines around it too."""
        start, end = self._comment_above(entry), self._block_end(entry)
        if top:
            after = end
            while after < len(self._text) and not self._text[after : self._line_end(after)].strip():
                after = self._line_end(after)
            end = after
            if after == len(self._text):
                # It was the last one: the blank lines before it would be left at the end of the file.
                while start > 0 and not self._text[self._line_start(start - 1) : start].strip():
                    start = self._line_start(start - 1)
        self._splices.append(_Splice(start, end, ""))

    def _append(self, at: int, lines: list[str]) -> None:
        """Put whole lines where a line ends."""
        if not lines:
            return
        before = self._newline if at > 0 and self._text[at - 1] != "\n" else ""
        self._splices.append(_Splice(at, at, before + "".join(line + self._newline for line in lines)))

    # -- lines -----------------------------------------------------------------------------------------------------

    def _line_start(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        """Behind the end of the line that the character at `at` is in."""
        return self._text.find("\n", at) + 1 or len(self._text)

    def _own_line(self, entry: Entry) -> int:
        """Where the line of a key begins. Raises `NotEditable` when something else is in it."""
        start = self._line_start(entry.start)
        if self._text[start : entry.start].strip(" \ufeff"):
            raise NotEditable(
                "a key that cannot be edited here, since it does not begin its line; edit it by hand"
            )
        return start

    def _indent(self, entry: Entry) -> int:
        return entry.start - self._own_line(entry)

    def _block_end(self, entry: Entry) -> int:
        """Behind the last line of an entry, comments below it that are indented deeper than its key included."""
        indent = self._indent(entry)
        end = at = self._line_end(max(entry.value.end - 1, entry.end))
        while at < len(self._text):
            line = self._text[at : self._line_end(at)]
            at += len(line)
            if line.lstrip(" ").startswith("#") and len(line) - len(line.lstrip(" ")) > indent:
                end = at
            elif line.strip():
                break
        return end

    def _comment_above(self, entry: Entry) -> int:
        """Where an entry begins, with the comment lines directly above it; not with those that head the file."""
        start = self._own_line(entry)
        indent = " " * (entry.start - start)
        above = start
        while above > 0:
            line = self._text[self._line_start(above - 1) : above]
            if not line.startswith(f"{indent}#"):
                return above
            above = self._line_start(above - 1)
        return start

    def _has_gaps(self, span: Span) -> bool:
        """True when the entries have blank lines between them, or there are too few to tell."""
        entries = list(span.entries.values())
        return len(entries) < 2 or any(
            not self._text[self._line_start(above - 1) : above].strip()
            for above in map(self._comment_above, entries[1:])
        )
