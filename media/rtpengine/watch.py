"""What is learned of a leg by asking its daemon again and again, as rtpengine tells nothing of packets by itself.

Often while somebody waits for a packet, less and less the longer that is in vain, seldom otherwise: with ten thousand
calls these questions are most of what there is to do. The daemon tells when the last packet came, so that a silence is
noticed in time all the same.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from media.engine import LegStatistics, StreamParameters
from media.events import FirstPacket, MediaTimeout, PromptEnded
from media.rtpengine.connection import Reply, refusal
from media.rtpengine.offer_answer import INSIDE, OUTSIDE
from media.rtpengine.query import Side, read_side

if TYPE_CHECKING:
    from media.rtpengine.leg import RtpengineLeg
    from media.rtpengine.told import Played

SOON = 0.04
"""Seconds between two questions while somebody waits to hear the leg."""
ARMED = 0.1
"""Seconds until the first one after the first packet is awaited; then as long again as that was in vain."""
PATIENCE = 20
"""Who has waited longer than so many times `SOON` hears the leg late by one of so many parts of that time."""
CALM = 15.0
"""Seconds between two otherwise. So old may the statistics be."""
TURN = 0.025
"""What is not urgent is asked each so many seconds, of many legs in one turn of the loop: so these questions go out
together, and so do the answers."""
STALE = 10.0
"""Seconds without a packet after which the leg is told to the daemon again, whose `timeout` (60 s by default) would end
it: on hold nobody sends anything. With `CALM` it is 25 s at most after the last packet."""
RTP_HEADER = 12


class Watch:
    """The questions about one leg."""

    def __init__(self, leg: RtpengineLeg) -> None:
        self._leg = leg
        self._loop = asyncio.get_running_loop()
        self._outside = self._inside = Side()
        self._timer: asyncio.TimerHandle | None = None
        self._asking = False
        self._stopped = False
        self._armed = False
        self._receives = True
        self._timeout: float | None = None
        self._wanted_since = self._answered_at = self._quiet_since = self._fresh_since = self._loop.time()
        self._clock = math.inf
        """Loop time less the time of the daemon, or more while no packets come."""
        self._timed_out = False
        self._waiting: list[tuple[RtpengineLeg, int | None]] = []
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done when the daemon has let go of the leg: the statistics are final."""

    def arm(self) -> None:
        """From the next packet on the peer counts as heard for the first time."""
        self._armed = True
        self._wanted_since = self._loop.time()
        self._ask_within(ARMED)

    def follow(self, parameters: StreamParameters) -> None:
        """Whether packets are expected at all."""
        resumed = parameters.receive and not self._receives
        self._receives = parameters.receive
        if resumed:
            self._quiet_since = self._loop.time()
            self._ask_within(self._interval())

    def set_timeout(self, seconds: float | None) -> None:
        """As `MediaLeg.set_media_timeout`."""
        self._timeout = seconds
        self._quiet_since = self._loop.time()
        self._timed_out = False
        self._ask_within(self._interval())

    def wait_for(self, listener: RtpengineLeg) -> None:
        """The listener is to hear the leg from its next packet on."""
        self.forget(listener)
        self._waiting.append((listener, None))
        self._wanted_since = self._loop.time()
        self._ask_within(0.0)

    def forget(self, listener: RtpengineLeg) -> None:
        """The listener waits no more."""
        self._waiting = [each for each in self._waiting if each[0] is not listener]

    def forget_all(self) -> None:
        """Nobody waits to hear the leg any more."""
        for listener, _ in self._waiting:
            if listener.patience is not None:
                listener.patience.cancel()
                listener.patience = None
        self._waiting.clear()

    def after(self, seconds: float, then: Callable[[], None]) -> asyncio.TimerHandle:
        """Something to be done later."""
        return self._loop.call_later(seconds, then)

    def note_prompt(self, played: Played) -> None:
        """A prompt that is played once has begun."""
        self._loop.call_later(played.prompt.duration_ms / 1000, self._end_prompt, played)

    def stop(self) -> None:
        """Asks no more."""
        self._stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def take_last(self, reply: Reply | None) -> None:
        """What the daemon says as it lets go of the leg is all that there was. Without, the answer before stands."""
        if reply is not None and "tags" in reply:
            self._outside, self._inside = read_side(reply, OUTSIDE), read_side(reply, INSIDE)
        self.settled.set_result(None)
        # It names us, too: a circle, which nobody looks for while calls are up (`b2bua/garbage.py`).
        del self._leg

    def statistics(self, parameters: StreamParameters | None) -> LegStatistics:
        """What the last answer said. Who looks again soon finds what is said by then."""
        self._ask_within(ARMED)
        heard, sent = self._outside, self._inside
        return LegStatistics(
            codec=None if parameters is None else parameters.codec,
            packets_in=heard.packets,
            packets_out=sent.packets,
            octets_in=max(heard.octets - RTP_HEADER * heard.packets, 0),
            octets_out=max(sent.octets - RTP_HEADER * sent.packets, 0),
            lost=None,
            jitter_ms=None,
            longest_gap_ms=None,
            foreign=0,
            malformed=0,
            dropped=0,
            rtcp_in=heard.rtcp,
        )

    # -- asking --------------------------------------------------------------------------------------------------------

    def _interval(self) -> float:
        now = self._loop.time()
        waited = now - self._wanted_since
        if self._waiting:
            return min(max(SOON, waited / PATIENCE), CALM)
        seconds = min(max(ARMED, waited), CALM) if self._armed else CALM
        if self._timeout is None or self._timed_out or not self._receives:
            return seconds
        until_then = self._quiet_since + self._timeout - now
        return min(seconds, self._timeout / 4, max(until_then, SOON))

    def _ask_within(self, seconds: float) -> None:
        if self._stopped or self._asking:
            return
        when = self._loop.time() + seconds
        if seconds >= 1:
            when = math.ceil(when / TURN) * TURN
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ask)

    def _ask(self) -> None:
        self._timer = None
        self._asking = True
        self._leg.node.request("query", {"call-id": self._leg.id}, self._answered)

    def _answered(self, reply: Reply | None) -> None:
        self._asking = False
        if self._stopped:
            return
        if reply is not None:
            refused = refusal(reply)
            if refused is not None:
                self._leg.forgotten(refused)
                return
            self._take(read_side(reply, OUTSIDE), read_side(reply, INSIDE))
        # A daemon that does not answer is its node's business.
        self._ask_within(self._interval())

    def _take(self, outside: Side, inside: Side) -> None:
        now = self._loop.time()
        more = outside.packets > self._outside.packets
        if more:
            self._quiet_since, self._timed_out = self._time_of(outside), False
            self._fresh_since = max(self._fresh_since, self._quiet_since)
        if inside.packets > self._inside.packets:
            self._fresh_since = max(self._fresh_since, self._time_of(inside))
        self._answered_at = now
        self._outside, self._inside = outside, inside
        if more and self._armed:
            self._armed = False
            self._leg.tell(FirstPacket(self._leg))
        self._look_who_waits(outside.packets)
        if now - self._fresh_since > STALE:
            self._fresh_since = now
            self._leg.tell_again()
        timeout = self._timeout
        if (
            timeout is not None
            and self._receives
            and not self._timed_out
            and now - self._quiet_since >= timeout
        ):
            self._timed_out = True
            self._leg.tell(MediaTimeout(self._leg))

    def _time_of(self, side: Side) -> float:
        """When the last packet of a side came to which some came since the answer before, to the second.

        The daemon tells its own time. What it is by ours is learned from those that had only just come; if its clock is
        set, nothing is taken to be older than the answer before."""
        now = self._loop.time()
        if not side.last_packet:
            return now
        self._clock = min(self._clock, now - side.last_packet)
        return max(side.last_packet + self._clock, self._answered_at)

    def _look_who_waits(self, packets: int) -> None:
        """A listener's first answer tells how many packets there were before."""
        for listener, before in list(self._waiting):
            if before is None:
                self._waiting[self._waiting.index((listener, None))] = (listener, packets)
            elif packets > before and self._receives:
                self.forget(listener)
                self._leg.call.switch(listener, self._leg)

    def _end_prompt(self, played: Played) -> None:
        if not self._stopped and self._leg.source is played:
            self._leg.call.end_prompt(self._leg)
            self._leg.tell(PromptEnded(self._leg))
