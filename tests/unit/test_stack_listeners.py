"""A stack with several listeners: which one is used, what it calls itself, UDP beside TCP, IPv4 beside IPv6."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.errors import TransportError
from sip_stack.events import Acknowledged, Answered, Ended, Event, InviteReceived
from sip_stack.message import SipUri
from sip_stack.transport import Target
from tests.support.ports import free_port
from tests.support.tcp_stack import SDP, Party, party, run

LARGE = SDP + b"a=x\r\n" * 2000
"""More than a datagram on the usual path takes, and than one read of a small buffer."""


def answering(bob: Party) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, InviteReceived):
            event.session.answer(bob.now, body=SDP)

    bob.on_event = on_event


async def call_and_hang_up(alice: Party, bob: Party, host: str, transport: str, body: bytes = SDP) -> None:
    """Alice calls, Bob answers and hangs up."""
    answering(bob)
    alice.call(host, bob.port(transport), transport=transport, body=body)
    await alice.until(Answered)
    session = (await bob.until(Acknowledged)).session
    bob.do(session.bye)
    await bob.until(Ended)
    await alice.until(Ended)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_call_on_each_transport_and_family(host: str, transport: str) -> None:
    async def main() -> None:
        async with party(Listen(transport, host, 0)) as alice, party(Listen(transport, host, 0)) as bob:
            await call_and_hang_up(alice, bob, host, transport)
            contact = (await bob.until(InviteReceived)).request.contact
            assert contact is not None
            uri = contact.parsed_uri
            assert isinstance(uri, SipUri)
            assert (uri.host.strip("[]"), uri.port) == (host, alice.port(transport))

    run(main())


def test_the_wildcard_of_one_family_leaves_the_other_alone() -> None:
    async def main() -> None:
        port = free_port()
        every = [Listen(each, host, port) for each in ("udp", "tcp") for host in ("0.0.0.0", "::")]
        async with party(*every) as us:
            for host in ("127.0.0.1", "::1"):
                for transport in ("udp", "tcp"):
                    async with party(Listen(transport, host, 0)) as peer:
                        answering(us)
                        peer.call(host, port, transport=transport)
                        ok = (await peer.until(Answered)).response
                        assert ok.contact is not None
                        assert isinstance(uri := ok.contact.parsed_uri, SipUri)
                        assert uri.host.strip("[]") == host, "what faces the peer is advertised"

    run(main())


def test_the_listener_is_chosen_by_transport_family_and_reach() -> None:
    async def main() -> None:
        async with party(
            Listen("udp", "127.0.0.1", 0),
            Listen("udp", "0.0.0.0", 0),
            Listen("tcp", "::1", 0),
            Listen("tcp", "127.0.0.2", 0),
            Listen("tcp", "127.0.0.1", 0),
        ) as us:

            def local(transport: str, host: str) -> str:
                return us.stack.flow_to(Target(transport, host, 9)).local[0]

            assert local("udp", "127.0.0.1") == "127.0.0.1", "bound to an address before the wildcard"
            assert local("udp", "192.0.2.1") == "0.0.0.0", "loopback does not reach the world"
            assert local("tcp", "::1") == "::1"
            assert local("tcp", "127.0.0.1") == "127.0.0.1", "the address that the kernel would send from"
            for transport, host in (("udp", "::1"), ("tcp", "192.0.2.1"), ("tls", "127.0.0.1")):
                with pytest.raises(TransportError, match=f"no {transport} listener reaches {host}"):
                    us.stack.flow_to(Target(transport, host, 9))

    run(main())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_stays_on_the_listener_it_came_to(transport: str) -> None:
    """Its Contact is somewhere else on the peer: another flow, from the same listener."""

    async def main() -> None:
        listens = [Listen(transport, f"127.0.0.{number}", 0) for number in (1, 2, 3)]
        async with party(*listens) as us:
            for where in us.bound:
                like = next(
                    item.flow_to(Target(transport, "127.0.0.9", 7))
                    for item in us.stack._transports.values()
                    if item.local[0] == where.host
                )
                flow = us.stack._flow_for(Target(transport, "127.0.0.9", 5061), like)
                assert flow.local == (where.host, where.port)

    run(main())


# What we call ourselves


def test_advertised_addresses_are_asked_for_again_after_a_reload() -> None:
    async def main() -> None:
        told = {"127.0.0.1": "203.0.113.10"}
        stack = SipStack(advertise=AdvertisedAddresses(told.get))
        bound = await stack.start([Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0)])
        try:
            targets = [Target(transport, "127.0.0.1", 9) for transport in ("udp", "tcp")]
            ports = [where.port for where in bound]
            before = [stack.flow_to(target) for target in targets]
            assert [flow.advertised for flow in before] == [("203.0.113.10", port) for port in ports]
            told["127.0.0.1"] = "198.51.100.7"
            assert [stack.flow_to(target) for target in targets] == before, "flows are kept"
            stack.forget_flows()
            after = [stack.flow_to(target).advertised for target in targets]
            assert after == [("198.51.100.7", port) for port in ports]
            del told["127.0.0.1"]
            stack.forget_flows()
            assert stack.flow_to(targets[0]).advertised[0] == "127.0.0.1"
        finally:
            await stack.close()

    run(main())


# Large requests


@pytest.mark.parametrize("bob_has_tcp", [True, False])
def test_a_large_call_arrives_by_tcp_or_in_fragments(bob_has_tcp: bool) -> None:
    async def main() -> None:
        port = free_port()
        async with AsyncExitStack() as parties:
            alice = await parties.enter_async_context(
                party(Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0))
            )
            listens = [Listen("udp", "127.0.0.1", port)]
            if bob_has_tcp:
                listens.append(Listen("tcp", "127.0.0.1", port))
            bob = await parties.enter_async_context(party(*listens))
            await call_and_hang_up(alice, bob, "127.0.0.1", "udp", LARGE)
            received = (await bob.until(InviteReceived)).request
            assert received.body == LARGE
            assert received.via.transport == ("TCP" if bob_has_tcp else "UDP")
            counters = alice.stack.endpoint.counters
            assert counters.large_by_stream == 1
            assert counters.large_datagrams == (0 if bob_has_tcp else 1)
            assert alice.stack.connection_counters.connected == (1 if bob_has_tcp else 0)
            connections = bob.stack.connection_counters
            assert connections.accepted == (1 if bob_has_tcp else 0)

    run(main())
