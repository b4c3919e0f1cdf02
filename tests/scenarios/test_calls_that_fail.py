"""Calls that come to nothing: every ending has a name, a code, a status, and the caller learns it in time.

The table of docs/outcomes.md as stories. Expectations are written out, not taken from the program's own table.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from b2bua.call.cause import Outcome
from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Cancelled, Ended, Progress, Rejected
from sip_stack.message import Request, Response
from tests.support.b2bua_world import (
    B2BUA,
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
    offer,
    play,
    refuse,
    ring,
)

SHORT = CONFIGURATION + "timers: {connect_timeout: 4s, ring_timeout: 30s, auth_timeout: 5s}\n"


def summary(outcome: Outcome | None) -> tuple[str, int, str]:
    assert outcome is not None
    return outcome.name, outcome.code, str(outcome.status)


def reasons(response: Response) -> list[str]:
    return response.headers.get_all("Reason")


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


@pytest.mark.parametrize(
    ("status", "name", "code", "outcome_status", "to_caller", "q850"),
    [
        (486, "busy", 3010, "busy", 486, 17),
        (600, "busy", 3100, "busy", 600, 17),
        (603, "rejected", 3110, "failed", 603, 21),
        (480, "no-answer", 3000, "no-answer", 480, 19),
        (408, "no-answer", 3070, "no-answer", 480, 18),
        (403, "forbidden", 3040, "failed", 403, 21),
        (404, "unallocated", 3050, "failed", 404, 1),
        (604, "unallocated", 3120, "failed", 604, 1),
        (410, "out_of_service", 2010, "failed", 410, 22),
        (482, "loop_detected", 2060, "failed", 482, 25),
        (488, "media_not_acceptable", 11030, "failed", 488, 88),
        (503, "carrier_congestion", 3090, "failed", 500, 42),
        (500, "carrier_error", 3080, "failed", 500, 41),
        (302, "routing_error", 5020, "failed", 500, 127),
        (423, "routing_error", 5020, "failed", 500, 127),
    ],
)
def test_a_refusal_has_its_name(
    tmp_path: Path, status: int, name: str, code: int, outcome_status: str, to_caller: int, q850: int
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(status))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == to_caller
        assert reasons(rejected.response) == [f'Q.850;cause={q850};text="{name}"', f"SIP;cause={status}"]
        record = await world.record()
        assert summary(record.outcome) == (name, code, outcome_status)
        assert record.outcome is not None
        assert record.outcome.sip_status == status
        assert record.outcome.source == "agent"
        assert summary(record.attempts[0].outcome) == (name, code, outcome_status)

    play(story, tmp_path)


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


def test_nobody_picks_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 480
        assert 30.0 <= world.stack.now() - began <= 30.3
        await desk.until(Cancelled)
        record = await world.record()
        assert summary(record.outcome) == ("no-answer", 6010, "no-answer")
        assert record.attempts[0].ringing is not None

    play(story, tmp_path, main=SHORT)


def test_an_answer_after_the_ring_timeout_is_hung_up_on(tmp_path: Path) -> None:
    """The agent's 200 crosses our CANCEL: ACK and BYE, and the outcome stands."""

    async def late(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(29.985)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, late)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 480
        assert (await desk.until(Ended)).by == "remote"
        assert summary((await world.record()).outcome) == ("no-answer", 6010, "no-answer")

    play(story, tmp_path, main=SHORT)


def test_silence_from_the_start_is_a_network_error_after_connect_timeout(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 500
        assert 4.0 <= world.stack.now() - began <= 4.3
        record = await world.record()
        assert summary(record.outcome) == ("network_error", 5000, "failed")
        assert record.outcome is not None
        assert record.outcome.source == "network"
        assert "CANCEL" not in world.network.titles([(B2BUA, 5060)]), (
            "no CANCEL before a provisional response"
        )

    play(story, tmp_path, main=SHORT)


NAMED = DESTINATIONS.replace(f"route: sip:operator@{DESK}", "route: sip:operator@pbx.example.com")


def test_an_unknown_host_is_a_network_error(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 500
        assert summary((await world.record()).outcome) == ("network_error", 5000, "failed")

    play(story, tmp_path, destinations=NAMED)


@pytest.mark.parametrize("first", [None, refuse(503)], ids=["dead", "503"])
def test_the_next_address_of_a_name_is_tried(tmp_path: Path, first: Behaviour | None) -> None:
    async def story(world: World) -> None:
        world.names["pbx.example.com"] = [BILLING, DESK]
        if first is not None:
            await world.phone(BILLING, first)
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)
        record = await world.record()
        assert len(record.attempts) == 1, "one attempt, whatever its addresses"
        assert [leg.remote_address for leg in record.legs] == [
            f"{SBC}:5060",
            f"{BILLING}:5060",
            f"{DESK}:5060",
        ]

    play(story, tmp_path, destinations=NAMED)


@pytest.mark.parametrize(
    ("first", "avoided"),
    [(None, 30), (refuse(503), 30), (refuse(503, headers=[("Retry-After", "120 (so busy)")]), 120)],
    ids=["dead", "503", "Retry-After"],
)
def test_an_address_that_failed_is_tried_last_by_the_next_calls(
    tmp_path: Path, first: Behaviour | None, avoided: int
) -> None:
    async def story(world: World) -> None:
        async def call() -> list[str]:
            """The addresses that a call tried."""
            known, told = len(world.records), len(sbc.events)
            session = sbc.call("desk")
            await sbc.until(Answered, count=known + 1)
            sbc.do(session.bye)
            await world.until(lambda: len(world.records) > known)
            assert len(sbc.events) > told
            return [
                leg.remote_address.partition(":")[0] for leg in world.records[-1].legs if leg.role == "agent"
            ]

        world.names["pbx.example.com"] = [BILLING, DESK]
        if first is not None:
            await world.phone(BILLING, first)
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        assert await call() == [BILLING, DESK]
        failed_at = sbc.now
        assert await call() == [DESK]
        await asyncio.sleep(failed_at + avoided - 15 - sbc.now)
        assert await call() == [DESK]
        await asyncio.sleep(15)
        assert await call() == [BILLING, DESK], "it has its turn again"

    play(story, tmp_path, destinations=NAMED)


def test_the_only_address_is_tried_again_though_it_failed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, refuse(503))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Rejected)
        desk.on_invite = answer
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)

    play(story, tmp_path)


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


