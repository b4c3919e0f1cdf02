"""What is written down of a plain call beside what ends it: enough to go on with it, where its audio goes on.

Plain is a caller who talks to somebody, with nothing under way. What cannot be told in values is not plain: a
consultation or a replacement under way, a call joined with another one, a recording. Of a handoff that nobody has
answered yet the call is left, and the handoff has failed; one that an assistant asked for by REFER has to be told it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from b2bua.feed import LegFacts
from b2bua.identity import Caller
from b2bua.sdp_bridge import Agreed
from sip_stack.dialog.restored import SessionSnapshot

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.handoff.handoff import Handoff


class LegState(NamedTuple):
    """One of the two legs."""

    media: str
    """By what its media engine finds it."""
    host: str
    """Our socket toward the far end."""
    port: int
    session: SessionSnapshot
    agreed: Agreed
    identity: Caller
    facts: LegFacts | None
    keys_in_audio: bool
    takes_info: bool
    names_info: bool
    """Its Allow names INFO."""


class CallState(NamedTuple):
    """A plain call."""

    caller: int
    """Which of the two legs is the caller's."""
    legs: tuple[LegState, ...]
    """In the order of the entry."""

    @classmethod
    def of(cls, call: Call) -> CallState | None:
        """The call as it is now; None when it is not plain, or its audio ends with this process."""
        caller, peer = call.caller, call.peer
        if caller is None or peer is None or caller.media.identity is None or not _is_plain(call):
            return None
        legs = [leg for leg in call.own_legs() if not leg.over and leg.record.answered is not None]
        states = [state for leg in legs if (state := _state_of(leg)) is not None]
        if len(states) != 2 or {id(leg) for leg in legs} != {id(caller), id(peer)}:
            return None
        return cls(legs.index(caller), tuple(states))

    @property
    def has_keys(self) -> bool:
        """True when there are keys of SRTP in it, which nobody may read in a store."""
        return any(leg.agreed.is_encrypted for leg in self.legs)

    def plain(self) -> object:
        """As it is written down."""
        return _ADAPTER.dump_python(self)

    @classmethod
    def read(cls, written: object) -> CallState:
        """Raises `ValueError` for what is none of ours."""
        state = _ADAPTER.validate_python(written)
        if len(state.legs) != 2 or state.caller not in (0, 1):
            raise ValueError("not two legs, or no caller among them")
        return state


_ADAPTER = TypeAdapter(CallState)


def _is_plain(call: Call) -> bool:
    return (
        call.bridge is not None
        and (call.handoff is None or _may_fail(call.handoff))
        and call.replacement is None
        and call.recording is None
        and not call.record.placed
        and not call.record.bridges
    )


def _may_fail(handoff: Handoff) -> bool:
    """True when nobody but us has to know that nothing comes of it."""
    asked = handoff.request.asked_by == "api" and not handoff.request.consult
    return asked and handoff.method == "invite" and not handoff.is_connected


def _state_of(leg: Leg) -> LegState | None:
    identity, agreed = leg.media.identity, leg.description.agreed()
    if identity is None or agreed is None:
        return None
    flow = leg.session.flow
    return LegState(
        identity,
        *flow.local,
        SessionSnapshot.of(leg.session),
        agreed,
        # What may pass is what was let pass before.
        dataclasses.replace(leg.identity, variables=dict(leg.identity.variables)),
        leg.facts,
        leg.keys_in_audio,
        leg.keys_by_info.taken,
        leg.keys_by_info.named,
    )
