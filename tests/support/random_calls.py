"""Random calls: what each side of each call will do is drawn before it starts, from a seed.

A `Plan` (`random_plan.py`) is what was drawn, a `Party` is one side's phone in one call, a `RandomCall` plays a plan.
What must hold of a call afterwards is in `random_verdict.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from b2bua.call.events import HangUp
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.events import (
    Answered,
    Cancelled,
    Ended,
    Event,
    Failed,
    InviteReceived,
    Rejected,
    ReofferCompleted,
    ReofferReceived,
    RequestCompleted,
    RequestReceived,
    SessionEvent,
)
from sip_stack.sdp import Direction, common, turned
from tests.support.b2bua_world import SBC, Phone, World, direction_of, offer
from tests.support.random_plan import BUSY, GUARDED, QUIET, REOFFERS, Plan
from tests.support.random_wire import RoughWire

PATIENCE = 600.0
"""Seconds after which a call that is not over never will be: its own time limit is 150 s."""
NUMBER = "X-Number"
"""The header that tells a destination which call it is part of."""
FINAL = (Answered, Rejected, Failed, Ended, Cancelled)
TERMINAL = (Rejected, Failed, Ended, Cancelled)
HOLD = (Direction.SENDONLY, Direction.INACTIVE, Direction.RECVONLY)


class Party:
    """One phone in one call: its session, all it saw, and what it believes about the audio."""

    def __init__(
        self, phone: RandomPhone, session: ClientSession | ServerSession, source: random.Random
    ) -> None:
        self.phone = phone
        self.session = session
        self.source = source
        self.events: list[SessionEvent] = []
        self.direction = Direction.SENDRECV
        """What this phone may do, as last agreed."""
        self.wanted = Direction.SENDRECV
        """What it would like to do; a hold of its own makes it less."""
        self.stubborn = False
        """It refused a re-INVITE, so it may not know what the other side wants."""
        self.rejected = False
        self.answered = False
        self.reoffering = ""
        """What it asked for in a re-INVITE or UPDATE that has no final response yet."""
        self.ended_at: float | None = None
        self.over = asyncio.Event()
        self.decided = asyncio.Event()
        """The INVITE of this party has its final response."""
        self.task: asyncio.Task[None] | None = None
        session.owner = self

    @property
    def talking(self) -> bool:
        """It may send requests of the call."""
        return self.session.state is SessionState.CONFIRMED

    def saw(self, kind: type[SessionEvent]) -> bool:
        """Whether there was such an event."""
        return any(isinstance(event, kind) for event in self.events)

    def do(self, command: Callable[[float], None]) -> None:
        """A command to the session, if it is not over."""
        if self.session.state is not SessionState.ENDED:
            self.phone.do(command)

    def hear(self, event: SessionEvent) -> None:
        """Take an event of the session."""
        self.events.append(event)
        match event:
            case Answered(_, response) if response.body:
                self.direction = turned(direction_of(response.body))
            case ReofferReceived():
                self.phone.spawn(self._answer_reoffer(event))
            case ReofferCompleted(_, response):
                if response is not None and response.status < 300 and self.reoffering != "no offer":
                    self.direction = turned(direction_of(response.body))
                self.reoffering = ""
            case RequestCompleted(_, "UPDATE", response) if self.reoffering == "UPDATE":
                if response is not None and response.body:
                    self.direction = turned(direction_of(response.body))
                self.reoffering = ""
            case RequestReceived(_, transaction, _):
                self.session.respond(self.phone.now, transaction, 200)
        if isinstance(event, FINAL):
            self.decided.set()
        if isinstance(event, TERMINAL):
            self.leave()

    def leave(self) -> None:
        """The session is over."""
        self.ended_at = self.phone.now
        self.decided.set()
        self.over.set()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def hang_up(self) -> None:
        """BYE, if there is something to end by it."""
        if self.talking:
            self.do(self.session.bye)

    def change(self, what: str) -> None:
        """Do something in the middle of the call; not while an earlier re-INVITE is open."""
        session, phone = self.session, self.phone
        if not self.talking or self.reoffering:
            return
        self.reoffering = what if what in REOFFERS else ""
        match what:
            case "hold" | "resume":
                self.wanted = self.source.choice(HOLD) if what == "hold" else Direction.SENDRECV
                self.do(lambda now: session.reoffer(now, offer(phone.host, direction=self.wanted)))
            case "no offer":
                self.stubborn = True  # our stack has no answer for the ACK, so what it is offered is void
                self.do(lambda now: session.reoffer(now, b""))
            case "codec":
                self.do(lambda now: session.reoffer(now, offer(phone.host, payload="9 101")))
            case "UPDATE":
                body = offer(phone.host, direction=self.direction)
                self.do(lambda now: session.request(now, "UPDATE", body=body, content_type="application/sdp"))
            case "empty UPDATE":
                self.do(lambda now: session.request(now, "UPDATE"))
            case "INFO":
                relay = "application/dtmf-relay"
                body = b"Signal=5\r\nDuration=160\r\n"
                self.do(lambda now: session.request(now, "INFO", body=body, content_type=relay))
            case "OPTIONS":
                self.do(lambda now: session.request(now, "OPTIONS"))

    async def _answer_reoffer(self, event: ReofferReceived) -> None:
        """At once, later, or not as hoped: phones differ."""
        await asyncio.sleep(self.source.choice([0.0, 0.0, 0.0, self.source.uniform(0, 1.5)]))
        if event.transaction.request is None:
            return  # answered by the stack meanwhile: cancelled, or the call is over
        if self.reoffering == "UPDATE":
            # Two offers at once. Of re-INVITEs the stack knows.
            self.do(lambda now: self.session.refuse(now, event.transaction, 491))
            return
        mood = self.source.random()
        if mood < 0.03:
            self.stubborn = True
            return  # and never says anything
        if mood < 0.2:
            status = self.source.choice([488, 488, 500, 491])
            self.stubborn = self.stubborn or status != 491
            self.do(lambda now: self.session.refuse(now, event.transaction, status))
            return
        direction = common(turned(direction_of(event.request.body)), self.wanted)
        body = offer(self.phone.host, direction=direction)
        if self.talking:
            self.direction = direction
        self.do(lambda now: self.session.answer_reoffer(now, event.transaction, body))


class RandomPhone(Phone):
    """A phone in many calls at once; `calls` knows which INVITE belongs to which plan."""

    def __init__(self, world: World, host: str, calls: dict[str, RandomCall]) -> None:
        super().__init__(world, host)
        self._calls = calls

    def _on_event(self, event: Event) -> None:
        assert not isinstance(event, InviteReceived) or event.session.owner is None
        if isinstance(event, InviteReceived):
            call = self._calls[event.request.headers.get(NUMBER) or ""]
            party = Party(self, event.session, call.plan.of(f"{self.host}{len(call.parties)}"))
            call.parties.append(party)
            party.task = self.spawn(call.receive(party))
        else:
            event.session.owner.hear(event)  # type: ignore[union-attr]

    def spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run it until it ends or the phone is closed."""
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task


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

    def _running(self) -> list:  # type: ignore[type-arg]
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
            self._reject(party, 480)
            return
        session.use(plan.desk_extensions)
        if phone.host == GUARDED and self._challenge(party):
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

    def _challenge(self, party: Party) -> bool:
        """407 to what has no credentials, and sometimes to what has."""
        known = party.session.invite.headers.get("Proxy-Authorization") is not None
        if known and party.source.random() < 0.8:
            return False
        stale = ", stale=true" if party.source.random() < 0.5 else ""
        nonce = party.source.getrandbits(64)
        value = f'Digest realm="cc", nonce="{nonce:x}", algorithm=MD5, qop="auth"{stale}'
        self._reject(party, 407, ("Proxy-Authenticate", value))
        return True

    def _answer(self, party: Party) -> None:
        plan, session = self.plan, party.session
        if plan.answer == "refuse" or party.phone.host == BUSY:
            self._reject(party, plan.refusal)
        elif plan.answer == "useless":
            self._accept(party, offer(party.phone.host, payload="9 101"))
        elif plan.answer == "answer":
            offered = direction_of(session.invite.body)
            party.direction = turned(offered)
            self._accept(party, offer(party.phone.host, direction=party.direction))

    def _accept(self, party: Party, body: bytes) -> None:
        party.answered = True
        party.do(lambda now: party.session.answer(now, body=body))  # type: ignore[union-attr]

    def _reject(self, party: Party, status: int, *headers: tuple[str, str]) -> None:
        party.rejected = True
        party.do(lambda now: party.session.reject(now, status, headers=headers))  # type: ignore[union-attr]
        party.leave()
