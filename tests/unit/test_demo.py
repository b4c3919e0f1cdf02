"""The demonstration judges what it plays: its ears, its order of events, and its verdict on each call."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import AgentHeard, CallerResult, Entry, Message, Ready, tell, understand
from b2bua.demo.report import PlayedCall, in_order
from b2bua.demo.settings import overrides
from b2bua.demo.story import AGENT_TONE, BUSY, CALLER_TONE, GOOD


@pytest.mark.parametrize(
    ("octet", "sample"),
    [(0xFF, 0), (0x7F, 0), (0x80, 32124), (0x00, -32124), (0xFE, 8), (0xE7, 260), (0x67, -260)],
)
def test_mu_law_decodes_to_the_values_of_g711(octet: int, sample: int) -> None:
    assert audio.sample_from_ulaw(octet) == sample


@given(st.integers(0, 255))
def test_a_decoded_octet_is_encoded_as_itself(octet: int) -> None:
    expected = 0xFF if octet == 0x7F else octet  # there are two zeros
    assert audio.ulaw_from_sample(audio.sample_from_ulaw(octet)) == expected


def heard(hertz: int, seconds: int) -> list[int]:
    return audio.decode(b"".join(audio.tone(hertz)) * seconds)


def test_a_tone_is_told_from_another() -> None:
    assert audio.tone_heard(heard(AGENT_TONE, 2), (CALLER_TONE, AGENT_TONE)) == AGENT_TONE
    assert audio.tone_heard(heard(AGENT_TONE, 2), (CALLER_TONE,)) is None


def test_a_tone_is_heard_though_it_pauses() -> None:
    assert audio.tone_heard(heard(425, 1) + [0] * audio.RATE + heard(425, 1), (AGENT_TONE, 425)) == 425


def test_half_a_tone_and_half_of_another_is_neither() -> None:
    mixed = [(one + other) // 2 for one, other in zip(heard(440, 2), heard(1000, 2), strict=True)]
    assert audio.tone_heard(mixed, (440, 1000)) is None


@pytest.mark.parametrize("samples", [[], [0] * 16000, heard(440, 1)[:2000]])
def test_silence_and_a_moment_of_sound_are_no_tone(samples: list[int]) -> None:
    assert audio.tone_heard(samples, (440,)) is None


@pytest.mark.parametrize(
    "message",
    [
        Entry(1.5, "caller", "good", "INVITE"),
        Ready(5060),
        CallerResult(None, "silence", None, 0.0),
        AgentHeard("good", 440),
    ],
)
def test_what_is_told_is_understood(message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    tell(message)
    assert understand(capsys.readouterr().out) == message


def played(**changes: object) -> PlayedCall:
    record: dict[str, object] = {"outcome": {"name": GOOD.outcome, "code": GOOD.code}}
    call = PlayedCall(
        GOOD,
        Path("good.wav"),
        result=CallerResult(200, "OK", AGENT_TONE, 2.5),
        agent_heard=CALLER_TONE,
        record=record,
    )
    return replace(call, **changes)  # type: ignore[arg-type]


def test_a_call_that_ended_as_it_should_has_no_problems() -> None:
    assert played().problems() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"result": None}, "no result"),
        (
            {"result": CallerResult(486, "Busy Here", AGENT_TONE, 2.5)},
            "the caller got 486 Busy Here, not 200",
        ),
        ({"result": CallerResult(200, "OK", None, 0.0)}, "the caller heard nothing, not 440 Hz"),
        ({"agent_heard": None}, "the agent heard nothing, not 1000 Hz"),
        ({"record": None}, "no record"),
        ({"record": {"outcome": {"name": "busy", "code": 3010}}}, "recorded as busy 3010"),
        ({"scenario": BUSY}, "not 486"),
    ],
)
def test_every_wrong_end_is_named(changes: dict[str, object], said: str) -> None:
    assert said in "; ".join(played(**changes).problems())


def test_an_invite_comes_before_what_it_causes_even_when_it_was_logged_later() -> None:
    challenge = Entry(10.001, "contact centre", "good", "asks for a password: 407")
    invite = Entry(10.002, "b2bua", "good", "INVITE sip:good@127.0.0.1")
    first = Entry(10.000, "caller", "good", "INVITE sip:good@…")
    assert [entry.what for entry in in_order([challenge, invite, first])] == [
        first.what,
        invite.what,
        challenge.what,
    ]


def test_passwords_reach_the_b2bua_by_its_environment_but_for_the_wrong_one(tmp_path: Path) -> None:
    texts = "\n".join(overrides(5060, tmp_path / "cdr.jsonl"))
    passwords = re.findall(r'"password": "([^"]*)"', texts)
    assert sorted(set(passwords)) == ["${B2BUA_DEMO_PASSWORD}", "not-the-password"]
    assert passwords.count("not-the-password") == 1


def test_audio_is_put_in_order_by_its_timestamps_with_silence_for_what_is_missing() -> None:
    frames = [bytes([octet]) * audio.FRAME for octet in (0x10, 0x20, 0x30)]
    start = 0xFFFFFFFF - audio.FRAME  # the counter wraps on the way

    async def listen() -> list[int]:
        stream = AudioStream()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for position in (1, 0, 3):
                stamp = (start + position * audio.FRAME) % 2**32
                payload = frames[min(position, 2)]
                peer.sendto(
                    struct.pack("!BBHII", 0x80, 0, position, stamp, 7) + payload, stream.local_address
                )
            peer.sendto(b"no RTP", stream.local_address)
            async with asyncio.timeout(10):
                while stream.packets_in < 3:  # noqa: ASYNC110 - a phone has no need to tell
                    await asyncio.sleep(0)
        stream.close()
        return stream.heard()

    silence = b"\xff" * audio.FRAME
    assert asyncio.run(listen()) == audio.decode(frames[0] + frames[1] + silence + frames[2])
