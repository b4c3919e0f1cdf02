"""The demonstration listens: its ears, its messages, and the settings that it plays with."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.config import load_configuration
from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.call_log import entries
from b2bua.demo.journal import (
    CallerResult,
    Entry,
    Heard,
    Message,
    Ready,
    Referred,
    ScreenPop,
    Talks,
    tell,
    understand,
)
from b2bua.demo.phone import PASSWORD
from b2bua.demo.settings import CONFIG, KEY, overrides
from b2bua.demo.story import (
    AGENT_TONE,
    ASSISTANT_TONE,
    CALLER_TONE,
    MUSIC_TONE,
    RINGING_TONE,
    SCENARIOS,
    TONES,
)

SILENCE = [0] * audio.RATE


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


def sound(hertz: int, seconds: int = 1) -> list[int]:
    return audio.decode(b"".join(audio.tone(hertz)) * seconds)


def test_tones_are_heard_in_their_order() -> None:
    heard = audio.hearing(sound(ASSISTANT_TONE) + sound(MUSIC_TONE) + sound(AGENT_TONE), TONES)
    assert heard.tones == [ASSISTANT_TONE, MUSIC_TONE, AGENT_TONE]
    assert heard.pause <= 0.05


def test_a_tone_that_comes_back_is_heard_again() -> None:
    heard = audio.hearing(sound(ASSISTANT_TONE) + sound(MUSIC_TONE) + sound(ASSISTANT_TONE), TONES)
    assert heard.tones == [ASSISTANT_TONE, MUSIC_TONE, ASSISTANT_TONE]


def test_a_pause_within_a_tone_is_measured_and_silence_around_it_is_not() -> None:
    ringing = sound(RINGING_TONE) + SILENCE + sound(RINGING_TONE)
    assert audio.hearing(ringing, TONES) == audio.Hearing([RINGING_TONE], 1.0)
    assert audio.hearing(SILENCE + sound(ASSISTANT_TONE) + SILENCE, TONES) == audio.Hearing(
        [ASSISTANT_TONE], 0.0
    )


def test_two_voices_at_once_are_neither() -> None:
    mixed = [(one + other) // 2 for one, other in zip(sound(ASSISTANT_TONE), sound(CALLER_TONE), strict=True)]
    heard = audio.hearing(sound(ASSISTANT_TONE) + mixed + sound(ASSISTANT_TONE), TONES)
    assert heard == audio.Hearing([ASSISTANT_TONE], 1.0)


@pytest.mark.parametrize("samples", [[], SILENCE, sound(ASSISTANT_TONE)[: audio.WINDOW - 1], sound(523)])
def test_silence_a_moment_and_an_unknown_sound_are_no_tone(samples: list[int]) -> None:
    assert audio.hearing(samples, TONES) == audio.Hearing([], 0.0)


def test_the_ear_notices_a_change_once_and_never_by_one_frame() -> None:
    noticed: list[int] = []
    ear = audio.Ear(TONES, noticed.append)
    one, other = audio.tone(ASSISTANT_TONE), audio.tone(AGENT_TONE)
    for frame in [b"\xff" * audio.FRAME, *one[:5], other[0], *one[:5], *other[:5]]:
        ear.hear(frame)
    assert noticed == [ASSISTANT_TONE, AGENT_TONE]


@pytest.mark.parametrize(
    "message",
    [
        Entry(1.5, "caller", "good", "INVITE", "assistant"),
        Ready(5060),
        CallerResult(None, "silence"),
        Heard("agent", "good", [CALLER_TONE], 0.0, 2.5, 1),
        Talks("asked-over-http", "c1"),
        Referred("asked-by-refer", 202, [100, 200], [False, True]),
        ScreenPop("asked-over-http", "h1"),
    ],
)
def test_what_is_told_is_understood(message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    tell(message)
    assert understand(capsys.readouterr().out) == message


def test_our_log_is_told_in_words() -> None:
    log = [
        f'{{"timestamp": "2026-01-01T00:00:0{second}Z", "call_id": "{call}", {rest}}}'
        for second, (call, rest) in enumerate(
            [
                ("c1", '"event": "received", "trunk": "sbc"'),
                ("c2", '"event": "received", "trunk": "sbc"'),
                ("c1", '"event": "dialing", "leg": "agent", "target": "sip:billing@127.0.0.1:5070"'),
                ("c1", '"event": "refer_sent", "target": "sip:operator@127.0.0.1"'),
                ("c1", '"event": "of_no_interest"'),
            ]
        )
    ]
    told = entries(log, "c1", "good")
    assert [(entry.what, entry.to) for entry in told] == [
        ("lets sbc in", ""),
        ("INVITE sip:billing@…", "contact centre"),
        ("REFER to sip:operator@…", "caller"),
    ]
    assert [entry.at - told[0].at for entry in told] == [0, 2, 3]


def test_secrets_reach_the_b2bua_by_its_environment_but_for_the_wrong_password(tmp_path: Path) -> None:
    texts = "\n".join(overrides(5060, 5080, tmp_path))
    passwords = re.findall(r'"password": "([^"]*)"', texts)
    assert set(passwords) == {f"${{{PASSWORD}}}", "not-the-password"}
    assert passwords.count("not-the-password") == 2
    assert f'"keys": ["${{{KEY}}}"]' in texts


def test_the_settings_are_a_configuration_with_a_place_for_every_call(tmp_path: Path) -> None:
    environ = {PASSWORD: "right", KEY: "long enough"}
    configuration = load_configuration(CONFIG, environ, overrides(5060, 5080, tmp_path))
    assert configuration.api is not None
    for scenario in SCENARIOS:
        route = next(route for route in configuration.routes if route.matches("local-sbc", scenario.user))
        if scenario.transfer is None:
            assert route.destination == scenario.user
        else:
            assert route.assistant is not None
            assert (
                configuration.destinations[scenario.transfer.destination].method == scenario.transfer.method
            )
    (music,) = configuration.hold_music_files()
    assert music.parent == tmp_path


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
        assert stream.sources == {7}
        return stream.heard()

    silence = b"\xff" * audio.FRAME
    assert asyncio.run(listen()) == audio.decode(frames[0] + frames[1] + silence + frames[2])
