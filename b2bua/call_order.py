"""A call that is to be placed, as it is asked for over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.handoff.handoff import HandoffRequest


@dataclass(frozen=True, slots=True)
class CallOrder:
    """A call to be placed."""

    request: HandoffRequest
    """Whom to call, as a handoff names them."""
    from_user: str = ""
    """Who is shown as calling; empty for anonymous."""
    record: bool = False
    """Record it from the answer on."""
    call_id: str = ""
    """The live call beside which it is placed, to consult somebody; empty for a call alone."""
