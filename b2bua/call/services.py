"""What every call works with: the SIP stack, the media engine, the resolver, the record file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from b2bua.call.record import CallRecord
    from media.engine import Engine
    from sip_stack.aio.resolver import Resolver
    from sip_stack.aio.stack import SipStack


class Records(Protocol):
    """Where finished records go."""

    def write(self, record: CallRecord) -> None:
        """Take a record; must not block."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Passed to each call; nothing here is global."""

    stack: SipStack
    engine: Engine
    resolver: Resolver
    records: Records
    node: str

    def now(self) -> float:
        """Loop time in seconds, the clock of every deadline."""
        return self.stack.now()
