"""The audio of random stories: people speak, prompts end, machines are recognised; nobody may be left without sound."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.support.media_leg_double import LegDouble, Nothing, PromptDouble

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from tests.support.b2bua_world import World

PULSE = 0.1
"""Seconds between two looks at every leg."""
DEAF = 0.7
"""The longest that somebody may hear a far end that has left: the engine's wait for the newcomer, and a little."""
ALONE = 60.0
"""The longest that a caller may be without anybody: every place that may be dialled for them, one after the other."""


class Audio:
    """What the far ends of all legs do by themselves. `complaints` is who was left without sound, or alone."""

    def __init__(self, world: World, seed: int) -> None:
        self.complaints: list[str] = []
        self._world = world
        self._seed = seed
        self._due: dict[tuple[LegDouble, str], float] = {}
        self._since: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(PULSE)
            for leg in [leg for call in self._world.media.calls for leg in call.legs if not leg.closed]:
                self._live(leg)
            for call in list(self._world.registry.calls.values()):
                self._listen(call)

    def _live(self, leg: LegDouble) -> None:
        if not self._is_mute(leg) and leg.parameters is not None:
            leg.hear()
        if self._after(leg, "awaits", leg.within_ms is not None, (leg.within_ms or 0) / 1000):
            leg.wait_in_vain()
        source = leg.source
        prompt = source if isinstance(source, PromptDouble) and not leg.looped else None
        if self._after(leg, "prompt", prompt is not None, (prompt.duration_ms if prompt else 0) / 1000):
            leg.finish_prompt()
        if self._after(leg, "quiet", leg.quiet_ms is not None, self._chance(leg).uniform(0.4, 6)):
            leg.stop_talking()
        if self._after(leg, "sign", leg.sign is not None, self._chance(leg).uniform(0.2, 3)):
            leg.turn_out(machine=self._chance(leg).random() < 0.3)

    def _after(self, leg: LegDouble, what: str, wanted: bool, seconds: float) -> bool:
        """Whether something has been wanted of a leg for so long."""
        now = self._world.stack.now()
        if not wanted:
            self._due.pop((leg, what), None)
            return False
        if now < self._due.setdefault((leg, what), now + seconds):
            return False
        del self._due[leg, what]
        return True

    def _chance(self, leg: LegDouble) -> random.Random:
        return random.Random(f"{self._seed}/{leg.local_address}")

    def _is_mute(self, leg: LegDouble) -> bool:
        return self._chance(leg).random() < 0.1

    # -- nobody is left ------------------------------------------------------------------------------------------------

    def _listen(self, call: Call) -> None:
        if not call.answered or call.over or any(handoff.irrevocable for handoff in call.handoffs):
            return  # The SBC has the caller, even where it does not say so.
        for leg in (call.caller, call.peer):
            deaf = leg is not None and not leg.over and self._is_deaf(call, leg.media)
            self._complain(call, f"{leg.role if leg else ''} hears who has left", deaf, DEAF)
        alone = call.caller is not None and call.peer is None
        self._complain(call, "the caller is alone", alone, ALONE)

    def _is_deaf(self, call: Call, media: object) -> bool:
        assert isinstance(media, LegDouble)
        source = media.source
        gone = any(leg.media is source and leg.over for leg in self._legs_of(call))
        return not media.closed and (
            gone or source is Nothing.NOBODY or (isinstance(source, LegDouble) and source.closed)
        )

    @staticmethod
    def _legs_of(call: Call) -> Iterator[Leg]:
        return iter(call.legs)

    def _complain(self, call: Call, what: str, holds: bool, patience: float) -> None:
        now = self._world.stack.now()
        if not holds:
            self._since.pop((call.id, what), None)
        elif now - self._since.setdefault((call.id, what), now) > patience:
            self.complaints.append(f"{now:.3f} {call.id}: {what}")
            self._since[call.id, what] = float("inf")
