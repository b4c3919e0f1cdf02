"""Names to addresses against a DNS server of our own, a hosts file of our own, and no network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.rcode
import pytest

from sip_stack.aio import answer_cache
from sip_stack.aio import resolver as resolver_module
from sip_stack.aio.resolver import Resolver
from sip_stack.errors import RemoteError
from sip_stack.locating import ResolutionError
from sip_stack.transport import Target
from tests.support.fake_dns import FakeDns

NAME = "cc.example.test"
Story = Callable[[FakeDns, Resolver], Awaitable[None]]


def run(
    story: Story, *, families: tuple[int, ...] = (4, 6), lifetime: float = 5.0, hosts: Path = Path("no file")
) -> None:
    """Tell a story with a DNS server and a resolver that asks it; closes both."""

    async def scene() -> None:
        async with FakeDns() as server:
            resolver = Resolver(
                families=families, nameservers=[server.address], lifetime=lifetime, hosts=hosts
            )
            try:
                await story(server, resolver)
            finally:
                await resolver.close()

    asyncio.run(scene())


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move the clock of the loop on."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + seconds)


async def failure(asking: Awaitable[object]) -> str:
    """Why it cannot be resolved."""
    with pytest.raises(ResolutionError) as caught:
        await asking
    return str(caught.value)


# Without the DNS


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:a@127.0.0.1:5070", Target("udp", "127.0.0.1", 5070, "127.0.0.1")),
        ("sip:a@[::1];transport=tcp", Target("tcp", "::1", 5060, "::1")),
    ],
)
def test_a_literal_is_its_own_address(uri: str, target: Target) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        assert await resolver.resolve(uri) == [target]
        assert server.questions == []

    run(story)


def test_the_hosts_file_comes_before_the_dns(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"192.0.2.7 {NAME} cc  # the contact centre\n")

    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.99"]
        assert await resolver.addresses(NAME.upper()) == ("192.0.2.7",)
        assert await resolver.addresses(f"{NAME}.") == ("192.0.2.7",)
        assert await resolver.addresses("cc") == ("192.0.2.7",)
        assert server.questions == []

    run(story, hosts=hosts)


# With the DNS


def test_both_families_are_asked_and_the_preferred_comes_first() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1", "192.0.2.2"]
        server.records[NAME, "AAAA"] = ["2001:db8::1"]
        found = await resolver.resolve(f"sip:q@{NAME}:5070;transport=tcp")
        assert sorted(found[:2], key=lambda target: target.host) == [
            Target("tcp", "192.0.2.1", 5070, NAME),
            Target("tcp", "192.0.2.2", 5070, NAME),
        ]
        assert found[2:] == [Target("tcp", "2001:db8::1", 5070, NAME)]

    run(story)


def test_ipv6_first_when_it_is_preferred() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.records[NAME, "AAAA"] = ["2001:db8::1"]
        assert await resolver.addresses(NAME) == ("2001:db8::1", "192.0.2.1")

    run(story, families=(6, 4))


def test_a_family_that_is_not_wanted_is_not_asked_for(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"2001:db8::7 {NAME}\n")

    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        assert await resolver.addresses(NAME) == ("192.0.2.1",)
        assert server.questions == [(NAME, "A")]

    run(story, families=(4,), hosts=hosts)


def test_a_name_with_one_family_only() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "AAAA"] = ["2001:db8::1"]
        assert await resolver.addresses(NAME) == ("2001:db8::1",)

    run(story)


def test_an_alias_is_followed() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "CNAME"] = ["real.example.test."]
        server.records["real.example.test", "A"] = ["192.0.2.1"]
        assert await resolver.resolve(f"sip:{NAME}") == [Target("udp", "192.0.2.1", 5060, NAME)]

    run(story)


def test_a_server_that_never_answers_aaaa_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "_OTHER_FAMILY_DELAY", 0.0)

    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.silent = {"AAAA"}
        assert await resolver.addresses(NAME) == ("192.0.2.1",)
        asked = len(server.questions)
        assert await resolver.addresses(NAME) == ("192.0.2.1",)
        assert len(server.questions) == asked
        pass_time(monkeypatch, 31.0)
        await resolver.addresses(NAME)
        assert len(server.questions) > asked, "half an answer is not kept as long as a whole one"

    run(story, lifetime=30.0)


# Failures


def test_a_name_that_does_not_exist() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        assert await failure(resolver.resolve(f"sip:{NAME}")) == f"{NAME}: the name does not exist"

    run(story)


def test_a_name_without_addresses() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "TXT"] = ["hello"]
        assert await failure(resolver.resolve(f"sip:{NAME}")) == f"{NAME}: the name has no address"

    run(story)


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_server_that_fails(rcode: dns.rcode.Rcode) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.rcode = rcode
        assert "the name servers failed" in await failure(resolver.resolve(f"sip:{NAME}"))

    run(story)


def test_a_silent_server_meets_the_deadline_of_the_look_up() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.silent = {"A", "AAAA"}
        assert await failure(resolver.resolve(f"sip:{NAME}")) == f"{NAME}: no answer within 0.05 s"

    run(story, lifetime=0.05)


def test_a_silent_server_meets_the_deadline_of_the_caller() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.silent = {"A", "AAAA"}
        asking = resolver.resolve(f"sip:{NAME}", timeout=0.01)
        assert await failure(asking) == f"{NAME}: no answer within 0.01 s"

    run(story, lifetime=30.0)


def test_one_family_that_was_not_told_leaves_a_doubt() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "TXT"] = ["hello"]
        server.silent = {"A"}
        assert "no answer within" in await failure(resolver.addresses(NAME))

    run(story, lifetime=0.05)


def test_malformed_names_and_uris_are_not_asked_for() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        await failure(resolver.resolve("sip:a..b"))
        await failure(resolver.resolve("tel:+1555"))
        with pytest.raises(RemoteError):
            await resolver.resolve("nonsense")
        assert server.questions == []

    run(story)


# Memory


def test_an_answer_is_kept_as_long_as_its_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.ttl = server.negative_ttl = 300
        await resolver.addresses(NAME)
        server.records[NAME, "A"] = ["192.0.2.2"]
        assert await resolver.addresses(NAME.upper()) == ("192.0.2.1",)
        pass_time(monkeypatch, 299.0)
        assert await resolver.addresses(NAME) == ("192.0.2.1",)
        pass_time(monkeypatch, 2.0)
        assert await resolver.addresses(NAME) == ("192.0.2.2",)

    run(story)


def test_a_very_long_ttl_is_cut_to_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.ttl = server.negative_ttl = 10_000_000
        await resolver.addresses(NAME)
        server.records[NAME, "A"] = ["192.0.2.2"]
        pass_time(monkeypatch, 3601.0)
        assert await resolver.addresses(NAME) == ("192.0.2.2",)

    run(story)


def test_a_ttl_of_nothing_is_not_kept() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.ttl = 0
        await resolver.addresses(NAME)
        server.records[NAME, "A"] = ["192.0.2.2"]
        assert await resolver.addresses(NAME) == ("192.0.2.2",)

    run(story)


@pytest.mark.parametrize(("negative_ttl", "kept"), [(30, 29.0), (86400, 59.0)])
def test_a_name_that_does_not_exist_is_believed_for_a_while(
    monkeypatch: pytest.MonkeyPatch, negative_ttl: int, kept: float
) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.negative_ttl = negative_ttl
        await failure(resolver.addresses(NAME))
        server.records[NAME, "A"] = ["192.0.2.1"]
        pass_time(monkeypatch, kept)
        await failure(resolver.addresses(NAME))
        pass_time(monkeypatch, 2.0)
        assert await resolver.addresses(NAME) == ("192.0.2.1",)

    run(story)


def test_a_server_that_failed_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        server.rcode = dns.rcode.REFUSED
        await failure(resolver.addresses(NAME))
        asked = len(server.questions)
        await failure(resolver.addresses(NAME))
        assert len(server.questions) == asked
        server.rcode = dns.rcode.NOERROR
        pass_time(monkeypatch, 1.1)
        assert await resolver.addresses(NAME) == ("192.0.2.1",)

    run(story)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "MAX_CACHED", 3)

    async def story(server: FakeDns, resolver: Resolver) -> None:
        for number in range(5):
            server.records[f"{number}.{NAME}", "A"] = ["192.0.2.1"]
            await resolver.addresses(f"{number}.{NAME}")
        assert list(resolver._cache._kept) == [(f"{number}.{NAME}", "addresses") for number in (2, 3, 4)]

    run(story)


# Several at once


def test_many_calls_to_one_name_ask_once() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.records[NAME, "A"] = ["192.0.2.1"]
        found = await asyncio.gather(*(resolver.addresses(NAME) for _ in range(50)))
        assert found == [("192.0.2.1",)] * 50
        assert sorted(server.questions) == [(NAME, "A"), (NAME, "AAAA")]

    run(story)


def test_a_caller_that_gives_up_leaves_the_others_waiting() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.silent = {"A", "AAAA"}
        patient = asyncio.create_task(failure(resolver.addresses(NAME)))
        impatient = asyncio.create_task(resolver.addresses(NAME))
        await server.asked.wait()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await failure(resolver.addresses(NAME, timeout=0.0))
        assert "within 0.1 s" in await patient

    run(story, lifetime=0.1)


def test_closing_ends_the_waiting() -> None:
    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.silent = {"A", "AAAA"}
        waiting = asyncio.create_task(failure(resolver.addresses(NAME)))
        await server.asked.wait()
        await resolver.close()
        assert await waiting == f"{NAME}: the resolver was closed"
        assert resolver._cache._in_flight == {}

    run(story, lifetime=30.0)


def test_too_many_names_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "MAX_IN_FLIGHT", 1)

    async def story(server: FakeDns, resolver: Resolver) -> None:
        server.silent = {"A", "AAAA"}
        first = asyncio.create_task(failure(resolver.addresses(NAME)))
        await server.asked.wait()
        assert "too many" in await failure(resolver.addresses("another.test"))
        await resolver.close()
        await first

    run(story, lifetime=30.0)
