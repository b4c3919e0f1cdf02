"""The feed: from the places where calls publish to the listeners of each kind of event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, ParamSpec, Protocol

from b2bua.feed.events import FeedEvent
from b2bua.telemetry.logs import get_logger

_Facts = ParamSpec("_Facts")


class Entry(NamedTuple):
    """An event and its number: 1 for the first that anybody heard, and never the same twice in a process."""

    number: int
    event: FeedEvent


class Listener(Protocol):
    """Hears events as they happen."""

    def hear(self, entry: Entry) -> None:
        """Take one event. Runs inside the call that it tells of: must return at once and never block."""
        ...


class Feed:
    """Tells each event to the listeners of its kind. With none, `tell` and `publish` cost a look into a table."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[Listener, ...]] = {}
        """By the class of what they hear."""
        self._number = 0
        self.defects = 0
        """Events that a listener failed to take."""

    @property
    def last_number(self) -> int:
        """The number of the last event that anybody heard; 0 before the first."""
        return self._number

    def listen(self, listener: Listener, kinds: Iterable[type[FeedEvent]]) -> None:
        """From now on `listener` hears events of these kinds."""
        for kind in kinds:
            self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def leave(self, listener: Listener) -> None:
        """From now on `listener` hears nothing; harmless when it does not listen."""
        self._listeners = {
            kind: tuple(each for each in listeners if each is not listener)
            for kind, listeners in self._listeners.items()
        }

    def tell(self, kind: Callable[_Facts, FeedEvent], *facts: _Facts.args, **named: _Facts.kwargs) -> None:
        """Publish an event of this class, which is only made when it has a listener."""
        if self._listeners.get(kind):
            self.publish(kind(*facts, **named))

    def publish(self, event: FeedEvent) -> None:
        """Tell an event; returns when every listener has taken it, and never raises."""
        listeners = self._listeners.get(type(event))
        if not listeners:
            return
        self._number += 1
        entry = Entry(self._number, event)
        for listener in listeners:
            try:
                listener.hear(entry)
            except Exception:
                # A defect of a listener must not reach the call that happens to be told of.
                self.defects += 1
                get_logger().exception("listener_failed", kind=event.name, call_id=event.call_id)
