"""What is written down of a call beside what ends it: enough to go on with it, where its audio goes on.

A caller goes on with whom they talk to; with the human who has answered and whom nothing keeps any more from being
heard; alone, to whom is found for them. Whoever else is there, the human of a consultation or one who has not accepted
yet, is let go. A call of our own goes on with whom we called. Of two calls that were joined, the one that has the legs
tells of the other. What cannot be told in values does not go on: a recording.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from b2bua.call import cause
from b2bua.call.left import Left
from b2bua.call.received_leg import ReceivedLeg
from b2bua.call.restored_leg import RestoredLeg
from b2bua.feed import LegFacts
from b2bua.identity import Caller
from b2bua.sdp_bridge import Agreed, Offered
from sip_stack.dialog.restored import SessionSnapshot

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg


class HomeState(NamedTuple):
    """Of the call that a leg was brought from, and that lasts as long as it does."""

    call_id: str
    placed: bool
    """By us."""


class LegState(NamedTuple):
    """A leg."""

    media: str
    """By what its media engine finds it."""
    host: str
    """Our socket toward the far end."""
    port: int
    contact: tuple[str, int]
    """What the far end was told of it."""
    session: SessionSnapshot
    agreed: Agreed | None
    """None while the answer to `offered` is to come."""
    offered: Offered | None
    """In our 200, of which nothing else is known."""
    identity: Caller
    facts: LegFacts | None
    keys_in_audio: bool
    takes_info: bool
    names_info: bool
    """Its Allow names INFO."""
    referred: tuple[str, ...]
    """CSeqs of the REFERs of ours that it took."""
    home: HomeState | None


class LeftState(NamedTuple):
    """Whom a caller talked to who talks to nobody."""

    role: str
    place: str
    """The destination or assistant that was dialled."""
    outcome: dict[str, object]
    """How that ended, as in the record."""


class SubscriptionState(NamedTuple):
    """Of whoever asked by REFER for the handoff under way."""

    leg: int
    event: str
    told: int


class ReferredState(NamedTuple):
    """Of the REFER to the caller's side that is under way."""

    earlier: tuple[str, ...]
    accepted: bool


class CallState(NamedTuple):
    """A call. Legs are told by their places in the entry."""

    legs: tuple[LegState | None, ...]
    """None: of this one no more is known than what ends it."""
    caller: int | None
    """None in a call of our own that nobody has joined yet."""
    peer: int | None
    newcomer: int | None
    """The human who has answered and is about to be heard in place of the peer."""
    left: LeftState | None
    """Whom they talked to before, when there is no peer."""
    subscription: SubscriptionState | None
    referred: ReferredState | None
    placed: bool
    """By us."""

    @classmethod
    def of(cls, call: Call) -> CallState | None:
        """The call as it is now; None when it cannot go on, or its audio ends with this process."""
        somebody = call.caller or call.peer
        if somebody is None or somebody.media.identity is None or not _can_go_on(call):
            return None
        legs = legs_up(call)
        states = tuple(map(_state_of, legs))

        def place_of(leg: Leg | None) -> int | None:
            """Where somebody stands who is there and can be restored."""
            return legs.index(leg) if leg in legs and states[legs.index(leg)] is not None else None

        caller, peer, newcomer = map(place_of, (call.caller, call.peer, call.newcomer))
        left = None if peer is not None or caller is None else _left(call)
        if (call.caller is not None and caller is None) or (
            peer is None and newcomer is None and left is None
        ):
            return None
        return cls(
            states,
            caller,
            peer,
            newcomer,
            left,
            _subscription_of(call, legs),
            _referred_of(call),
            call.record.placed,
        )

    @property
    def has_keys(self) -> bool:
        """True when there are keys of SRTP in it, which nobody may read in a store."""
        said = [each for leg in self.legs if leg is not None for each in (leg.agreed, leg.offered)]
        return any(each is not None and each.is_encrypted for each in said)

    def plain(self) -> object:
        """As it is written down."""
        return _ADAPTER.dump_python(self)

    @classmethod
    def read(cls, written: object) -> CallState:
        """Raises `ValueError` for what is none of ours."""
        state = _ADAPTER.validate_python(written)
        subscriber = None if state.subscription is None else state.subscription.leg
        named = [each for each in (state.caller, state.peer, state.newcomer, subscriber) if each is not None]
        if not all(0 <= each < len(state.legs) and state.legs[each] is not None for each in named):
            raise ValueError("somebody is not among the legs")
        if state.peer is None and state.newcomer is None and state.left is None:
            raise ValueError("a caller who was with nobody")
        return state


_ADAPTER = TypeAdapter(CallState)


def legs_up(call: Call) -> list[Leg]:
    """Those of its legs whose far end is there, or may not have heard yet that it is handed over by BYE."""
    handoff = call.handoff
    parting = call.caller if handoff is not None and handoff.irrevocable and not handoff.state.final else None
    return [
        leg
        for leg in call.own_legs()
        if leg.record.answered is not None
        and leg.session.dialog is not None
        and (leg is parting or not (leg.over or leg.record.ended))
    ]


def _can_go_on(call: Call) -> bool:
    is_gone = call.handoff is not None and call.handoff.irrevocable
    return call.recording is None and not is_gone


def _left(call: Call) -> LeftState | None:
    if call.peer is not None:  # Gone in this moment: the call has not heard of it.
        left, outcome = Left(call.peer.role, call.peer.place, None), cause.local("normal_hangup")
    elif call.left is not None:
        left, outcome = call.left, call.peer_outcome
    else:
        return None
    return LeftState(left.role, "" if left.place is None else left.place.name, outcome.as_record())


def _referred_of(call: Call) -> ReferredState | None:
    referred = None if call.handoff is None else call.handoff.referred
    return None if referred is None else ReferredState(tuple(referred.earlier), referred.accepted)


def _subscription_of(call: Call, legs: list[Leg]) -> SubscriptionState | None:
    subscription = None if call.handoff is None else call.handoff.subscription
    if subscription is None or subscription.over or subscription.leg not in legs:
        return None
    return SubscriptionState(legs.index(subscription.leg), subscription.event, subscription.told)


def _offered_to(leg: Leg) -> Offered | None:
    """What waits for its answer in the ACK of our 200."""
    if not isinstance(leg, ReceivedLeg | RestoredLeg) or leg.our_offer is None:
        return None
    return leg.description.open_offer(leg.our_offer) if leg.session.unacknowledged_answer else None


def _state_of(leg: Leg) -> LegState | None:
    identity, agreed = leg.media.identity, leg.description.agreed()
    offered = None if agreed is not None else _offered_to(leg)
    if identity is None or (agreed is None and offered is None):
        return None
    flow = leg.session.flow
    return LegState(
        identity,
        *flow.local,
        flow.sent_by,
        SessionSnapshot.of(leg.session),
        agreed,
        offered,
        # What may pass is what was let pass before.
        dataclasses.replace(leg.identity, variables=dict(leg.identity.variables)),
        leg.facts,
        leg.keys_in_audio,
        leg.keys_by_info.taken,
        leg.keys_by_info.named,
        tuple(leg.referrals.accepted),
        None if leg.home is None else HomeState(leg.home.id, leg.home.record.placed),
    )
