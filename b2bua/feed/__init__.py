"""What happens to calls and handoffs, told once to whoever listens: events as values, and the feed that carries them.

The call layer publishes each kind of event in one place. Listeners are told at once, in order, and have to return at
once: what takes longer waits in a bounded queue of their own. Nothing a listener does reaches the call.
"""

from b2bua.feed.events import (
    EVERY_KIND,
    CallAnswered,
    CallEnded,
    CallStarted,
    ConsultChanged,
    DigitPressed,
    FeedEvent,
    HandoffChanged,
    LegAnswered,
    LegEnded,
    LegFacts,
    LegRinging,
    RecordingChanged,
)
from b2bua.feed.feed import Entry, Feed, Listener

__all__ = [
    "EVERY_KIND",
    "CallAnswered",
    "CallEnded",
    "CallStarted",
    "ConsultChanged",
    "DigitPressed",
    "Entry",
    "Feed",
    "FeedEvent",
    "HandoffChanged",
    "LegAnswered",
    "LegEnded",
    "LegFacts",
    "LegRinging",
    "Listener",
    "RecordingChanged",
]
