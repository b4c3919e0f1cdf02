"""What calls tell the media engine beyond addresses and codecs, and what their records tell of the audio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from media.engine import Latching
from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Rejected
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, DESTINATIONS, SBC, Phone, World, offer, play

TRUNK = '    accept: {addresses: ["192.0.2.0/24"]}\n'


def test_the_record_tells_how_the_audio_was(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        caller, agent = world.legs()
        caller.counters = replace(
            caller.counters,
            packets_in=950,
            packets_out=1000,
            lost=50,
            late=3,
            duplicates=2,
            unauthenticated=4,
            replayed=1,
            jitter_ms=2.04,
            longest_gap_ms=140,
            remote_lost=7,
            remote_jitter_ms=1.5,
            round_trip_ms=80.04,
        )
        agent.counters = replace(agent.counters, packets_in=1000)
        sbc.do(call.bye)
        record = await world.record()
        assert record.as_json()["media"] == {
            "caller": {
                "codec": "PCMU",
                "packets_in": 950,
                "packets_out": 1000,
                "lost": 50,
                "late": 3,
                "duplicates": 2,
                "jitter_ms": 2.0,
                "longest_gap_ms": 140,
                "mos": 3.86,
                "rtt_ms": 80.0,
                "remote_lost": 7,
                "unauthenticated": 4,
                "replayed": 1,
            },
            "assistant": {},
            "agent": {
                "codec": "PCMU",
                "packets_in": 1000,
                "packets_out": 0,
                "lost": 0,
                "late": 0,
                "duplicates": 0,
                "jitter_ms": 0.0,
                "longest_gap_ms": 0,
                "mos": 4.4,
                "rtt_ms": None,
                "remote_lost": None,
                "unauthenticated": 0,
                "replayed": 0,
            },
        }

    play(story, tmp_path)


def test_a_side_that_was_never_heard_has_no_score(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)
        record = await world.record()
        assert record.media["caller"]["mos"] is None

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("media", "trunk", "caller", "agent"),
    [
        ("", "", Latching.AUTO, Latching.AUTO),
        ("  latching: disabled\n", "", Latching.DISABLED, Latching.DISABLED),
        ("", "    latching: strict\n", Latching.STRICT, Latching.AUTO),
        ("  latching: strict\n", "    latching: auto\n", Latching.AUTO, Latching.STRICT),
    ],
)
def test_latching_is_that_of_the_trunk_or_that_of_all(
    tmp_path: Path, media: str, trunk: str, caller: Latching, agent: Latching
) -> None:
    main = CONFIGURATION.replace("trunks:\n", f"{media}trunks:\n").replace(TRUNK, TRUNK + trunk)

    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        assert tuple(leg.latching for leg in world.legs()) == (caller, agent)
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=main)


def test_the_engine_is_told_where_the_sip_of_each_leg_comes_from(tmp_path: Path) -> None:
    """What tells a peer behind a NAT from a stranger."""

    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        assert [leg.signalling for leg in world.legs()] == [SBC, DESK]
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("callers", "agents", "offered", "crosses"),
    [
        ("0 13 101", "0 13 101", True, True),
        ("0 13 101", "0 101", True, False),
        ("0 101", "0 13 101", False, False),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_comfort_noise_is_agreed_with_both_sides_or_with_the_caller_not(
    tmp_path: Path, callers: str, agents: str, offered: bool, crosses: bool, early: bool
) -> None:
    asked = []

    async def pick_up(phone: Phone, session: ServerSession, request: Request) -> None:
        asked.append(request.body)
        if early:
            phone.do(lambda now: session.progress(now, 183, body=offer(phone.host, payload=agents)))
        phone.do(lambda now: session.answer(now, body=offer(phone.host, payload=agents)))

    async def story(world: World) -> None:
        await world.phone(DESK, pick_up)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=offer(SBC, payload=callers))
        answered = await sbc.until(Answered)
        assert (b" 13 " in asked[0].split(b"m=audio")[1].splitlines()[0]) is offered
        assert (b"CN/8000" in answered.response.body) is crosses
        caller, agent = world.legs()
        assert caller.parameters is not None
        assert agent.parameters is not None
        assert caller.parameters.comfort_noise is crosses
        assert agent.parameters.comfort_noise is crosses
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path)


NAMED = DESTINATIONS.replace(f"route: sip:operator@{DESK}", "route: sip:operator@pbx.example.com")


@pytest.mark.parametrize("addresses", [["2001:db8::1", DESK], ["2001:db8::1"]])
def test_who_is_reached_over_ipv6_alone_is_not_rung_by_an_engine_without_it(
    tmp_path: Path, addresses: list[str]
) -> None:
    """As an rtpengine without an address of IPv6. Another address of theirs is tried."""
    main = CONFIGURATION.replace(f"address: {B2BUA}", "address: 0.0.0.0")

    async def story(world: World) -> None:
        world.media.lacks_ipv6 = True
        world.names["pbx.example.com"] = addresses
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        if DESK in addresses:
            await sbc.until(Answered)
            sbc.do(call.bye)
            record = await world.record()
            assert [leg.remote_address for leg in record.legs] == [f"{SBC}:5060", f"{DESK}:5060"]
            return
        assert (await sbc.until(Rejected)).response.status == 488
        outcome = (await world.record()).outcome
        assert outcome is not None
        assert (outcome.name, outcome.code, outcome.source) == ("media_not_acceptable", 11030, "b2bua")
        assert outcome.detail == "no IPv6 address"

    play(story, tmp_path, main=main, destinations=NAMED)


def _over_ipv6(body: bytes, *, in_section: bool) -> bytes:
    """The same description with its audio at an address of IPv6, said for all of it or for the audio alone."""
    line = f"c=IN IP6 {FAR}\r\n"
    lines = body.decode().splitlines(keepends=True)
    kept = [each if in_section else line if each.startswith("c=") else each for each in lines]
    return "".join(kept).replace("a=rtpmap", f"{line}a=rtpmap", int(in_section)).encode()


OURS, FAR = "2001:db8::1", "2001:db8::9"
BOTH = CONFIGURATION.replace(f"address: {B2BUA}", 'address: "::"').replace(
    "sip:\n", f"sip:\n  advertise: {{default: {B2BUA}, '::/0': '{OURS}'}}\n"
)


@pytest.mark.parametrize("in_section", [False, True])
def test_who_signals_over_ipv4_may_have_the_audio_over_ipv6(tmp_path: Path, in_section: bool) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=_over_ipv6(offer(SBC), in_section=in_section))
        answered = await sbc.until(Answered)
        assert f"c=IN IP6 {OURS}" in answered.response.body.decode()
        caller, agent = world.legs()
        assert (caller.ipv6, agent.ipv6) == (True, False), "each leg on its own"
        assert caller.parameters is not None
        assert caller.parameters.remote == (FAR, 4000)
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=BOTH)


@pytest.mark.parametrize("lacking", ["the engine", "the address of the audio"])
def test_who_wants_audio_over_ipv6_is_refused_where_there_is_none(tmp_path: Path, lacking: str) -> None:
    main = BOTH if lacking == "the engine" else CONFIGURATION

    async def story(world: World) -> None:
        world.media.lacks_ipv6 = lacking == "the engine"
        sbc = await world.phone(SBC)
        sbc.call("desk", body=_over_ipv6(offer(SBC), in_section=False))
        assert (await sbc.until(Rejected)).response.status == 488
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "media_not_acceptable"
        assert not record.attempts, "nobody was rung"

    play(story, tmp_path, main=main)
