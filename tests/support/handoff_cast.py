"""The cast of a handoff story: a caller, the assistant it talks to, and what the test does to them."""

from __future__ import annotations

from b2bua.handoff.handoff import Handoff
from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Answered
from sip_stack.message import Request
from tests.support.b2bua_world import CONFIGURATION, SBC, Phone, World, offer
from tests.support.media_leg_double import LegDouble

ASSISTANT = "198.51.100.9"
MAIN = CONFIGURATION.replace(
    "routes:\n", f'routes:\n  - {{trunk: acme-sbc, to: support, assistant: "sip:bot@{ASSISTANT}"}}\n'
)
"""The usual configuration, and an assistant for whoever dials `support`."""


def with_route(extra: str) -> str:
    """`MAIN` with more keys on the assistant's route."""
    return MAIN.replace(f'assistant: "sip:bot@{ASSISTANT}"', f'assistant: "sip:bot@{ASSISTANT}", {extra}')


async def answer_at_once(phone: Phone, session: ServerSession, request: Request) -> None:
    """180 and 200."""
    phone.do(lambda now: session.progress(now, 180))
    phone.do(lambda now: session.answer(now, body=offer(phone.host)))


class Cast:
    """A caller who talks to the assistant."""

    def __init__(self, world: World, sbc: Phone, bot: Phone, session: ClientSession) -> None:
        self.world, self.sbc, self.bot, self.session = world, sbc, bot, session
        self.call = world.media.calls[-1]
        self.caller, self.assistant = self.call.leg("caller"), self.call.leg("assistant")

    def agent(self) -> LegDouble:
        """The human's media leg."""
        return self.call.leg("agent")

    async def until_awaited(self) -> None:
        """Until the human has answered and the caller waits for their first audio."""
        await self.world.until(lambda: self.caller.awaits is not None)

    async def until_over(self, handoff: Handoff) -> None:
        """Until it is known what became of it."""
        await self.world.until(lambda: handoff.state.final or handoff.is_connected)

    def hang_up(self) -> None:
        """The caller leaves."""
        self.sbc.do(self.session.bye)


async def talking(world: World) -> Cast:
    """The caller is connected to the assistant."""
    bot = await world.phone(ASSISTANT, answer_at_once)
    sbc = await world.phone(SBC)
    session = sbc.call("support")
    await sbc.until(Answered)
    cast = Cast(world, sbc, bot, session)
    assert cast.caller.peer is cast.assistant
    return cast


def summary(handoff: Handoff) -> tuple[str, str, int]:
    """State, cause and code of a handoff that is over."""
    assert handoff.outcome is not None
    return str(handoff.state), handoff.outcome.name, handoff.outcome.code
