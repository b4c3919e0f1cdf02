"""The B2BUA at a provider that calls only those who have registered."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua import far_ends
from b2bua.registration import Binding, Registrant, State
from sip_stack.dialog import SessionState
from sip_stack.message import SipUri
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, World, play
from tests.support.kept_history import as_objects
from tests.support.registrar_double import RegistrarDouble

PROVIDER = "203.0.113.20"
SECOND = "203.0.113.21"
PASSWORD = "s3cret-of-provider"
PUBLIC = ("198.51.100.200", 34567)
"""Where a NAT shows the B2BUA."""


def registering(register: str = "true", uri: str = f"sip:{PROVIDER}", trunk: str = "") -> str:
    """The configuration of the world with a provider; its calls go to the front desk."""
    return CONFIGURATION.replace(
        "routes:\n",
        f"""\
  provider:
    outbound:
      uri: {uri}
      auth: {{username: our-account, password: {PASSWORD}}}
      register: {register}
{trunk}routes:
  - {{trunk: provider, to: "+1555*", destination: front-desk}}
""",
    )


@asynccontextmanager
async def registered(world: World, *, wait: bool = True) -> AsyncIterator[Registrant]:
    """The registrations of the world's B2BUA, taken back at the end."""
    registrant = Registrant(world.registry.services)
    registrant.follow(world.configuration)
    try:
        if wait:
            await world.until(lambda: all(each.state is State.REGISTERED for each in bindings(world)))
        yield registrant
    finally:
        await registrant.close(2.0)


def bindings(world: World) -> list[Binding]:
    return world.registry.services.bindings.of_trunk("provider")


def binding(world: World) -> Binding:
    (only,) = bindings(world)
    return only


async def provider(world: World, host: str = PROVIDER) -> RegistrarDouble:
    """A provider that knows our password."""
    return await RegistrarDouble(world, host, PASSWORD).start()


def test_it_registers_with_digest_and_takes_it_back_at_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world):
            (first,) = [request for _, request in registrar.requests]
            assert registrar.challenged == 1
            assert (first.uri, first.to.uri) == (f"sip:{PROVIDER}", f"sip:our-account@{PROVIDER}")
            (contact,) = registrar.contacts
            assert SipUri.parse(contact).host == B2BUA
            assert first.supported == ["path"]
        assert registrar.contacts == []
        assert binding_count(world) == 0

    play(story, tmp_path, main=registering())


def binding_count(world: World) -> int:
    return len(bindings(world))


def test_it_is_refreshed_before_it_expires_in_one_dialog_of_rising_numbers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world):
            for _ in range(2400):
                await asyncio.sleep(1)
                assert registrar.contacts, "it never lapses"
            requests = [request for _, request in registrar.requests]
            assert 4 <= len(requests) <= 6, "every 420 to 510 s of 600"
            assert len({request.call_id for request in requests}) == 1
            numbers = [request.cseq.number for request in requests]
            assert numbers == sorted(set(numbers))
            assert len({request.contacts[0].uri for request in requests}) == 1

    play(story, tmp_path, main=registering())


def test_what_the_registrar_grants_counts_and_not_what_was_asked(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.granted = 40
        async with registered(world):
            await asyncio.sleep(60)
            assert len(registrar.requests) in (2, 3)
            assert registrar.contacts

    play(story, tmp_path, main=registering())


def test_423_is_answered_with_the_interval_it_asks_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.least = 1800
        async with registered(world):
            asked = [request.contacts[0].params.get("expires") for _, request in registrar.requests]
            assert asked == ["600", "1800"]

    play(story, tmp_path, main=registering())


def test_what_the_api_tells_of_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world):
            _, shown = far_ends.trunks(world.configuration, world.registry.services)
            (registration,) = as_objects(shown["registrations"])
            assert (registration["state"], registration["sip_status"]) == ("registered", 200)
            assert str(registration["next"]) < str(registration["expires"])
            registrar.statuses = [500]
            await world.until(lambda: binding(world).state is State.FAILED, 600)
            _, shown = far_ends.trunks(world.configuration, world.registry.services)
            (registration,) = as_objects(shown["registrations"])
            assert (registration["state"], registration["failures"], registration["sip_status"]) == (
                "failed",
                1,
                500,
            )
            assert PASSWORD not in str(shown)
            assert registrar.contacts[0] not in str(shown), "who knows it is taken for the trunk"

    play(story, tmp_path, main=registering())


