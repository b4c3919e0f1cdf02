"""Whole stacks on asyncio, over the fake network, on a loop whose clock jumps: the ground of the B2BUA's scenarios."""

from __future__ import annotations

import asyncio

import pytest

from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.events import Answered, Ended, Event, Failed, InviteReceived, Progress
from sip_stack.message import NameAddr
from sip_stack.transport import Target
from tests.support.fake_network import FakeAsyncNetwork, Wire
from tests.support.virtual_loop import run_virtual

SIP = Listen("udp", "0.0.0.0", 5060)


async def stack_at(network: FakeAsyncNetwork, host: str) -> SipStack:
    stack = SipStack(network=network.at(host))
    await stack.start([SIP])
    return stack


def call(stack: SipStack, host: str) -> None:
    peer = NameAddr.parse(f"<sip:{host}>")
    flow = stack.flow_to(Target("udp", host, 5060))
    stack.endpoint.invite(stack.now(), flow=flow, uri=peer.uri, from_=peer, to=peer, body=b"v=0\r\n")
    stack.schedule_flush()


def test_a_long_call_takes_no_real_time() -> None:
    async def main() -> float:
        network = FakeAsyncNetwork(Wire(seed=1, loss=0.3))
        alice, bob = await stack_at(network, "10.0.0.1"), await stack_at(network, "10.0.0.2")
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        alice.on_event = inbox.put_nowait

        def answer(event: Event) -> None:
            if isinstance(event, InviteReceived):
                event.session.answer(bob.now(), body=b"v=0\r\n")

        bob.on_event = answer
        loop = asyncio.get_running_loop()
        started = loop.time()
        call(alice, "10.0.0.2")
        while not isinstance(event := await inbox.get(), Answered):
            pass
        await asyncio.sleep(3600)
        event.session.bye(alice.now())
        alice.schedule_flush()
        while not isinstance(await inbox.get(), Ended):
            pass
        await alice.close()
        await bob.close()
        return loop.time() - started

    # The suite's time-out says how much of it was real.
    assert 3600 < run_virtual(main()) < 3640


def test_silence_is_64_t1() -> None:
    async def main() -> None:
        network = FakeAsyncNetwork()
        alice = await stack_at(network, "10.0.0.1")
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        alice.on_event = inbox.put_nowait
        started = asyncio.get_running_loop().time()
        call(alice, "10.0.0.99")
        event = await inbox.get()
        assert isinstance(event, Failed)
        assert event.reason == "timeout"
        assert asyncio.get_running_loop().time() - started == pytest.approx(32.0)
        assert network.titles() == ["INVITE"] * 7
        await alice.close()

    run_virtual(main())


def test_a_closed_stack_does_nothing_more() -> None:
    async def main() -> None:
        network = FakeAsyncNetwork()
        alice = await stack_at(network, "10.0.0.1")
        call(alice, "10.0.0.99")
        await asyncio.sleep(1)
        sent = len(network.titles())
        await alice.close()
        await asyncio.sleep(100)
        assert len(network.titles()) == sent

    run_virtual(main())


def test_flush_inside_an_event_keeps_the_order() -> None:
    """A user that flushes while it is told something hears the rest in order, and once."""

    async def main() -> None:
        network = FakeAsyncNetwork(Wire(delay=0.0))
        alice, bob = await stack_at(network, "10.0.0.1"), await stack_at(network, "10.0.0.2")
        told: list[str] = []

        def on_alice(event: Event) -> None:
            alice.flush()
            told.append(type(event).__name__)
            if isinstance(event, Progress) and event.response.status == 100:
                # Two more events are made here: they come after whatever was waiting already.
                for _ in range(2):
                    alice.endpoint.lost(alice.flow_to(Target("udp", "10.0.0.98", 5060)), alice.now(), "gone")
                alice.flush()
                told.append("end of Progress")

        alice.on_event = on_alice
        call(alice, "10.0.0.98")
        call(alice, "10.0.0.2")
        await asyncio.sleep(1)
        assert told == ["Progress", "end of Progress", "Failed"]
        await alice.close()
        await bob.close()

    run_virtual(main())


def test_a_timer_that_the_loop_calls_early_is_not_missed() -> None:
    """Loops may call up to their clock's resolution too early; the stack must not spin until it is due."""

    async def main() -> None:
        network = FakeAsyncNetwork()
        alice = await stack_at(network, "10.0.0.1")
        call(alice, "10.0.0.99")
        await asyncio.sleep(0)
        due = alice.endpoint.next_timer()
        assert due is not None
        alice._on_timer(due)
        assert network.titles() == ["INVITE", "INVITE"]
        await alice.close()

    run_virtual(main())


def test_a_loop_with_nothing_to_wait_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.virtual_loop.REAL_LIMIT", 0.01)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="wait for ever"):
        run_virtual(main())
