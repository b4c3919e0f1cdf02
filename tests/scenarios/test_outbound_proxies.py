"""Calls that pass proxies on their way: where they are sent, and the Route that they carry."""

from __future__ import annotations

from pathlib import Path

from b2bua.reachability import Pinger, State
from sip_stack.auth.server import DigestServer
from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Rejected
from sip_stack.message import Request
from tests.scenarios.test_registrations import PROVIDER, provider, registered, registering
from tests.support.b2bua_world import BILLING, CONFIGURATION, DESK, SBC, Phone, World, answer, play, refuse

PROXY = "198.51.100.50"
CORE = "sip:core.example.com;lr"

PROXIED = f"""\
front-desk:
  default: true
  method: invite
  encryption: udp/rtp
  route: sip:operator@{DESK}
billing:
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@{BILLING}
  outbound_proxy: sip:{PROXY}
  route_set: [{CORE}]
  auth: {{username: acme, password: s3cret-of-billing}}
"""
ROUTE = [f"<sip:{PROXY};lr>", f"<{CORE}>"]


def route_of(request: Request) -> list[str]:
    return request.headers.get_all("Route")


async def call_billing(world: World) -> Request:
    """An answered call to billing, ended by the caller; the INVITE that the proxy got last."""
    proxy, sbc = world.phones[PROXY], await world.phone(SBC)
    session = sbc.call("billing")
    await sbc.until(Answered)
    sbc.do(session.bye)
    await world.record()
    return proxy.invites()[-1]


def test_the_invite_goes_to_the_proxy_and_names_all_of_them(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(PROXY)
        invite = await call_billing(world)
        assert invite.uri == f"sip:queue-1@{BILLING}"
        assert route_of(invite) == ROUTE

    world = play(story, tmp_path, destinations=PROXIED)
    byes = [
        each.message
        for each in world.network.wire.log
        if each.title == "BYE" and each.destination[0] == PROXY
    ]
    assert [route_of(bye) for bye in byes if isinstance(bye, Request)] == [[]], (
        "a dialog has its own route set"
    )


def test_a_challenge_is_answered_the_same_way(tmp_path: Path) -> None:
    digest = DigestServer("proxy", secret=b"secret", token=lambda: "abc", status=407)

    async def challenge(phone: Phone, session: ServerSession, request: Request) -> None:
        verdict = digest.verify(request, phone.now, lambda name: "s3cret-of-billing")
        if verdict.result == "accepted":
            await answer(phone, session, request)
        else:
            phone.do(lambda now: session.reject(now, 407, headers=digest.challenges(now)))

    async def story(world: World) -> None:
        await world.phone(PROXY, challenge)
        invite = await call_billing(world)
        assert route_of(invite) == ROUTE
        assert "Proxy-Authorization" in invite.headers

    play(story, tmp_path, destinations=PROXIED)


def test_the_ack_to_a_refusal_follows_the_invite(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(PROXY, refuse(486))
        sbc = await world.phone(SBC)
        sbc.call("billing")
        await sbc.until(Rejected)

    world = play(story, tmp_path, destinations=PROXIED)
    acks = [
        each.message
        for each in world.network.wire.log
        if each.title == "ACK" and each.destination[0] == PROXY
    ]
    assert [route_of(ack) for ack in acks if isinstance(ack, Request)] == [ROUTE]


def test_a_trunk_lends_its_proxy_and_pings_go_that_way(tmp_path: Path) -> None:
    main = CONFIGURATION.replace(
        "    max_calls: 100\n",
        f"    max_calls: 100\n    outbound: {{uri: 'sip:gw.example.com', outbound_proxy: 'sip:{PROXY}', ping: 10s}}\n",
    )
    through = PROXIED.replace(f"sip:queue-1@{BILLING}", '"+15550001000"').replace(
        f"  outbound_proxy: sip:{PROXY}\n  route_set: [{CORE}]\n", "  trunk: acme-sbc\n"
    )

    async def story(world: World) -> None:
        await world.phone(PROXY)
        pinger = Pinger(world.registry.services)
        pinger.follow(world.configuration)
        reachability = world.registry.services.reachability
        await world.until(lambda: reachability.state("sip:gw.example.com", tls=False) is State.UP)
        await pinger.close()
        invite = await call_billing(world)
        assert (invite.uri, route_of(invite)) == ("sip:+15550001000@gw.example.com", ROUTE[:1])

    play(story, tmp_path, main=main, destinations=through)


def test_a_registration_goes_through_the_proxy_too(tmp_path: Path) -> None:
    main = registering(uri="sip:provider.example").replace(
        "      register: true\n", f"      register: true\n      outbound_proxy: sip:{PROVIDER}\n"
    )

    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world):
            (first,) = [request for _, request in registrar.requests]
            assert (first.uri, route_of(first)) == ("sip:provider.example", [f"<sip:{PROVIDER};lr>"])

    play(story, tmp_path, main=main)


def test_calls_take_the_way_that_the_registrar_asks_for(tmp_path: Path) -> None:
    through = PROXIED.replace(f"sip:queue-1@{BILLING}", '"+15550001000"').replace(
        f"  outbound_proxy: sip:{PROXY}\n  route_set: [{CORE}]\n", "  trunk: provider\n"
    )

    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.headers = (("Service-Route", f"<sip:{PROXY};lr>, <{CORE}>"),)
        await world.phone(PROXY)
        async with registered(world):
            invite = await call_billing(world)
            assert (invite.uri, route_of(invite)) == (f"sip:+15550001000@{PROVIDER}", ROUTE)

    play(story, tmp_path, main=registering(), destinations=through)