def test_failures_are_followed_by_longer_and_longer_pauses_and_told_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.statuses = [500] * 100
        with capture_logs() as lines:
            async with registered(world, wait=False):
                await asyncio.sleep(3600)
                assert binding(world).state is State.FAILED
                assert (binding(world).status, binding(world).failures) == (500, len(registrar.requests))
                moments = [moment for moment, _ in registrar.requests]
                pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
                for index, pause in enumerate(pauses):
                    longest = min(30 * 2**index, 1800)
                    assert longest / 2 <= pause <= longest + 1
                assert len(pauses) >= 5
                registrar.statuses = []
                await world.until(lambda: binding(world).state is State.REGISTERED, 7200)
        told = [line["event"] for line in lines if "regist" in line["event"]]
        assert told == ["registration_failed", "registered", "unregistered"]

    play(story, tmp_path, main=registering())


def test_wrong_credentials_are_not_tried_again_and_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await RegistrarDouble(world, PROVIDER, "another password").start()
        async with registered(world, wait=False):
            await asyncio.sleep(3600)
            assert registrar.requests == []
            # Without credentials and with them, after 0, 150..300, 300..600, 600..1200, 900..1800 s.
            assert registrar.challenged <= 2 * 6
            assert binding(world).status == 401

    play(story, tmp_path, main=registering())


