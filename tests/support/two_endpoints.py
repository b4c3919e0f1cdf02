"""Two endpoints of ours on a network that misbehaves as told, in virtual time: Alice calls, Bob answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.events import (
    InviteReceived,
)
from tests.support.fake_network import FakeNetwork, Peer, Wire

ANSWER = b"v=0\r\ns=answer\r\n"


@dataclass
class World:
    """Alice calls, Bob answers."""

    network: FakeNetwork
    alice: Peer
    bob: Peer
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = self.network.wire

    def ring(self, **options: object) -> tuple[ClientSession, ServerSession]:
        """Alice's INVITE is at Bob's, who lets it ring."""
        calling = self.alice.invite(self.bob, **options)
        while not self.bob.all(InviteReceived):
            self.network.run_for(0.1)
        called = self.bob.all(InviteReceived)[-1].session
        called.progress(self.network.now, 180)
        self.network.run_for(0.1)
        return calling, called

    def talk(self, **options: object) -> tuple[ClientSession, ServerSession]:
        """An established call."""
        calling, called = self.ring(**options)
        called.answer(self.network.now, body=ANSWER)
        self.network.run_for(0.1)
        assert calling.state is called.state is SessionState.CONFIRMED
        return calling, called
