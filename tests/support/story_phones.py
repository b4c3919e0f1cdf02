"""The phones of random stories: each INVITE and each REFER meets a mood, drawn from the seed."""

from __future__ import annotations

import asyncio
import random

from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.dialog.refer import SIPFRAG, sipfrag, subscription_state
from sip_stack.errors import RemoteError
from sip_stack.events import Acknowledged, Answered, InviteReceived, RequestReceived, SessionEvent
from sip_stack.sdp import turned
from tests.support.b2bua_world import BILLING, DESK, World, direction_of, offer
from tests.support.forking_proxy import LEFT, RIGHT
from tests.support.handoff_cast import ASSISTANT
from tests.support.random_party import Party, PartyPhone
from tests.support.random_plan import EXTENSIONS
from tests.support.story_plan import BUSY, MOVED

MOODS = (*["answer"] * 10, *["refuse"] * 2, "ring", "ignore", "useless", "answer and leave")
FORKED = (LEFT, RIGHT)
OF_ASSISTANT = (*["answer"] * 12, "refuse", "answer and leave")
REFUSALS = (400, 403, 404, 408, 480, 486, 488, 500, 503, 600, 603)
REFER_MOODS = (*["done"] * 4, "done and bye", "bye", "refused", "failed", "nothing", "silence", "late")


class StoryParty(Party):
    """A phone in one call, which may be told by REFER where to go."""

    left = False
    """Its user hung up."""
    answered_at = float("-inf")
    """When the call came to be up, for this phone."""

    def hear(self, event: SessionEvent) -> None:
        """Take an event of the session."""
        if isinstance(event, Answered | Acknowledged):
            self.answered_at = self.phone.now
        if isinstance(event, RequestReceived) and event.request.method == "REFER":
            self.events.append(event)
            self.phone.spawn(self._follow(event))
            return
        super().hear(event)

    def hang_up(self) -> None:
        """BYE, if there is something to end by it; a refusal or CANCEL before."""
        session = self.session
        self.left = True
        if self.talking:
            self.do(session.bye)
        elif isinstance(session, ClientSession):
            self.do(session.cancel)
        elif session.state is SessionState.EARLY:
            self.reject(486)

    async def _follow(self, event: RequestReceived) -> None:
        """A REFER is taken or not, and what comes of it is told or not."""
        mood = self.source.choice(REFER_MOODS)
        if mood == "silence":
            await asyncio.sleep(64 * 0.5)  # Whoever asked has given up by then.
        status = self.source.choice([405, 481, 501, 603]) if mood == "refused" else 202
        self.left = self.left or status == 481  # There is no such call here, it says.
        # The call may be over, the request is still to be answered.
        self.phone.do(lambda now: self.session.respond(now, event.transaction, status))
        if mood in ("refused", "nothing"):
            return
        await asyncio.sleep(self.source.uniform(0, 9 if mood == "late" else 3))
        if mood != "bye":
            self._notify(180, active=True)
            await asyncio.sleep(self.source.choice([0.0, self.source.uniform(0, 2)]))
            self._notify(self.source.choice([404, 486, 603]) if mood == "failed" else 200, active=False)
        if mood in ("bye", "done and bye"):
            await asyncio.sleep(self.source.choice([0.0, self.source.uniform(0, 3)]))
            self.hang_up()

    def _notify(self, status: int, *, active: bool) -> None:
        if self.talking:
            headers = [("Event", "refer"), ("Subscription-State", subscription_state(active))]
            body = sipfrag(status)
            self.do(
                lambda now: self.session.request(
                    now, "NOTIFY", headers=headers, body=body, content_type=SIPFRAG
                )
            )


class StoryPhone(PartyPhone):
    """A phone in any number of calls. `parties` are all it ever was in."""

    def __init__(self, world: World, host: str, seed: int) -> None:
        super().__init__(world, host)
        self._seed = seed
        self.parties: list[StoryParty] = []

    def join(self, session: ClientSession | ServerSession) -> StoryParty:
        """Be in one more call."""
        party = StoryParty(self, session, random.Random(f"{self._seed}/{self.host}/{len(self.parties)}"))
        self.parties.append(party)
        return party

    def accept_call(self, event: InviteReceived) -> None:
        """Somebody calls."""
        party = self.join(event.session)
        party.task = self.spawn(self._receive(party))

    def talking(self) -> list[StoryParty]:
        """The calls that are up here."""
        return [party for party in self.parties if party.talking]

    async def _receive(self, party: StoryParty) -> None:
        source, session = party.source, party.session
        assert isinstance(session, ServerSession)
        if self._turns_away(party):
            return
        mood = (
            "refuse"
            if self.host == BUSY
            else source.choice(OF_ASSISTANT if self.host == ASSISTANT else MOODS)
        )
        if mood == "ignore" and self.host not in FORKED:
            return
        if source.random() < 0.8:
            party.do(lambda now: session.progress(now, 180))
        patience = source.choice([0.0, 0.05, source.uniform(0, 3), source.uniform(5.9, 6.1)])
        if self.host == ASSISTANT:
            patience = source.choice([0.0, 0.0, 0.5])
        if source.random() < 0.3:
            await asyncio.sleep(patience / 2)
            party.do(lambda now: session.progress(now, 183, body=offer(self.host)))
        await asyncio.sleep(patience)
        if self.host in FORKED and mood in ("ring", "ignore"):
            await asyncio.sleep(8)  # The proxy does not CANCEL those who are too late.
            mood = "refuse"
        if mood == "refuse":
            party.reject(source.choice(REFUSALS))
        elif mood == "useless":
            party.accept(offer(self.host, payload="9 101"))
        elif mood != "ring":
            body = session.invite.body
            party.direction = turned(direction_of(body)) if body else party.direction
            party.accept(offer(self.host, direction=party.direction))
            if mood == "answer and leave":
                await asyncio.sleep(source.choice([0.0, 0.02, source.uniform(0, 2)]))
                party.hang_up()

    def _turns_away(self, party: StoryParty) -> bool:
        """Whether the INVITE requires what the phone has not, is sent elsewhere, or has to come again."""
        assert isinstance(party.session, ServerSession)
        try:
            party.session.use(party.source.choice(EXTENSIONS))
        except RemoteError as error:
            party.reject(error.status_hint, *error.headers)
            return True
        if self.host == MOVED:
            party.reject(302, ("Contact", f"<sip:operator@{DESK}>"))
            return True
        return self.host == BILLING and party.challenge()
