"""The legs of one call, and who hears whom among them.

Only what is wanted is kept here. What goes out of the inside of one leg goes into the inside of another, so a leg is
heard by one listener at a time: the last who asked for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from weakref import WeakValueDictionary

from media.engine import (
    Codec,
    Latching,
    MediaCall,
    MediaError,
    MediaLeg,
    NoAddress,
    PortsExhausted,
    Prompt,
    Recording,
)
from media.events import EngineLost, MediaEvent, OnMediaEvent, Switched
from media.rtpengine.connection import NgError
from media.rtpengine.description import Unreadable
from media.rtpengine.leg import RtpengineLeg
from media.rtpengine.node import Node
from media.rtpengine.prompt import RtpenginePrompt, silence
from media.rtpengine.spares import forget
from media.rtpengine.told import Played

SETTLED_WITHIN = 1.0
"""Seconds that figures of legs that were closed are waited for: a daemon that is down tells none."""
_order = count(1)
"""Of all calls, as legs move between them."""


class RtpengineCall:
    """`media.engine.MediaCall`."""

    def __init__(
        self,
        nodes: Callable[[], list[Node]],
        registry: WeakValueDictionary[str, RtpengineLeg],
        on_event: OnMediaEvent,
    ) -> None:
        """`nodes` are the daemons in the order in which they should be tried; `registry` gets the legs by call-id."""
        self._nodes = nodes
        self._registry = registry
        self._on_event: OnMediaEvent | None = on_event
        self._legs: list[RtpengineLeg] = []
        self._open = True

    def open_leg(
        self,
        role: str,
        latching: Latching = Latching.AUTO,
        *,
        ipv6: bool = False,
        signalling: str | None = None,
    ) -> RtpengineLeg:
        """A leg where the call has legs already, else on the next daemon that has one to spare."""
        if not self._open:
            raise MediaError("the call is closed")
        used = [leg.node for leg in self._legs if leg.is_open][:1]
        nodes, family = used or self._nodes(), "IP6" if ipv6 else "IP4"
        for node in nodes:
            spare = node.take(family)
            if spare is not None:
                return self._add(RtpengineLeg(self, node, spare, role, latching))
        if not any(node.has_address(family) for node in nodes):
            raise NoAddress(f"no rtpengine has an {family.replace('IP', 'IPv')} address")
        raise PortsExhausted("no rtpengine has a leg to spare")

    async def take_over(self, identity: str, role: str, latching: Latching = Latching.AUTO) -> RtpengineLeg:
        """A leg that a process before this one has opened, which its daemon still has."""
        where, _, rest = identity.partition(" ")
        call_id, _, host = rest.partition(" ")
        node = next((node for node in self._nodes() if str(node.where) == where), None)
        if node is None:
            raise MediaError(f"no rtpengine is at {where}")
        try:
            spare = await node.recover(call_id, host)
        except (NgError, Unreadable) as error:
            raise MediaError(f"rtpengine {where}: {error}") from error
        if not self._open:
            node.give_back(call_id, forget)
            raise MediaError("the call is closed")
        return self._add(RtpengineLeg(self, node, spare, role, latching, left_behind=True))

    def _add(self, leg: RtpengineLeg) -> RtpengineLeg:
        self._legs.append(leg)
        self._registry[leg.id] = leg
        return leg

    def bridge(self, a: MediaLeg, b: MediaLeg) -> None:
        """`a` and `b` hear each other and nobody else."""
        first, second = self._own(a), self._other(a, b)
        if first.is_open and second.is_open:
            for leg in (first, second):
                self._silence_listeners(leg)
            self._let_hear(first, second)
            self._let_hear(second, first)
            self.stir()

    def unbridge(self, leg: MediaLeg) -> None:
        """`leg` hears nobody and nobody hears it."""
        own = self._own(leg)
        self._silence_listeners(own)
        self._let_hear(own, None)
        self.stir()

    def hear(self, listener: MediaLeg, source: MediaLeg | Prompt | None, *, loop: bool = True) -> None:
        """`listener` hears another leg, a prompt, or silence in time."""
        own = self._own(listener)
        if source is None:
            self._let_hear(own, Played(silence(), True))
        elif isinstance(source, RtpenginePrompt):
            self._let_hear(own, Played(source, loop))
        elif isinstance(source, RtpengineLeg):
            if self._other(own, source).is_open:
                self._let_hear(own, source)
        else:
            raise MediaError("neither a leg of this call nor a prompt of this engine")
        self.stir()

    def hear_when_heard(self, listener: MediaLeg, source: MediaLeg, *, within_ms: int = 500) -> None:
        """`listener` hears `source` once the daemon has counted a packet of it, silence in time after `within_ms`."""
        own, other = self._own(listener), self._other(listener, source)
        if own.is_open and other.is_open:
            self._stop_waiting(own)
            own.patience = own.watch.after(within_ms / 1000, lambda: self._wait_in_vain(own))
            other.watch.wait_for(own)

    def mix(self, listener: MediaLeg, one: MediaLeg, other: MediaLeg) -> None:
        """Raises `MediaError`: rtpengine adds no voices up."""
        raise MediaError("rtpengine cannot mix")

    def record(self, leg: MediaLeg, path: Path) -> Recording:
        """Raises `MediaError`: the audio does not come by here."""
        raise MediaError("rtpengine's legs cannot be recorded here")

    def adopt(self, leg: MediaLeg, former: MediaCall) -> None:
        """Takes a leg over from another call, of another daemon too if the daemons reach each other."""
        if not isinstance(former, RtpengineCall):
            raise MediaError("a call of another engine")
        own = former._own(leg)
        if not self._open or not own.is_open:
            raise MediaError("the call or the leg is closed")
        if former is self:
            return
        former.unbridge(own)
        former._legs.remove(own)
        self._legs.append(own)
        own.call = self
        self.stir()

    def close_leg(self, leg: MediaLeg) -> None:
        """Stops a leg; who heard it hears nobody."""
        self._close(self._own(leg))
        self.stir()

    def close(self) -> None:
        """Closes every leg."""
        self._open = False
        self._on_event = None
        for leg in self._legs:
            self._close(leg)

    async def settle(self) -> None:
        """Waits for what the daemons say of the legs when they let go of them."""
        unsettled = [leg.watch.settled for leg in self._legs if not (leg.is_open or leg.watch.settled.done())]
        if unsettled:
            await asyncio.wait(unsettled, timeout=SETTLED_WITHIN)
        if not self._open:
            # They name it, too: a circle, which nobody looks for while calls are up (`b2bua/garbage.py`).
            self._legs.clear()

    # -- for its legs and its engine -----------------------------------------------------------------------------------

    def uses(self, node: Node) -> bool:
        """Whether a leg of it is on that daemon."""
        return any(leg.node is node and leg.is_open for leg in self._legs)

    @property
    def inside_codec(self) -> Codec:
        """What is spoken between the legs: what all peers speak, else PCMU, and the others are transcoded."""
        spoken = {leg.parameters.codec for leg in self._legs if leg.is_open and leg.parameters is not None}
        return next(iter(spoken)) if len(spoken) == 1 else Codec.PCMU

    @property
    def listens_for_tones(self) -> bool:
        """Whether keys are waited for that may come as tones."""
        return any(leg.wants_tones for leg in self._legs if leg.is_open)

    def listener_of(self, leg: RtpengineLeg) -> RtpengineLeg | None:
        """Who hears a leg: the last of those that are to."""
        listeners = [each for each in self._legs if each.source is leg and each.is_open]
        return max(listeners, key=lambda each: each.since, default=None) if leg.is_open else None

    def learns_first(self, leg: RtpengineLeg) -> bool:
        """Whether an earlier leg is about to learn where its inside is, which this one has to be told."""
        listener = self.listener_of(leg)
        return (
            listener is not None
            and listener.inside is None
            and listener.parameters is not None
            and self._legs.index(listener) < self._legs.index(leg)
        )

    def senders_to(self, listener: RtpengineLeg) -> list[RtpengineLeg]:
        """The legs whose daemon sends what they say to a leg, wanted or still."""
        return [leg for leg in self._legs if leg.sends_to(listener.inside)]

    def stir(self) -> None:
        """Something has changed: each leg looks what follows for it."""
        for leg in self._legs:
            leg.stir()

    def tell(self, event: MediaEvent) -> None:
        """Tells whoever opened the call."""
        if self._on_event is not None:
            self._on_event(event)

    def switch(self, listener: RtpengineLeg, source: RtpengineLeg) -> None:
        """The source that the listener waited for is heard."""
        in_time = listener.patience is not None
        self._let_hear(listener, source)
        self.stir()
        if in_time:
            self.tell(Switched(listener, heard=True))

    def end_prompt(self, leg: RtpengineLeg) -> None:
        """A prompt has been played to its end."""
        leg.source = Played(silence(), True)
        leg.stir()

    def lose(self, reason: str) -> None:
        """A daemon has failed the call: tells so once, and closes what is left of it."""
        if self._open:
            on_event = self._on_event
            self.close()
            if on_event is not None:
                on_event(EngineLost(reason))

    def _wait_in_vain(self, listener: RtpengineLeg) -> None:
        listener.patience = None
        listener.source, listener.since = Played(silence(), True), next(_order)
        self.stir()
        self.tell(Switched(listener, heard=False))

    def _let_hear(self, listener: RtpengineLeg, source: RtpengineLeg | Played | None) -> None:
        self._stop_waiting(listener)
        listener.source, listener.since = source, next(_order)

    def _stop_waiting(self, listener: RtpengineLeg) -> None:
        if listener.patience is not None:
            listener.patience.cancel()
            listener.patience = None
        for leg in self._legs:
            leg.watch.forget(listener)

    def _silence_listeners(self, leg: RtpengineLeg) -> None:
        """Nobody hears a leg any more, or waits to."""
        leg.watch.forget_all()
        for each in self._legs:
            if each.source is leg:
                each.source = None

    def _close(self, leg: RtpengineLeg) -> None:
        self._silence_listeners(leg)
        self._stop_waiting(leg)
        leg.close()

    def _own(self, leg: MediaLeg) -> RtpengineLeg:
        for own in self._legs:
            if own is leg:
                return own
        raise MediaError("the leg belongs to another call")

    def _other(self, listener: MediaLeg, source: MediaLeg) -> RtpengineLeg:
        other = self._own(source)
        if other is listener:
            raise MediaError("a leg cannot hear itself")
        return other