def test_the_last_attempt_decides_what_the_caller_hears(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK, refuse(404))
        sbc = await world.phone(SBC)
        sbc.call("billing")
        assert (await sbc.until(Rejected)).response.status == 404
        record = await world.record()
        assert [summary(attempt.outcome)[1] for attempt in record.attempts] == [3010, 3050]
        assert summary(record.outcome)[1] == 3050

    play(story, tmp_path, destinations=DESTINATIONS + "  fallback: front-desk\n")


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


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(offer(DESK, payload="9 101"), id="no-common-codec"),
        pytest.param(offer(DESK, port=0), id="audio-refused"),
        pytest.param(b"", id="no-description"),
        pytest.param(b"nonsense", id="nonsense"),
    ],
)
def test_an_answer_we_cannot_use_is_hung_up_on(tmp_path: Path, body: bytes) -> None:
    async def useless(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.answer(now, body=body))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, useless)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 488
        assert (await desk.until(Ended)).by == "remote"
        assert summary((await world.record()).outcome) == ("media_not_acceptable", 11030, "failed")

    play(story, tmp_path)


# -- calls we refuse ourselves -------------------------------------------------------------------------------------


async def refused(
    world: World, user: str = "desk", *, host: str = SBC, body: bytes | None = None
) -> Response:
    caller = await world.phone(host)
    caller.call(user, body=body)
    return (await caller.until(Rejected)).response


def test_a_stranger_is_refused_and_leaves_no_record(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert (await refused(world, host="203.0.113.9")).status == 403
        assert not world.records

    play(story, tmp_path)


def test_a_stranger_gets_no_answer_at_all_when_so_configured(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger = await world.phone("203.0.113.9")
        stranger.call("desk")
        await asyncio.sleep(40)
        assert stranger.names() == ["Failed"]
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        desk.do(desk.sessions[0].bye)
        assert (await sbc.until(Ended)).by == "remote", "a destination is no stranger inside its call"

    main = CONFIGURATION.replace("media:", "  unknown_source: silent\nmedia:")
    play(story, tmp_path, main=main)


def test_a_number_without_a_route_is_404(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert (await refused(world, "nobody")).status == 404
        assert summary((await world.record()).outcome) == ("no_route", 11101, "failed")

    play(story, tmp_path)


def test_one_call_too_many_is_503_with_retry_after(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        first = sbc.call("desk")
        await sbc.until(Progress)
        sbc.call("desk")
        response = (await sbc.until(Rejected)).response
        assert response.status == 503
        assert response.headers.get("Retry-After") == "5"
        await sbc.until(Answered)
        sbc.do(first.bye)
        assert summary((await world.record()).outcome) == ("overload", 11102, "failed")

    play(story, tmp_path, main=CONFIGURATION.replace("max_calls: 100", "max_calls: 1"))


def test_no_audio_port_is_503(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.exhaust()
        response = await refused(world)
        assert response.status == 503
        assert response.headers.get("Retry-After") == "5"
        assert summary((await world.record()).outcome) == ("media_ports_exhausted", 11071, "failed")

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [(offer(SBC, payload="9"), 488), (offer(SBC, port=0), 488), (b"v=0\r\nrubbish", 400)],
    ids=["no-common-codec", "audio-off", "malformed"],
)
def test_an_offer_we_cannot_take_is_refused_with_a_warning(tmp_path: Path, body: bytes, status: int) -> None:
    async def story(world: World) -> None:
        response = await refused(world, body=body)
        assert response.status == status
        if status == 488:
            assert response.headers.get("Warning") is not None

    play(story, tmp_path)


def test_while_draining_new_calls_are_refused_and_running_ones_go_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        drain = asyncio.ensure_future(world.registry.drain(60))
        await asyncio.sleep(1)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 503
        assert world.registry.calls
        await drain
        assert (await sbc.until(Ended)).by == "remote"
        record = await world.record(2)
        assert summary(record.outcome) == ("shutdown", 11104, "failed")

    play(story, tmp_path)


def test_a_lost_media_engine_ends_its_calls(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        world.media.calls[-1].lose()
        await sbc.until(Ended)
        await desk.until(Ended)
        assert summary((await world.record()).outcome) == ("media_engine_lost", 11070, "failed")

    play(story, tmp_path)


def test_a_defect_of_ours_ends_one_call_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)

        def broken(*arguments: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(world.media, "open_call", world.media.open_call)
        sbc.call("desk")
        await sbc.until(Progress)
        monkeypatch.setattr(world.media.calls[-1], "bridge", broken)
        assert (await sbc.until(Rejected)).response.status == 500
        assert summary((await world.record()).outcome) == ("internal_error", 5010, "failed")
        assert world.registry.failures == 1
        world.registry.failures = 0

    play(story, tmp_path)


def test_a_caller_that_never_acknowledges_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Progress, count=2)
        world.network.wire.drop("ACK")
        await sbc.until(Ended)
        await desk.until(Ended)
        record = await world.record()
        assert summary(record.outcome) == ("not_acknowledged", 11061, "failed")

    play(story, tmp_path)
