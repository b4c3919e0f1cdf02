"""SRTP through a whole call: what the engine is told of keys, when they change, and how a call without them ends.

Over UDP, as the fake network has no TLS: `media.srtp.keys_in_clear` is set where keys may cross.
"""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path

import pytest

from media.srtp import CryptoSuite, SrtpKeys
from sip_stack.events import Answered, Rejected, ReofferCompleted
from tests.support.b2bua_world import CONFIGURATION, DESK, SBC, World, offer, play

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def settings(srtp: str, *, keys_in_clear: bool = True) -> str:
    permitted = CONFIGURATION.replace(
        "media:\n", f"media:\n  srtp: {{keys_in_clear: {str(keys_in_clear).lower()}}}\n"
    )
    return permitted.replace("    max_calls: 100\n", f"    max_calls: 100\n    srtp: {srtp}\n")


def key_of(fill: int) -> bytes:
    return bytes([fill]) * SUITE.key_octets


def secure(fill: int, profile: str = "RTP/SAVP") -> bytes:
    """The caller's offer with a key that is all `fill`."""
    line = f"a=crypto:1 {SUITE} inline:{base64.b64encode(key_of(fill)).decode()}\r\n"
    return offer(SBC).replace(b"RTP/AVP", profile.encode()) + line.encode()


@pytest.mark.parametrize("srtp", ["required", "preferred"])
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
def test_the_callers_keys_are_the_callers_alone(tmp_path: Path, srtp: str, profile: str) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=secure(7, profile))
        answered = await sbc.until(Answered)
        assert b" " + profile.encode() + b" 0 " in answered.response.body
        assert b"crypto" not in desk.invites()[0].body
        caller, agent = world.legs()
        assert agent.parameters is not None
        assert agent.parameters.keys is None
        assert caller.parameters is not None
        first = caller.parameters.keys
        assert isinstance(first, SrtpKeys)
        assert first.remote == key_of(7)
        assert base64.b64encode(first.local) in answered.response.body

        for fill in (7, 8):  # repeated, then changed
            sbc.do(partial(call.reoffer, body=secure(fill, profile)))
            await sbc.until(ReofferCompleted, count=fill - 6)
            assert caller.parameters.keys == SrtpKeys(SUITE, first.local, key_of(fill))
        sbc.do(call.bye)
        record = await world.record()
        assert [leg.encryption for leg in record.legs] == ["udp/srtp", "udp/rtp"]
        assert base64.b64encode(first.local).decode() not in str(record.as_json())

    play(story, tmp_path, main=settings(srtp))


def test_a_call_that_is_encrypted_is_not_taken_back_to_plain(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=secure(7))
        await sbc.until(Answered)
        caller, _ = world.legs()
        before = caller.parameters
        sbc.do(lambda now: call.reoffer(now, offer(SBC)))
        refused = await sbc.until(ReofferCompleted)
        assert refused.response is not None
        assert refused.response.status == 488
        assert caller.parameters == before
        sbc.do(call.bye)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path, main=settings("preferred"))


@pytest.mark.parametrize(
    ("body", "keys_in_clear"), [(offer(SBC), True), (secure(7), False), (offer(SBC), False)]
)
def test_where_srtp_is_required_a_call_without_it_is_refused(
    tmp_path: Path, body: bytes, keys_in_clear: bool
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk", body=body)
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == 488
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code) == ("srtp_required", 11010)

    play(story, tmp_path, main=settings("required", keys_in_clear=keys_in_clear))


def test_keys_in_clear_are_not_taken_where_they_are_only_a_wish(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=secure(7, "RTP/AVP"))
        answered = await sbc.until(Answered)
        assert b"crypto" not in answered.response.body
        sbc.do(call.bye)
        record = await world.record()
        assert [leg.encryption for leg in record.legs] == ["udp/rtp", "udp/rtp"]

    play(story, tmp_path, main=settings("preferred", keys_in_clear=False))
