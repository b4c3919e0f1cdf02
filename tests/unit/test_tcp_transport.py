"""SIP over TCP on real loopback sockets: framing, calls, and which connection is used for what."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from sip_stack.aio.connections import ConnectionCounters, ConnectionLimits
from sip_stack.aio.network import Listen
from sip_stack.events import (
    Acknowledged,
    Answered,
    Ended,
    Event,
    Failed,
    InviteReceived,
    OutOfDialogCompleted,
    Progress,
)
from sip_stack.message import NameAddr
from sip_stack.transport import Target
from tests.support.tcp_stack import (
    NOWHERE,
    SDP,
    Listening,
    come_true,
    deaf_listener,
    options,
    party,
    request_text,
    response_text,
    run,
    settled,
    wire,
)

# Messages on a connection


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_requests_are_answered_on_their_connection(host: str) -> None:
    async def main() -> None:
        async with party(Listen("tcp", host, 0)) as us, wire(us.port(), host) as peer:
            peer.send(options("a") + options("b") + options("c")[:50])
            assert [(await peer.response(200)).call_id for _ in "ab"] == ["a", "b"]
            peer.send(options("c")[50:])
            answer = await peer.response(200)
            assert answer.call_id == "c"
            assert answer.contact is not None
            at = f"[{host}]" if ":" in host else host
            assert answer.contact.uri == f"sip:{at}:{us.port()};transport=tcp"
            counters = us.stack.connection_counters
            assert (counters.accepted, counters.connected) == (1, 0)

    run(main())


def test_octet_by_octet() -> None:
    async def main() -> None:
        async with party() as us, wire(us.port()) as peer:
            for octet in options("slow"):
                peer.send(bytes([octet]))
                await asyncio.sleep(0)
            assert (await peer.response(200)).call_id == "slow"

    run(main())


def test_a_ping_is_answered_by_one_line_break() -> None:
    async def main() -> None:
        async with party() as us, wire(us.port()) as peer:
            peer.send(b"\r\n\r\n")
            assert await peer.octets(2) == b"\r\n"
            peer.send(b"\r\n" + options("after"))
            await peer.response(200)
            assert us.stack.connection_counters.pings == 1

    run(main())


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("", 400),
        ("Content-Length: -1\r\n", 400),
        ("l: 1\r\nl: 2\r\n", 400),
        ("Content-Length: 70000\r\n", 513),
    ],
)
def test_a_message_without_an_end_is_answered_and_the_connection_closed(length: str, status: int) -> None:
    async def main() -> None:
        async with party() as us, wire(us.port()) as peer:
            bad = options("bad").replace(b"Content-Length: 0\r\n", length.encode())
            peer.send(options("good") + bad + b"anything behind it")
            assert (await peer.response(200)).call_id == "good"
            assert (await peer.response(status)).call_id == "bad"
            assert await peer.end() == b""
            assert us.stack.connection_counters.ended == {"framing": 1}
            async with wire(us.port()) as other:
                other.send(options("next"))
                await other.response(200)

    run(main())


def test_octets_that_are_no_sip_close_the_connection_and_nothing_else() -> None:
    async def main() -> None:
        async with party() as us, wire(us.port()) as stranger, wire(us.port()) as peer:
            stranger.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await stranger.end() == b"", "nothing in it to answer to"
            peer.send(options("a"))
            await peer.response(200)

    run(main())


# Calls


def test_a_call_over_one_connection_without_a_repetition() -> None:
    async def main() -> None:
        async with party() as alice, party() as bob:

            def on_bob(event: Event) -> None:
                if isinstance(event, InviteReceived):
                    event.session.progress(bob.now, 180)
                    event.session.answer(bob.now, body=SDP)

            bob.on_event = on_bob
            call = alice.call("127.0.0.1", bob.port())
            await alice.until(Answered)
            await bob.until(Acknowledged)
            alice.do(call.bye)
            await alice.until(Ended)
            await bob.until(Ended)
            assert alice.stack.connection_counters.connected == 1
            assert bob.stack.connection_counters.accepted == 1
            for side in (alice, bob):
                counters = side.stack.endpoint.counters
                assert (
                    counters.retransmissions_sent == counters.retransmissions_received == counters.strays == 0
                )
                await settled()
                # Timers I, J and K are zero over TCP: only the INVITE that was accepted lingers (RFC 6026).
                assert side.stack.endpoint.transaction_count == 1

    run(main())


def test_the_called_side_hangs_up_on_the_connection_it_was_called_on() -> None:
    """Pitfall 60: nobody listens at the Contact, as behind a firewall."""

    async def main() -> None:
        async with party() as us, wire(us.port()) as peer:
            peer.send(request_text("INVITE", port=NOWHERE, branch="i", body=SDP))
            session = (await us.until(InviteReceived)).session
            us.do(lambda now: session.answer(now, body=SDP))
            await peer.response(100)
            tag = (await peer.response(200)).to.tag
            peer.send(request_text("ACK", port=NOWHERE, branch="a", to_tag=tag))
            await us.until(Acknowledged)
            us.do(session.bye)
            bye = await peer.request("BYE")
            assert bye.uri == f"sip:them@127.0.0.1:{NOWHERE};transport=tcp"
            peer.send(response_text(bye, 200))
            assert (await us.until(Ended)).message is not None
            assert us.stack.connection_counters.connect_failures == 0

    run(main())


def test_when_the_connection_is_gone_requests_go_to_the_contact() -> None:
    async def main() -> None:
        with Listening() as contact:
            async with party() as us:
                async with wire(us.port()) as peer:
                    peer.send(request_text("INVITE", port=contact.port, branch="i", body=SDP))
                    session = (await us.until(InviteReceived)).session
                    us.do(lambda now: session.answer(now, body=SDP))
                    await peer.response(100)
                    tag = (await peer.response(200)).to.tag
                    peer.send(request_text("ACK", port=contact.port, branch="a", to_tag=tag))
                    await us.until(Acknowledged)
                await come_true(lambda: us.stack.connection_counters.ended)
                us.do(session.bye)
                again = await contact.accept()
                bye = await again.request("BYE")
                again.send(response_text(bye, 200))
                assert (await us.until(Ended)).message is not None
                await again.close()

    run(main())


def test_when_the_connection_is_gone_responses_go_to_the_via() -> None:
    """RFC 3261 section 18.2.2: to the address it came from, at the port that the Via names."""

    async def main() -> None:
        with Listening() as via:
            async with party() as us:
                async with wire(us.port()) as peer:
                    peer.send(request_text("INVITE", port=via.port, branch="i", body=SDP))
                    session = (await us.until(InviteReceived)).session
                    await peer.response(100)
                await come_true(lambda: us.stack.connection_counters.ended)
                us.do(lambda now: session.progress(now, 180))
                again = await via.accept()
                await again.response(180)
                us.do(lambda now: session.reject(now, 486))
                await again.response(486)
                assert us.stack.connection_counters.connected == 1, "one connection for both"
                await again.close()

    run(main())


def test_a_lost_connection_fails_what_has_no_response_and_spares_what_rings() -> None:
    async def main() -> None:
        with Listening() as far:
            async with party() as us:
                ringing = us.call("127.0.0.1", far.port)
                peer = await far.accept()
                peer.send(response_text(await peer.request("INVITE"), 180))
                await us.until(Progress)
                us.call("127.0.0.1", far.port)
                await peer.request("INVITE")
                await peer.close()
                failed = await us.until(Failed)
                assert failed.reason == "transport"
                assert failed.session is not ringing
                us.do(ringing.cancel)
                again = await far.accept()
                await again.request("CANCEL")
                await again.close()

    run(main())


# Connections of ours


def test_what_is_sent_before_the_connection_is_there_waits_for_it() -> None:
    async def main() -> None:
        with Listening() as far:
            async with party() as us:
                for _ in range(3):
                    us.call("127.0.0.1", far.port)
                peer = await far.accept()
                via = [(await peer.request("INVITE")).via for _ in range(3)]
                assert {(each.transport, each.port) for each in via} == {("TCP", us.port())}
                assert us.stack.connection_counters.connected == 1
                await peer.close()

    run(main())


def test_a_refused_connection_fails_its_requests_at_once() -> None:
    async def main() -> None:
        async with party() as us:
            us.call("127.0.0.1", NOWHERE)
            us.call("127.0.0.1", NOWHERE)
            assert [(await us.until(Failed, number)).reason for number in (1, 2)] == ["transport"] * 2
            assert us.stack.connection_counters.connect_failures == 1

    run(main())


def test_a_connection_that_is_not_made_in_time_fails_its_requests() -> None:
    async def main() -> None:
        limits = ConnectionLimits(connect_timeout=0.05)
        with deaf_listener() as port:
            async with party(limits=limits) as us:
                us.call("127.0.0.1", port)
                assert (await us.until(Failed)).reason == "transport"
                assert us.stack.connection_counters.connect_failures == 1

    run(main())


def _has_closed(counters: ConnectionCounters, number: int) -> bool:
    return counters.ended["closed"] >= number


def test_a_connection_of_ours_is_made_again_when_needed() -> None:
    async def main() -> None:
        with Listening() as far:
            async with party() as us:
                flow = us.stack.flow_to(Target("tcp", "127.0.0.1", far.port))
                address = NameAddr.parse("<sip:x@127.0.0.1>")
                for number in (1, 2):
                    us.stack.endpoint.request(
                        us.now, flow=flow, method="OPTIONS", uri="sip:127.0.0.1", from_=address, to=address
                    )
                    us.stack.flush()
                    peer = await far.accept()
                    peer.send(response_text(await peer.request("OPTIONS"), 200))
                    assert (await us.until(OutOfDialogCompleted, number)).response is not None
                    await peer.close()
                    await come_true(partial(_has_closed, us.stack.connection_counters, number))

    run(main())


def test_connections_of_ours_come_from_the_address_we_listen_on() -> None:
    async def main() -> None:
        with Listening() as far:
            async with party(Listen("tcp", "127.0.0.3", 0)) as us:
                us.call("127.0.0.1", far.port)
                peer = await far.accept()
                assert peer.writer.get_extra_info("peername")[0] == "127.0.0.3"
                assert (await peer.request("INVITE")).via.host == "127.0.0.3"
                await peer.close()

    run(main())
