"""3xx: refused unless it is allowed, and then followed with care (RFC 3261 sections 8.1.3.4 and 21.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Rejected
from sip_stack.message import Request
from sip_stack.transport import Target
from tests.support.b2bua_world import (
    BILLING,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    Phone,
    World,
    answer,
    ignore,
    play,
    refuse,
)

OTHER = "198.51.100.3"
THIRD = "198.51.100.4"
ALLOWED = (
    CONFIGURATION + 'policy: {allow: ["sip:*@198.51.100.2", "sip:*@198.51.100.3", "sip:*@198.51.100.4"]}\n'
)
FOLLOWED = DESTINATIONS.replace("  route: sip:operator", "  redirects: follow\n  route: sip:operator")


def redirect(*contacts: str, status: int = 302) -> Behaviour:
    """Name others."""
    return refuse(status, headers=[("Contact", contact) for contact in contacts])


async def dialled(world: World, desk: Behaviour, **others: Behaviour) -> Phone:
    """A caller, whose call to the desk is answered so; the others by the last part of their address."""
    await world.phone(DESK, desk)
    for number, behaviour in others.items():
        await world.phone(f"198.51.100.{number[1:]}", behaviour)
    sbc = await world.phone(SBC)
    sbc.call("desk")
    return sbc


def targets(world: World) -> list[tuple[str, int | None]]:
    """The attempts of the only call, and the statuses that ended them."""
    (record,) = world.records
    return [
        (each.target, each.outcome.sip_status if each.outcome is not None else None)
        for each in record.attempts
    ]


async def hang_up(world: World, sbc: Phone) -> None:
    call = (await sbc.until(Answered)).session
    sbc.do(lambda now: call.bye(now))
    await world.record()


def test_a_redirect_is_followed_to_the_best_of_those_it_names(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        contacts = (
            f"<sip:a@{OTHER}>;q=0.2, <sip:b@{BILLING};method=INVITE?X-Evil=1>;q=0.9",
            f"<sip:c@{THIRD}>;q=x",
        )
        sbc = await dialled(world, redirect(*contacts), x2=answer, x3=answer, x4=answer)
        await hang_up(world, sbc)
        assert targets(world) == [(f"sip:operator@{DESK}", 302), (f"sip:b@{BILLING}", None)]
        (invite,) = world.phones[BILLING].invites()
        assert invite.uri == f"sip:b@{BILLING}"
        assert "X-Evil" not in invite.headers

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


def test_when_one_does_not_answer_the_next_is_dialled(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        contacts = f"<sip:a@{OTHER}>, <sip:b@{BILLING}>;q=0.5"
        sbc = await dialled(world, redirect(contacts), x3=refuse(486), x2=answer)
        await hang_up(world, sbc)
        assert [status for _, status in targets(world)] == [302, 486, None]

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


def test_a_6xx_speaks_for_all(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await dialled(
            world, redirect(f"<sip:a@{OTHER}>, <sip:b@{BILLING}>;q=0.5"), x3=refuse(603), x2=answer
        )
        assert (await sbc.until(Rejected)).response.status == 603
        assert not world.phones[BILLING].invites()

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


@pytest.mark.parametrize(
    ("main", "destinations", "contact", "status"),
    [
        (ALLOWED, DESTINATIONS, f"<sip:a@{OTHER}>", 302),  # nobody said follow
        (CONFIGURATION, FOLLOWED, f"<sip:a@{OTHER}>", 302),  # no policy: named destinations only
        (ALLOWED, FOLLOWED, "<sip:a@203.0.113.9>", 302),  # not one of the allowed
        (ALLOWED, FOLLOWED, f"<sips:a@{OTHER}>", 302),  # the destination is unencrypted
        (ALLOWED, FOLLOWED, f"<sip:a@{OTHER};transport=tls>", 302),
        (ALLOWED, FOLLOWED, f"<sip:a@{OTHER};maddr=203.0.113.9>", 302),
        (ALLOWED, FOLLOWED, "<tel:+19005550000>", 302),
        (ALLOWED, FOLLOWED, f"<sip:{OTHER}>", 302),  # nobody there
        (ALLOWED, FOLLOWED, f"<sip:a@{OTHER}>", 305),  # another proxy is not ours to choose
        (ALLOWED, FOLLOWED, "<sip:a@[", 302),
        (ALLOWED, FOLLOWED, "*", 302),
        (ALLOWED, FOLLOWED, f"<sip:operator@{DESK}>", 302),  # where we are
    ],
)
def test_a_redirect_that_is_not_followed(
    tmp_path: Path, main: str, destinations: str, contact: str, status: int
) -> None:
    async def story(world: World) -> None:
        sbc = await dialled(world, redirect(contact, status=status), x3=answer)
        assert (await sbc.until(Rejected)).response.status == 500
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.sip_status) == ("routing_error", status)
        assert len(record.attempts) == 1
        assert not world.phones[OTHER].invites()

    play(story, tmp_path, main=main, destinations=destinations)


def test_toll_rules_hold_for_what_a_redirect_names(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await dialled(
            world, redirect(f"<sip:+19005550000@{OTHER}>, <sip:+15550000@{OTHER}>;q=0.5"), x3=answer
        )
        await hang_up(world, sbc)
        assert [request.uri for request in world.phones[OTHER].invites()] == [f"sip:+15550000@{OTHER}"]

    main = ALLOWED.replace("policy: {", 'policy: {deny_prefixes: ["+1900"], ')
    play(story, tmp_path, main=main, destinations=FOLLOWED)


def test_two_that_send_us_to_each_other_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await dialled(
            world, redirect(f"<sip:a@{OTHER}>"), x3=redirect(f"<sip:operator@{DESK}>, <sip:a@{OTHER}>")
        )
        assert (await sbc.until(Rejected)).response.status == 500
        await world.record()
        assert [status for _, status in targets(world)] == [302, 302]

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


def test_redirects_without_an_end_are_bounded(tmp_path: Path) -> None:
    async def onward(phone: Phone, session: ServerSession, request: Request) -> None:
        number = (
            int(request.uri.partition("sip:n")[2].partition("@")[0] or 0) if "sip:n" in request.uri else 0
        )
        headers = [("Contact", f"<sip:n{number + 1}@{OTHER}>")]
        phone.do(lambda now: session.reject(now, 302, headers=headers))

    async def story(world: World) -> None:
        sbc = await dialled(world, onward, x3=onward)
        await sbc.until(Rejected)
        await world.record()
        assert len(targets(world)) == 6

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


def test_they_share_the_time_of_the_first(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        began = world.stack.now()
        sbc = await dialled(
            world, redirect(f"<sip:a@{OTHER}>, <sip:b@{BILLING}>;q=0.5"), x3=ring_for_ever, x2=answer
        )
        assert (await sbc.until(Rejected)).response.status == 480
        assert world.stack.now() - began < 32

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)


async def ring_for_ever(phone: Phone, session: ServerSession, request: Request) -> None:
    phone.do(lambda now: session.progress(now, 180))


def challenged(contact: str = "") -> Behaviour:
    """Redirect the first INVITE, or challenge it when there is nobody to name."""
    if contact:
        return redirect(contact)
    return refuse(401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')])


@pytest.mark.parametrize(("host", "answers"), [(OTHER, False), (BILLING, True)])
def test_credentials_go_to_no_other_host(tmp_path: Path, host: str, answers: bool) -> None:
    """Billing has credentials: for its own host, wherever a redirect leads."""

    async def at_billing(phone: Phone, session: ServerSession, request: Request) -> None:
        behaviour = challenged(f"<sip:elsewhere@{host}>") if "queue-1" in request.uri else challenged()
        await behaviour(phone, session, request)

    async def story(world: World) -> None:
        await world.phone(BILLING, at_billing)
        other = await world.phone(OTHER, challenged())
        sbc = await world.phone(SBC)
        sbc.call("billing")
        assert (await sbc.until(Rejected)).response.status == 502
        asked = [*other.invites(), *world.phones[BILLING].invites()]
        assert any("Authorization" in request.headers for request in asked) is answers
        assert not any("Authorization" in request.headers for request in other.invites())
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "sip_auth_failed"

    own = DESTINATIONS.replace("  route: sip:queue-1", "  redirects: follow\n  route: sip:queue-1")
    play(story, tmp_path, main=ALLOWED, destinations=own)


def test_trust_goes_to_no_other_host(tmp_path: Path) -> None:
    """The desk may know who calls though they withhold it; whom it names may not."""

    async def story(world: World) -> None:
        await world.phone(DESK, redirect(f"<sip:a@{OTHER}>"))
        other = await world.phone(OTHER, answer)
        sbc = await world.phone(SBC)
        sbc.call("desk", headers=(("Privacy", "id"),))
        await hang_up(world, sbc)
        assert "+15551230000" in world.phones[DESK].invites()[0].encode().decode()
        assert "+15551230000" not in other.invites()[0].encode().decode()

    own = FOLLOWED.replace("  redirects: follow", "  redirects: follow\n  trusted: true\n  from_user: desk")
    play(story, tmp_path, main=ALLOWED, destinations=own)


@pytest.mark.parametrize(("status", "avoided"), [(503, True), (500, True), (486, False), (480, False)])
def test_an_address_that_asks_for_patience_is_tried_last(tmp_path: Path, status: int, avoided: bool) -> None:
    """Retry-After of a server is of the address; of a person it is not."""

    async def story(world: World) -> None:
        await dialled(world, refuse(status, headers=[("Retry-After", "60")]))
        await world.record()
        targets = [Target("udp", DESK, 5060), Target("udp", OTHER, 5060)]
        last = world.registry.services.avoided.last(targets, world.stack.now())[-1]
        assert (last.host == DESK) is avoided

    play(story, tmp_path)


def test_nobody_named_answers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await dialled(world, redirect(f"<sip:a@{OTHER}>"), x3=ignore)
        await sbc.until(Rejected)
        await world.record()
        assert len(targets(world)) == 2

    play(story, tmp_path, main=ALLOWED, destinations=FOLLOWED)
