"""One phone in one call, as random tests have it: its session, all it saw, and what its user does meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

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
from tests.support.b2bua_world import Phone, direction_of, offer
from tests.support.random_plan import REOFFERS

FINAL = (Answered, Rejected, Failed, Ended, Cancelled)
TERMINAL = (Rejected, Failed, Ended, Cancelled)
HOLD = (Direction.SENDONLY, Direction.INACTIVE, Direction.RECVONLY)


class Party:
    """One phone in one call: its session, all it saw, and what it believes about the audio."""

    def __init__(
        self, phone: PartyPhone, session: ClientSession | ServerSession, source: random.Random
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

    def accept(self, body: bytes) -> None:
        """200, if there has been no other answer."""
        session = self.session
        if isinstance(session, ServerSession) and session.state is SessionState.EARLY and not self.answered:
            self.answered = True
            self.do(lambda now: session.answer(now, body=body))

    def reject(self, status: int, *headers: tuple[str, str]) -> None:
        """A final refusal, if there has been no other answer."""
        session = self.session
        if isinstance(session, ServerSession) and session.state is SessionState.EARLY and not self.answered:
            self.rejected = True
            self.do(lambda now: session.reject(now, status, headers=headers))
            self.leave()

    def challenge(self) -> bool:
        """407 to what has no credentials, and sometimes to what has; False when it may come in."""
        known = self.session.invite.headers.get("Proxy-Authorization") is not None
        if known and self.source.random() < 0.85:
            return False
        stale = ", stale=true" if self.source.random() < 0.5 else ""
        nonce = self.source.getrandbits(64)
        value = f'Digest realm="cc", nonce="{nonce:x}", algorithm=MD5, qop="auth"{stale}'
        self.reject(407, ("Proxy-Authenticate", value))
        return True

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


class PartyPhone(Phone):
    """A phone in many calls at once, each a `Party`, which owns its session."""

    def accept_call(self, event: InviteReceived) -> None:
        """Somebody calls."""
        raise NotImplementedError

    def _on_event(self, event: Event) -> None:
        assert not isinstance(event, InviteReceived) or event.session.owner is None
        if isinstance(event, InviteReceived):
            self.accept_call(event)
        else:
            event.session.owner.hear(event)  # type: ignore[union-attr]

    def spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run it until it ends or the phone is closed."""
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task
