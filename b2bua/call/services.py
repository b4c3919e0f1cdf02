"""What every call works with: the SIP stack, the media engine, the resolver, the record file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from b2bua.call.counters import CallCounters
from b2bua.call.outgoing import OutgoingCalls
from b2bua.feed import Feed
from b2bua.reachability.reachability import Reachability
from b2bua.registration.bindings import Bindings
from sip_stack.avoided import AvoidedTargets

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.record import CallRecord
    from b2bua.trace import TraceRing
    from media.engine import Engine, Prompt
    from sip_stack.aio.resolver import Resolver
    from sip_stack.aio.stack import SipStack


METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO", "REFER", "NOTIFY", "PRACK")
"""What calls answer, for the Allow header and the stack; anything else is refused before a leg sees it."""

SUPPORTED = ("timer", "100rel", "replaces")
"""The extensions that calls may use; `timer` and `100rel` as each leg's configuration says (`extensions_for`)."""


class Records(Protocol):
    """Where finished records go."""

    def write(self, record: CallRecord) -> None:
        """Take a record; must not block."""
        ...


class CallJournal(Protocol):
    """What the next process reads when this one is killed."""

    def keep(self, call: Call) -> None:
        """Write a call down as it is; must not block."""
        ...

    def forget(self, call_id: str) -> None:
        """The call is over."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Passed to each call; nothing here is global."""

    stack: SipStack
    engine: Engine
    resolver: Resolver
    records: Records
    node: str
    prompts: dict[Path, Prompt] = field(default_factory=dict)
    """Hold music and whispers by file, loaded before a configuration that names it comes into force."""
    feed: Feed = field(default_factory=Feed)
    """Where calls tell what happens to them."""
    avoided: AvoidedTargets = field(default_factory=AvoidedTargets)
    """Targets that failed a moment ago; every call tries them last."""
    reachability: Reachability = field(default_factory=Reachability)
    """What the pings say of the far ends."""
    counters: CallCounters = field(default_factory=CallCounters)
    """What became of calls, for the metrics."""
    outgoing: OutgoingCalls = field(default_factory=OutgoingCalls)
    """The calls of ours that destinations have."""
    bindings: Bindings = field(default_factory=Bindings)
    """Where we are registered."""
    journal: CallJournal | None = None
    """Where the calls that are up are written down; None: nowhere."""
    trace: TraceRing | None = None
    """Keeps the messages of calls; None: nobody does."""
    now: Callable[[], float] = field(init=False, repr=False, compare=False)
    """Loop time in seconds, the clock of every deadline."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "now", self.stack.now)
