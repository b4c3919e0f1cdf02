"""Domains that say by NAPTR and SRV where their SIP servers are (RFC 3263), against a DNS server of our own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.aio import resolver as resolver_module
from sip_stack.aio.resolver import Resolver
from sip_stack.transport import Target
from tests.support.fake_dns import FakeDns
from tests.unit.test_resolver import Story, failure, pass_time

DOMAIN = "cc.example.test"


def run(story: Story, *, lifetime: float = 5.0, transports: tuple[str, ...] = ("udp", "tcp")) -> None:
    """Tell a story with a DNS server and a resolver for IPv4 that asks it; the first of equals is always drawn."""

    async def scene() -> None:
        async with FakeDns() as server:
            resolver = Resolver(
                families=(4,),
                transports=transports,
                nameservers=[server.address],
                lifetime=lifetime,
                hosts=Path("no file"),
                draw=lambda: 0.0,
            )
            try:
                await story(server, resolver)
            finally:
                await resolver.close()

    asyncio.run(scene())


def two_servers(server: FakeDns, service: str = f"_sip._udp.{DOMAIN}") -> None:
    """A main server with two addresses and a spare one at another port."""
    server.records[service, "SRV"] = [f"20 0 5080 spare.{DOMAIN}.", f"10 0 5060 main.{DOMAIN}."]
    server.records[f"main.{DOMAIN}", "A"] = ["192.0.2.1", "192.0.2.2"]
    server.records[f"spare.{DOMAIN}", "A"] = ["192.0.2.9"]


def test_srv_records_give_servers_and_ports_in_their_order() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        found = await resolver.resolve(f"sip:q@{DOMAIN}")
        assert sorted(found[:2], key=lambda target: target.host) == [
            Target("udp", "192.0.2.1", 5060, DOMAIN),
            Target("udp", "192.0.2.2", 5060, DOMAIN),
        ]
        assert found[2:] == [Target("udp", "192.0.2.9", 5080, DOMAIN)]

    run(story)


def test_naptr_decides_the_transport_and_where_the_srv_records_are() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[DOMAIN, "NAPTR"] = [
            '20 10 "s" "SIP+D2U" "" _sip._udp.elsewhere.test.',
            '10 10 "s" "SIP+D2T" "" _sip._tcp.elsewhere.test.',
        ]
        two_servers(server)  # the usual name, which is not the one to ask for
        server.records["_sip._tcp.elsewhere.test", "SRV"] = ["1 1 5070 tcp.elsewhere.test."]
        server.records["_sip._udp.elsewhere.test", "SRV"] = ["1 1 5070 udp.elsewhere.test."]
        server.records["tcp.elsewhere.test", "A"] = ["192.0.2.20"]
        server.records["udp.elsewhere.test", "A"] = ["192.0.2.30"]
        assert await resolver.resolve(f"sip:q@{DOMAIN}") == [
            Target("tcp", "192.0.2.20", 5070, DOMAIN),
            Target("udp", "192.0.2.30", 5070, DOMAIN),
        ]

    run(story)


def test_a_transport_in_the_uri_asks_for_its_srv_records_alone() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server, f"_sip._tcp.{DOMAIN}")
        found = await resolver.resolve(f"sip:q@{DOMAIN};transport=tcp")
        assert {target.transport for target in found} == {"tcp"}
        assert len(found) == 3
        assert (DOMAIN, "NAPTR") not in server.questions
        assert (f"_sip._udp.{DOMAIN}", "SRV") not in server.questions

    run(story)


def test_a_sips_uri_is_taken_to_tls_servers_and_what_is_verified_is_its_domain() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        server.records[f"_sips._tcp.{DOMAIN}", "SRV"] = [f"1 1 5061 main.{DOMAIN}."]
        found = await resolver.resolve(f"sips:q@{DOMAIN}")
        assert {(each.transport, each.port, each.name) for each in found} == {("tls", 5061, DOMAIN)}

    run(story, transports=("udp", "tcp", "tls"))


@pytest.mark.parametrize("has_tls_servers", [True, False])
def test_who_wants_tls_is_never_led_out_of_it_by_the_dns(has_tls_servers: bool) -> None:
    """Neither by NAPTR and SRV records for UDP, nor by there being none for TLS."""

    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        server.records[DOMAIN, "NAPTR"] = [f'10 10 "s" "SIP+D2U" "" _sip._udp.{DOMAIN}.']
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        if has_tls_servers:
            server.records[f"_sips._tcp.{DOMAIN}", "SRV"] = [f"1 1 5071 spare.{DOMAIN}."]
        found = await resolver.resolve(f"sip:q@{DOMAIN}", tls=True)
        there = ("192.0.2.9", 5071) if has_tls_servers else ("192.0.2.40", 5061)
        assert found == [Target("tls", *there, DOMAIN)]
        for transport in ("udp", "tcp"):
            asking = resolver.resolve(f"sip:q@{DOMAIN};transport={transport}", tls=True)
            assert await failure(asking) == f"the URI asks for {transport}, and only TLS is allowed"

    run(story, transports=("udp", "tcp", "tls"))


def test_a_port_in_the_uri_needs_no_services() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        assert await resolver.resolve(f"sip:q@{DOMAIN}:5060") == [Target("udp", "192.0.2.40", 5060, DOMAIN)]
        assert {kind for _, kind in server.questions} == {"A"}

    run(story)


def test_a_domain_without_services_is_its_addresses() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        assert await resolver.resolve(f"sip:q@{DOMAIN}") == [Target("udp", "192.0.2.40", 5060, DOMAIN)]
        assert await resolver.resolve(f"sip:q@{DOMAIN};transport=tcp") == [
            Target("tcp", "192.0.2.40", 5060, DOMAIN)
        ]

    run(story)


def test_a_server_without_an_address_is_passed_over() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        del server.records[f"main.{DOMAIN}", "A"]
        assert await resolver.resolve(f"sip:q@{DOMAIN}") == [Target("udp", "192.0.2.9", 5080, DOMAIN)]

    run(story)


def test_when_no_server_has_an_address_the_domain_s_own_is_not_tried_instead() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        del server.records[f"main.{DOMAIN}", "A"], server.records[f"spare.{DOMAIN}", "A"]
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        said = await failure(resolver.resolve(f"sip:q@{DOMAIN}"))
        assert said == f"{DOMAIN}: none of its SIP servers has an address"

    run(story)


def test_a_domain_that_declines_sip_is_not_called() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[f"_sip._udp.{DOMAIN}", "SRV"] = ["0 0 0 ."]
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        assert "none of its SIP servers" in await failure(resolver.resolve(f"sip:q@{DOMAIN}"))

    run(story)


@pytest.mark.parametrize("silent", [{"NAPTR", "SRV"}, {"NAPTR"}, {"SRV"}])
def test_name_servers_that_never_answer_srv_do_not_make_a_domain_unreachable(
    monkeypatch: pytest.MonkeyPatch, silent: set[str]
) -> None:
    monkeypatch.setattr(resolver_module, "_SERVICE_DELAY", 0.01)

    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[DOMAIN, "A"] = ["192.0.2.40"]
        server.silent = silent
        assert await resolver.resolve(f"sip:q@{DOMAIN}") == [Target("udp", "192.0.2.40", 5060, DOMAIN)]

    run(story, lifetime=30.0)


def test_services_change_when_their_ttl_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        server.ttl = 60
        before = await resolver.resolve(f"sip:q@{DOMAIN}")
        server.records[f"_sip._udp.{DOMAIN}", "SRV"] = [f"1 1 5099 spare.{DOMAIN}."]
        assert sorted(map(str, await resolver.resolve(f"sip:q@{DOMAIN}"))) == sorted(map(str, before))
        pass_time(monkeypatch, 61.0)
        assert await resolver.resolve(f"sip:q@{DOMAIN}") == [Target("udp", "192.0.2.9", 5099, DOMAIN)]

    run(story)


def test_many_calls_to_one_domain_ask_once() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        two_servers(server)
        await asyncio.gather(*(resolver.resolve(f"sip:q@{DOMAIN}") for _ in range(20)))
        assert len(server.questions) == len(set(server.questions))

    run(story)


def test_a_flood_of_records_is_cut() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[f"_sip._udp.{DOMAIN}", "SRV"] = [f"1 1 {port} main.{DOMAIN}." for port in range(1, 40)]
        server.records[f"main.{DOMAIN}", "A"] = ["192.0.2.1"]
        assert len(await resolver.resolve(f"sip:q@{DOMAIN}")) <= 32

    run(story)
