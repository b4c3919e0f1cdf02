"""The SIP stack on real UDP sockets of this machine: calls, peers that are not there, defects, listeners."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.errors import TransportError
from sip_stack.events import Answered, Ended, Event, InviteReceived, OutOfDialogCompleted
from sip_stack.message import NameAddr, Request, parse_message
from sip_stack.transport import Flow, Target

ANY_PORT = Listen("udp", "127.0.0.1", 0)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


async def started(listens: list[Listen] | None = None) -> tuple[SipStack, Listen]:
    stack = SipStack()
    bound = await stack.start(listens or [ANY_PORT])
    return stack, bound[0]


def invite(stack: SipStack, to: Listen) -> None:
    address = NameAddr.parse(f"<sip:peer@{to.host}:{to.port}>")
    stack.endpoint.invite(
        stack.now(),
        flow=stack.flow_to(Target("udp", to.host, to.port)),
        uri=address.uri,
        from_=address,
        to=address,
        body=b"v=0\r\n",
    )
    stack.schedule_flush()


def test_a_call_over_loopback() -> None:
    async def main() -> None:
        (alice, _), (bob, at) = await started(), await started()
        over = asyncio.Event()
        heard: list[str] = []

        def on_alice(event: Event) -> None:
            heard.append(f"alice {type(event).__name__}")
            if isinstance(event, Answered):
                event.session.bye(alice.now())
            if isinstance(event, Ended):
                over.set()

        def on_bob(event: Event) -> None:
            heard.append(f"bob {type(event).__name__}")
            if isinstance(event, InviteReceived):
                event.session.progress(bob.now(), 180)
                event.session.answer(bob.now(), body=b"v=0\r\n")

        alice.on_event, bob.on_event = on_alice, on_bob
        try:
            invite(alice, at)
            await over.wait()
            assert [line for line in heard if line.startswith("alice")] == [
                "alice Progress", "alice Progress", "alice Answered", "alice Ended",
            ]  # fmt: skip
            assert [line for line in heard if line.startswith("bob")] == [
                "bob InviteReceived", "bob Acknowledged", "bob Ended",
            ]  # fmt: skip
        finally:
            await alice.close()
            await bob.close()

    run(main())


def test_an_unreachable_peer_fails_the_request() -> None:
    async def main() -> None:
        stack, _ = await started()
        told = asyncio.Event()
        events: list[Event] = []

        def on_event(event: Event) -> None:
            events.append(event)
            told.set()

        stack.on_event = on_event
        address = NameAddr.parse("<sip:x@127.0.0.1>")
        flow = stack.flow_to(Target("udp", "127.0.0.1", 9))
        bad = Flow("udp", flow.local, ("::1", 9), flow.advertised)
        try:
            stack.endpoint.request(
                stack.now(), flow=bad, method="OPTIONS", uri="sip:x", from_=address, to=address
            )
            stack.schedule_flush()
            await told.wait()
            (event,) = events
            assert isinstance(event, OutOfDialogCompleted)
            assert event.reason == "transport"
        finally:
            await stack.close()

    run(main())


def test_a_defect_in_the_user_does_not_stop_the_stack(caplog: pytest.LogCaptureFixture) -> None:
    """One call's exception is counted and logged once; the next call is served."""

    async def main() -> None:
        stack, at = await started()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        calls: list[Event] = []

        def on_event(event: Event) -> None:
            calls.append(event)
            raise ZeroDivisionError

        stack.on_event = on_event
        loop = asyncio.get_running_loop()
        try:
            for number in range(3):
                text = (
                    f"INVITE sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number};rport\r\n"
                    f"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: {number}\r\nCSeq: 1 INVITE\r\n"
                    "Contact: <sip:a@127.0.0.1>\r\n\r\n"
                )
                sender.sendto(text.encode(), (at.host, at.port))
                answer = parse_message(await loop.sock_recv(sender, 65535))
                assert not isinstance(answer, Request)
                assert answer.status == 100
            assert len(calls) == 3, "told before the last answer could be read"
            assert stack.internal_errors == 3
            assert len([record for record in caplog.records if "defect" in record.message]) == 1
        finally:
            sender.close()
            await stack.close()

    run(main())


def test_a_failed_start_leaves_nothing_open() -> None:
    async def main() -> None:
        stack, at = await started()
        other = SipStack()
        try:
            with pytest.raises(TransportError):
                await other.start([ANY_PORT, at])
            with pytest.raises(TransportError):
                await other.start([ANY_PORT, Listen("carrier-pigeon", "127.0.0.1", 0)])
            with pytest.raises(TransportError):
                other.flow_to(Target("udp", "127.0.0.1", 5060))
        finally:
            await stack.close()

    run(main())


def test_the_listener_is_chosen_by_what_reaches_the_peer() -> None:
    async def main() -> None:
        stack, _ = await started([Listen("udp", "::1", 0), Listen("udp", "0.0.0.0", 0), ANY_PORT])
        try:
            local = {host: stack.flow_to(Target("udp", host, 9)).local[0] for host in ("127.0.0.1", "::1")}
            assert local == {"127.0.0.1": "127.0.0.1", "::1": "::1"}
            with pytest.raises(TransportError):
                stack.flow_to(Target("tcp", "127.0.0.1", 9))
        finally:
            await stack.close()

    run(main())
