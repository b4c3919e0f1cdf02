"""Which codecs the legs of a call may have.

G.711 is understood, so any two legs that have it hear each other, and everybody hears what is made here. Other codecs
are passed through as they are (`media.codecs`): they are for calls in which both sides have the same one and nothing
of ours is heard, which is a caller and a destination. The far end is offered what the caller offered, and the caller
is answered with what the far end chose; from then on both keep it. When early media has told the caller another one
than is answered with at last, by a fallback for instance, a re-INVITE follows the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from b2bua.control import ControlError
from media.engine import G711, Codec, passes_through

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Configuration, Dialled, Route
    from sip_stack.message import Request


def understood(configuration: Configuration) -> tuple[Codec, ...]:
    """Those of `media.codecs` that work everywhere."""
    return _of_g711(configuration.media.codecs)


@lru_cache(maxsize=64)
def _of_g711(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    return tuple(codec for codec in codecs if codec in G711)


def of_call(configuration: Configuration, route: Route, invite: Request) -> tuple[Codec, ...]:
    """The codecs of a call that goes this way: all of them where nothing of ours is to be heard in it, and the caller
    says what they have."""
    if route.destination is None or route.record or not invite.body:
        return understood(configuration)
    place: str | None = route.destination
    while place is not None:
        destination = configuration.destinations[place]
        if destination.must_accept or destination.record:
            return understood(configuration)
        place = destination.fallback
    return configuration.media.codecs


def of_new_leg(call: Call, place: Dialled | None = None) -> tuple[Codec, ...]:
    """What a new leg of a call may have: that of whoever it is to talk to, as far as it is settled."""
    if not passes_through(call.codecs):
        return call.codecs
    talking = [leg.description for leg in (call.caller, call.peer) if leg is not None]
    settled = next((each.codec for each in talking if each.is_settled and each.codec is not None), None)
    if settled is not None and (call.answered or not settled.passes_through):
        return (settled,) if settled.passes_through else understood(call.configuration)
    if call.caller is None:
        return call.codecs
    offered = call.caller.description.offered
    simple = (
        [codec for codec in call.codecs if codec in G711] if set(offered) & set(G711) or not offered else []
    )
    if simple and getattr(place, "ring", "") == "together":
        # Each might choose another one, and only one of them can be the caller's.
        return tuple(simple)
    codecs = [
        codec for codec in call.codecs if codec in simple or (codec.passes_through and codec in offered)
    ]
    # What a caller was told before the answer comes first, but it can still be changed (`Leg.change_codec`).
    return tuple(sorted(codecs, key=lambda codec: codec is not settled))


def match(one: Leg, other: Leg) -> bool:
    """True when they can hear each other."""
    codecs = one.description.codec, other.description.codec
    passed = [codec for codec in codecs if codec is not None and codec.passes_through]
    return not passed or codecs[0] is codecs[1]


def check_understood(legs: Iterable[Leg | None], what: str) -> None:
    """Raises `ControlError` when the audio of one of them is passed through, and so not for `what`."""
    for leg in legs:
        codec = None if leg is None else leg.description.codec
        if codec is not None and codec.passes_through:
            raise ControlError(409, "audio_passed_through", f"{codec} is passed through: {what} needs G.711")
