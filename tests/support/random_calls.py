"""Random calls: what each side of each call will do is drawn before it starts, from a seed.

A `Plan` (`random_plan.py`) is what was drawn, a `Party` (`random_party.py`) is one side's phone in one call, a
`RandomCall` plays a plan. What must hold of a call afterwards is in `random_verdict.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from b2bua.call.events import HangUp
from sip_stack.dialog import ServerSession
from sip_stack.events import InviteReceived
from sip_stack.sdp import Direction, turned
from tests.support.b2bua_world import SBC, World, direction_of, offer
from tests.support.random_party import Party, PartyPhone
from tests.support.random_plan import BUSY, GUARDED, QUIET, Plan
from tests.support.random_wire import RoughWire

PATIENCE = 600.0
"""Seconds after which a call that is not over never will be: its own time limit is 150 s."""
NUMBER = "X-Number"
"""The header that tells a destination which call it is part of."""


class RandomPhone(PartyPhone):
    """`calls` knows which INVITE belongs to which plan."""

    def __init__(self, world: World, host: str, calls: dict[str, RandomCall]) -> None:
        super().__init__(world, host)
        self._calls = calls

    def accept_call(self, event: InviteReceived) -> None:
        """As its plan says."""
        call = self._calls[event.request.headers.get(NUMBER) or ""]
        party = Party(self, event.session, call.plan.of(f"{self.host}{len(call.parties)}"))
        call.parties.append(party)
        party.task = self.spawn(call.receive(party))


@dataclass
class RandomCall:
    """One call of a plan: `caller` is who calls, `parties` are all phones that it ever reached."""

    world: World
    wire: RoughWire
    plan: Plan
    caller: Party = field(init=False)
    parties: list[Party] = field(default_factory=list)
    gave_up: bool = False
    disagreements: list[str] = field(default_factory=list)
    """What was wrong with the audio when all was quiet."""

    async def play(self) -> None:
        """From the first INVITE until every phone has put down its receiver."""
        plan = self.plan
        await asyncio.sleep(plan.start)
        phone = self.world.phones[SBC]
        assert isinstance(phone, RandomPhone)
        body = None if plan.offers else b""
        session = phone.call(
            plan.called, headers=((NUMBER, str(plan.number)),), body=body, extensions=plan.caller_extensions
        )
        self.caller = Party(phone, session, plan.of("caller"))
        if plan.ending == "never ACKed":
            self.wire.without_ack.add(session.call_id)
        try:
            async with asyncio.timeout(plan.patience):
                await self.caller.decided.wait()
        except TimeoutError:
            if not self.caller.decided.is_set():
                self.gave_up = True
                phone.do(session.cancel)
        if self.caller.talking:
            await self._talk()
        with suppress(TimeoutError):  # the verdict finds who is left
            async with asyncio.timeout(PATIENCE):
                for party in (self.caller, *self.parties):
                    await party.over.wait()

    async def _talk(self) -> None:
        for pause, who, what in self.plan.changes:
            await asyncio.sleep(pause)
            for party in self._sides(who):
                party.change(what)
        await asyncio.sleep(self.plan.talk)
        if self.plan.talk == QUIET:
            self._look_at_the_audio()
        await self._end(self.plan.ending)

    def _look_at_the_audio(self) -> None:
        """Nothing moves any more: note where phones and media disagree about who hears whom."""
        desks = self._sides("desk")
        if not self.caller.talking or len(desks) != 1 or self.plan.ending == "never ACKed":
            return
        (desk,) = desks
        (call,) = self._running()
        for party, role in ((self.caller, "caller"), (desk, "agent")):
            parameters = call.media.leg(role).parameters
            if (parameters.send, parameters.receive) != (party.direction.receives, party.direction.sends):
                self.disagreements.append(f"{role} is {party.direction}, its media {parameters}")
        for one, other in ((self.caller, desk), (desk, self.caller)):
            # Who holds the call is not told what the other side wants meanwhile; that shows on resume.
            free = one.wanted is Direction.SENDRECV and not one.stubborn
            if free and one.direction.sends and not other.wanted.receives:
                self.disagreements.append(f"{one.phone.host} was not told of the hold of {other.phone.host}")

    def _sides(self, who: str) -> list[Party]:
        desks = [party for party in self.parties if party.talking]
        return {"caller": [self.caller], "desk": desks, "both": [self.caller, *desks]}[who]

    async def _end(self, ending: str) -> None:
        match ending:
            case "caller" | "desk" | "both":
                for party in self._sides(ending):
                    party.hang_up()
            case "change and hang up":
                self.caller.change("hold")
                for party in self._sides("both"):
                    party.hang_up()
            case "no audio":
                self._media_falls_silent()
            case "api":
                for call in self._running():
                    call.inbox.put(HangUp("api"))
            case "caller vanishes" | "desk vanishes":
                for party in self._sides(ending.split()[0]):
                    self.wire.dead.add(party.session.call_id)
                await asyncio.sleep(20)
                for party in self._sides("both"):
                    party.hang_up()

    def _running(self) -> list:
        own = self.caller.session.call_id
        return [call for call in self.world.registry.calls.values() if call.record.legs[0].sip_call_id == own]

    def _media_falls_silent(self) -> None:
        for call in self._running():
            leg = next((leg for leg in call.media.legs if leg.timeout is not None), None)
            if leg is not None:
                leg.fall_silent()

    # -- the called side -----------------------------------------------------------------------------------------------

    async def receive(self, party: Party) -> None:
        """What a destination does with an INVITE."""
        plan, phone, session = self.plan, party.phone, party.session
        assert isinstance(session, ServerSession)
        if plan.answer == "deaf":
            self.wire.dead.add(session.call_id)
            party.reject(480)
            return
        session.use(plan.desk_extensions)
        if phone.host == GUARDED and party.challenge():
            return
        moments = sorted(party.source.uniform(0, plan.rings) for _ in range(2))
        first, second = moments
        await asyncio.sleep(first)
        if "180" in plan.alert:
            party.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(second - first)
        if "early media" in plan.alert:
            party.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        elif plan.alert == "183":
            party.do(lambda now: session.progress(now, 183))
        await asyncio.sleep(plan.rings - second)
        self._answer(party)

    def _answer(self, party: Party) -> None:
        plan, session = self.plan, party.session
        if plan.answer == "refuse" or party.phone.host == BUSY:
            party.reject(plan.refusal)
        elif plan.answer == "useless":
            party.accept(offer(party.phone.host, payload="9 101"))
        elif plan.answer == "answer":
            offered = direction_of(session.invite.body)
            party.direction = turned(offered)
            party.accept(offer(party.phone.host, direction=party.direction))
