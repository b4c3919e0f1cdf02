"""What stories share by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_network import FakeNetwork
from tests.support.taken_over import clock_of_the_loop
from tests.support.two_endpoints import World


@pytest.fixture
def world() -> Iterator[World]:
    """Alice and Bob; when their story is over nothing of it may be left."""
    network = FakeNetwork()
    world = World(network, network.peer("10.0.0.1"), network.peer("10.0.0.2"))
    yield world
    for session in list(world.alice.endpoint._core.sessions.values()):
        session.bye(network.now)
    world.network.run_out()
    for peer in (world.alice, world.bob):
        assert peer.endpoint.transaction_count == 0
        assert peer.endpoint.session_count == 0
        assert peer.endpoint.next_timer() is None


@pytest.fixture
def clock_of_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock goes as fast as the loop's: for calls that outlive their process."""
    clock_of_the_loop(monkeypatch)