def test_retry_after_is_kept_to(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.statuses, registrar.headers = [480], (("Retry-After", "300"),)
        async with registered(world, wait=False):
            await asyncio.sleep(299)
            assert len(registrar.requests) == 1
            await asyncio.sleep(10)
            assert binding(world).state is State.REGISTERED

    play(story, tmp_path, main=registering())


@pytest.mark.parametrize("first", ["silent", 503])
def test_the_next_address_of_a_registrar_is_tried(tmp_path: Path, first: str | int) -> None:
    async def story(world: World) -> None:
        world.names["provider.example"] = [PROVIDER, SECOND]
        if first == 503:
            (await provider(world)).statuses = [503] * 10
        second = await provider(world, SECOND)
        async with registered(world):
            assert len(second.contacts) == 1

    play(story, tmp_path, main=registering(uri="sip:provider.example"))


def test_all_registrars_of_a_trunk_have_us(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        both = [await provider(world), await provider(world, SECOND)]
        async with registered(world):
            assert [len(each.contacts) for each in both] == [1, 1]
            assert {each.requests[0][1].to.uri for each in both} == {"sip:our-account@provider.example"}
            both[0].statuses = [500]
            await world.until(lambda: any(each.state is State.FAILED for each in bindings(world)), 700)
            assert {each.state for each in bindings(world)} == {State.FAILED, State.REGISTERED}
        assert both[1].contacts == []

    main = registering(f"{{registrar: ['sip:{PROVIDER}', 'sip:{SECOND}']}}", "sip:provider.example")
    play(story, tmp_path, main=main)


def test_a_call_to_our_contact_is_the_trunks_whatever_address_it_comes_from(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        await world.phone(DESK)
        async with registered(world):
            session = registrar.call("+15551234567")
            await world.until(lambda: session.state is SessionState.CONFIRMED)
            session.bye(registrar.stack.now())
            registrar.stack.flush()
            record = await world.record()
        assert (record.trunk, record.called) == ("provider", "+15551234567")
        assert record.attempts[0].destination == "front-desk"

    play(story, tmp_path, main=registering())


def test_the_number_may_be_told_by_p_called_party_id(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        await world.phone(DESK)
        async with registered(world):
            called = f"<sip:+15550009999@{PROVIDER};user=phone>"
            session = registrar.call("our-account", (("P-Called-Party-ID", called),))
            await world.until(lambda: session.state is SessionState.CONFIRMED)
            session.bye(registrar.stack.now())
            registrar.stack.flush()
            assert (await world.record()).called == "+15550009999"

    play(story, tmp_path, main=registering())


@pytest.mark.parametrize("guess", ["provider", "our-account", "+15551234567"])
def test_who_does_not_know_our_contact_is_a_stranger(tmp_path: Path, guess: str) -> None:
    async def story(world: World) -> None:
        await provider(world)
        stranger = await RegistrarDouble(world, "203.0.113.66").start()
        stranger.bindings[f"sip:{guess}@{B2BUA}:5060"] = 1e9
        async with registered(world):
            session = stranger.call("+15551234567")
            await world.until(lambda: session.state is SessionState.ENDED)
        assert world.records == []

    play(story, tmp_path, main=registering())


def test_a_trunk_with_addresses_calls_our_contact_from_there_only(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        stranger = await RegistrarDouble(world, "203.0.113.66").start()
        await world.phone(DESK)
        async with registered(world):
            stranger.bindings = dict(registrar.bindings)
            refused = stranger.call("+15551234567")
            await world.until(lambda: refused.state is SessionState.ENDED)
            assert world.records == []
            session = registrar.call("+15551234567")
            await world.until(lambda: session.state is SessionState.CONFIRMED)
            session.bye(registrar.stack.now())
            registrar.stack.flush()
            await world.record()

    play(story, tmp_path, main=registering(trunk=f"    accept: {{addresses: [{PROVIDER}]}}\n"))


def test_behind_a_nat_our_contact_is_where_the_registrar_sees_us(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.translate((B2BUA, 5060), PUBLIC)
        registrar = await provider(world)
        await world.phone(DESK)
        async with registered(world):
            (contact,) = registrar.contacts
            uri = SipUri.parse(contact)
            assert (uri.host, uri.port) == PUBLIC
            before = registrar.stack.endpoint.counters.keepalives
            await asyncio.sleep(100)
            assert registrar.stack.endpoint.counters.keepalives - before in (3, 4)
            session = registrar.call("+15551234567")
            await world.until(lambda: session.state is SessionState.CONFIRMED)
            session.bye(registrar.stack.now())
            registrar.stack.flush()
            assert (await world.record()).trunk == "provider"
        assert registrar.contacts == []

    play(story, tmp_path, main=registering())


def test_a_nat_that_moves_us_is_noticed_at_the_next_refresh(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.translate((B2BUA, 5060), PUBLIC)
        registrar = await provider(world)
        async with registered(world):
            world.network.translate((B2BUA, 5060), (PUBLIC[0], 40_001))
            await asyncio.sleep(520)
            (contact,) = registrar.contacts
            assert SipUri.parse(contact).port == 40_001

    play(story, tmp_path, main=registering())


def test_a_reload_registers_what_is_new_and_takes_back_what_is_gone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world) as registrant:
            registrant.follow(world.configuration)
            assert len(registrar.requests) == 1
            registrant.follow(dataclasses.replace(world.configuration, trunks={}))
            await world.until(lambda: not registrar.contacts)
            registrant.follow(world.configuration)
            await world.until(lambda: registrar.contacts)

    play(story, tmp_path, main=registering())


def test_a_registrar_that_is_gone_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        async with registered(world):
            await registrar.stack.close()
            begun = world.stack.now()
        assert world.stack.now() - begun <= 2.1

    play(story, tmp_path, main=registering(), settle=False)


def test_the_way_that_the_registrar_wants_is_remembered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        registrar = await provider(world)
        registrar.headers = (
            ("Path", "<sip:edge.provider.example;lr>"),
            ("Service-Route", "<sip:a.example;lr>, <sip:b.example;lr>"),
        )
        async with registered(world):
            route = world.registry.services.bindings.service_route("provider")
            assert route == ("<sip:a.example;lr>", "<sip:b.example;lr>")
        assert world.registry.services.bindings.service_route("provider") == ()

    play(story, tmp_path, main=registering())
