"""Where the values of a YAML text begin and end, to the character: what `yaml_tree` need not know and edits do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)


@dataclass(slots=True)
class Span:
    """A value: the characters from `start` up to `end`. A comment behind it is not part of it."""

    start: int
    end: int
    kind: str
    """"scalar", "mapping", "sequence" or "alias"."""
    flow: bool = False
    """Written in braces or brackets."""
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping, from `start` up to `end`, and its value."""

    start: int
    end: int
    value: Span


def spans_of(text: str) -> Span | None:
    """The spans of a text that `parse_yaml` has read without an error; None when there is no value in it."""
    events = YAML(typ="safe", pure=True).parse(text)
    for event in events:
        if isinstance(event, NodeEvent):
            return _span(event, events, text, 0)
    return None


def _span(event: Event, events: Iterator[Event], text: str, after: int) -> Span:
    """`after`: the end of the key, or of whatever stands before; an empty value is put behind its colon."""
    start = event.start_mark.index
    if isinstance(event, AliasEvent):
        return Span(start, event.end_mark.index, "alias")
    if isinstance(event, ScalarEvent):
        return _scalar_span(event, text, after)
    assert isinstance(event, MappingStartEvent | SequenceStartEvent), "the last of YAML's kinds of nodes"
    flow = bool(event.flow_style)
    is_mapping = isinstance(event, MappingStartEvent)
    span = Span(start, start, "mapping" if is_mapping else "sequence", flow)
    end = _read_entries(span, events, text) if is_mapping else _read_items(span, events, text)
    if flow:
        span.end = end.end_mark.index
    else:
        # The end event of a block stands before the next token, behind comments that are not the value's.
        last = (
            list(span.entries.values())[-1].value if span.entries else span.items[-1] if span.items else span
        )
        span.end = last.end
    return span


def _scalar_span(event: ScalarEvent, text: str, after: int) -> Span:
    start, end = event.start_mark.index, event.end_mark.index
    if event.style in ("|", ">"):
        # A block scalar ends where the next token begins; the line ends before that may stay where they are.
        end = start + len(text[start:end].rstrip())
    elif start == end:
        # An empty value is reported where the next token begins.
        colon = text.find(":", after)
        start = end = colon + 1 if 0 <= colon < start else start
    return Span(start, end, "scalar")


def _read_entries(span: Span, events: Iterator[Event], text: str) -> Event:
    while not isinstance(key := next(events), MappingEndEvent):
        assert isinstance(key, ScalarEvent), "yaml_tree takes no other keys"
        end = key.end_mark.index
        span.entries[str(key.value)] = Entry(
            key.start_mark.index, end, _span(next(events), events, text, end)
        )
    return key


def _read_items(span: Span, events: Iterator[Event], text: str) -> Event:
    before = span.start
    while not isinstance(item := next(events), SequenceEndEvent):
        span.items.append(_span(item, events, text, before))
        before = span.items[-1].end
    return item
