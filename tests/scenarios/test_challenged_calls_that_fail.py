"""Destinations that ask for credentials, and calls that end there: 4240, 4250, and no password that is said twice."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from b2bua.call.cause import Outcome
from sip_stack.dialog import ServerSession
from sip_stack.events import Rejected
from sip_stack.message import Request, Response
from tests.scenarios.test_addresses_of_a_name import NAMED
from tests.scenarios.test_calls_that_fail import SHORT
from tests.support.b2bua_world import (
    BILLING,
    DESK,
    SBC,
    Behaviour,
    Phone,
    World,
    ignore,
    play,
    refuse,
)
from tests.support.outcomes import reasons, summary


def challenge(
    status: int = 407, *, scheme: str = "realm", algorithm: str = "MD5", stale: str = ""
) -> Behaviour:
    """Challenge every INVITE, each time with a fresh nonce."""
    nonces = itertools.count()
    header = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        value = f'Digest realm="cc", nonce="n{next(nonces)}", algorithm={algorithm}, qop="auth"{stale}'
        phone.do(lambda now: session.reject(now, status, headers=[(header, value)]))

    return behaviour


def challenge_then(behaviour: Behaviour) -> Behaviour:
    """Challenge the first INVITE; what has credentials goes to `behaviour`."""

    async def both(phone: Phone, session: ServerSession, request: Request) -> None:
        if request.headers.get("Proxy-Authorization") is None:
            await challenge()(phone, session, request)
        else:
            await behaviour(phone, session, request)

    return both


def credentialed(phone: Phone) -> int:
    """How many INVITEs with credentials reached a phone."""
    return sum(
        invite.headers.get("Proxy-Authorization") is not None
        or invite.headers.get("Authorization") is not None
        for invite in phone.invites()
    )


async def authentication_story(world: World, behaviour: Behaviour) -> tuple[Phone, Response, Outcome]:
    billing = await world.phone(BILLING, behaviour)
    sbc = await world.phone(SBC)
    sbc.call("billing")
    rejected = await sbc.until(Rejected)
    record = await world.record()
    assert record.outcome is not None
    return billing, rejected.response, record.outcome


@pytest.mark.parametrize(
    ("behaviour", "sent"),
    [
        pytest.param(challenge(407), 1, id="wrong-password-fresh-nonce-each-time"),
        pytest.param(challenge(401), 1, id="wrong-password-401"),
        pytest.param(challenge(407, stale=", stale=true"), 3, id="endless-stale"),
        pytest.param(challenge(407, algorithm="ROT13"), 0, id="unsupported-algorithm-only"),
        pytest.param(refuse(407), 0, id="challenge-without-header"),
        pytest.param(challenge_then(refuse(403)), 1, id="403-after-credentials"),
    ],
)
def test_rejected_credentials_are_4240_and_never_repeated(
    tmp_path: Path, behaviour: Behaviour, sent: int
) -> None:
    async def story(world: World) -> None:
        billing, response, outcome = await authentication_story(world, behaviour)
        assert summary(outcome) == ("sip_auth_failed", 4240, "failed")
        assert response.status == 502
        assert reasons(response)[0] == 'Q.850;cause=21;text="sip_auth_failed"'
        assert credentialed(billing) == sent

    play(story, tmp_path)


def test_a_challenge_without_credentials_to_give_is_4240(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, challenge(401))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 502
        assert summary((await world.record()).outcome) == ("sip_auth_failed", 4240, "failed")
        assert len(desk.invites()) == 1

    play(story, tmp_path)


def test_silence_after_credentials_is_4250_after_auth_timeout(tmp_path: Path) -> None:
    """The phone's stack says 100 by itself, so the 100 to the second INVITE is lost on the way, again and again."""

    async def story(world: World) -> None:
        seen = 0

        async def challenge_once(phone: Phone, session: ServerSession, request: Request) -> None:
            nonlocal seen
            seen += 1
            world.network.sockets.pop((BILLING, 5060)) if seen > 1 else None
            await challenge_then(ignore)(phone, session, request)
            if seen == 1:
                world.network.wire.drop("100 INVITE")

        billing = await world.phone(BILLING, challenge_once)
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("billing")
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == 504
        assert 5.0 <= world.stack.now() - began <= 5.3
        record = await world.record()
        assert summary(record.outcome) == ("sip_auth_timeout", 4250, "timeout")
        assert record.attempts[0].challenged is not None
        assert credentialed(billing) == 1

    play(story, tmp_path, main=SHORT, settle=False)


def test_a_100_after_credentials_counts_as_an_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, challenge_then(ignore))
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("billing")
        assert (await sbc.until(Rejected)).response.status == 480
        assert 30.0 <= world.stack.now() - began <= 30.3
        assert summary((await world.record()).outcome) == ("no-answer", 6010, "no-answer")

    play(story, tmp_path, main=SHORT)


def test_after_the_auth_timeout_no_other_address_is_tried(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.names["pbx.example.com"] = [BILLING, DESK]
        desk = await world.phone(DESK)

        async def challenge_and_vanish(phone: Phone, session: ServerSession, request: Request) -> None:
            await challenge()(phone, session, request)
            world.network.wire.drop("100 INVITE")
            await asyncio.sleep(0.011)
            world.network.sockets.pop((BILLING, 5060), None)

        await world.phone(BILLING, challenge_and_vanish)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 504
        assert not desk.invites()
        assert summary((await world.record()).outcome)[1] == 4250

    destinations = NAMED.replace(
        "pbx.example.com\n", "pbx.example.com\n  auth: {username: a, password: b}\n", 1
    )
    play(story, tmp_path, destinations=destinations, settle=False)


def test_the_caller_leaves_during_the_challenge_round(tmp_path: Path) -> None:
    """No second INVITE goes out to somebody nobody waits for."""

    async def slow_challenge(phone: Phone, session: ServerSession, request: Request) -> None:
        await asyncio.sleep(1)
        await challenge()(phone, session, request)

    async def story(world: World) -> None:
        billing = await world.phone(BILLING, slow_challenge)
        sbc = await world.phone(SBC)
        call = sbc.call("billing")
        await asyncio.sleep(0.99)
        sbc.do(call.cancel)
        assert summary((await world.record()).outcome) == ("cancel", 1000, "cancel")
        await asyncio.sleep(5)
        assert len(billing.invites()) == 1

    play(story, tmp_path)
