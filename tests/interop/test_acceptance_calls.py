"""PJSUA2 phones: the human answers, hears the whisper alone, and gets the caller by a key; judged by the recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.audio import Samples, dominant_frequency, share_of, sound, sounding, tone, write_wav
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier, Limit
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.processes import wait_until

CALLER, ASSISTANT, HUMAN, WHISPER = 300.0, 440.0, 880.0, 1500.0
WHISPERED = 1.0
"""Seconds of the whisper."""
EDGE = 0.1
"""Seconds around a switch that are not judged: a packet on its way, a jitter buffer."""


class Cast(NamedTuple):
    """Alice talks to the bot; the human is to take over."""

    b2bua: B2bua
    api: Api
    alice: PjsuaPhone
    bot: PjsuaPhone
    human: PjsuaPhone

    def more(self, *phones: PjsuaPhone, seconds: float = 0.8) -> None:
        """Let these phones record so much more."""
        goals = [(phone, phone.heard_so_far() + seconds) for phone in phones]
        wait_until(lambda: all(each.heard_so_far() > goal for each, goal in goals), 15.0, "recorded")


@pytest.fixture
def cast(engine: Carrier, tmp_path: Path) -> Iterator[Callable[..., Cast]]:
    """Alice and the bot talk; the argument is what `desk`, the human's destination, says further."""
    write_wav(tmp_path / "whisper.wav", tone(WHISPER, WHISPERED))
    with ExitStack() as stack:

        def start(**desk: object) -> Cast:
            phones = {
                name: stack.enter_context(PjsuaPhone(tmp_path, name, frequency))
                for name, frequency in (("human", HUMAN), ("bot", ASSISTANT), ("alice", CALLER))
            }
            destinations = {"desk": {"route": phones["human"].uri, **desk}}
            b2bua, api = stack.enter_context(
                staged(tmp_path, phones["bot"].uri, destinations, media=engine.media)
            )
            cast = Cast(b2bua, api, phones["alice"], phones["bot"], phones["human"])
            cast.alice.tell("call", uri=b2bua.uri(SUPPORT))
            cast.bot.wait_for("incoming")
            cast.bot.tell("answer", status=200)
            cast.alice.wait_for_state("CONFIRMED")
            cast.more(cast.alice, cast.bot)
            return cast

        yield start


def answer(cast: Cast) -> None:
    """The human picks up."""
    cast.human.wait_for("incoming")
    cast.human.tell("answer", status=200)
    cast.human.wait_for_state("CONFIRMED")


def part(heard: Samples, start: float, end: float) -> Samples:
    """From one second to another."""
    return heard[round(start * 8000) : round(end * 8000)]


def only(heard: Samples, frequency: float) -> None:
    """Fails unless this tone, and no other, is in what was heard."""
    assert dominant_frequency(heard) == pytest.approx(frequency, abs=3)
    assert share_of(heard, frequency) > 0.95, "and nobody else"


def seconds_of(heard: Samples, frequency: float) -> float:
    """How long a tone was heard."""
    frames = heard[: heard.size // 160 * 160].reshape(-1, 160)
    loud = sounding(heard)
    return 0.02 * sum(
        bool(is_loud) and share_of(frame, frequency, 60) > 0.7
        for frame, is_loud in zip(frames, loud, strict=True)
    )


def test_the_whisper_is_heard_by_the_human_alone_and_the_key_gets_them_the_caller(
    cast: Callable[..., Cast],
) -> None:
    stage = cast(whisper="whisper.wav", accept_key="1")
    handoff = stage.api.hand_off(stage.api.the_call(), destination="desk")
    answer(stage)
    stage.more(stage.human, seconds=WHISPERED + 0.7)
    asked = {phone: phone.heard_so_far() for phone in (stage.alice, stage.human)}
    assert stage.api.handoff(handoff["id"])["state"] == "ringing", "not accepted yet"
    stage.human.tell("dtmf", digits="1")
    assert stage.api.reaches(handoff, "connected")["attempts"][0]["answered"] is not None
    stage.bot.wait_for_state("DISCONNECTED")
    stage.more(stage.alice, stage.human, seconds=1.2)
    stage.human.tell("hangup")
    stage.alice.wait_for_state("DISCONNECTED")
    heard = {phone: phone.quit() for phone in (stage.alice, stage.bot, stage.human)}

    before = sound(part(heard[stage.human], 0, asked[stage.human] - EDGE))
    only(before, WHISPER)
    assert before.size / 8000 == pytest.approx(WHISPERED, abs=0.3), "once, and then silence"
    only(sound(heard[stage.human])[-6400:], CALLER)
    only(sound(part(heard[stage.alice], 0, asked[stage.alice] - EDGE)), ASSISTANT)
    only(sound(heard[stage.alice])[-6400:], HUMAN)
    only(sound(heard[stage.bot]), CALLER)
    for phone in (stage.alice, stage.bot):
        assert seconds_of(heard[phone], WHISPER) == 0, f"{phone.name} heard the whisper"


@pytest.mark.parametrize("engine", ["native"], indirect=True)
def test_a_voicemail_box_does_not_get_the_caller(cast: Callable[..., Cast]) -> None:
    stage = cast(accept_key="1", accept_timeout="1500ms")
    handoff = stage.api.hand_off(stage.api.the_call(), destination="desk")
    answer(stage)
    outcome = stage.api.reaches(handoff, "failed")["outcome"]
    assert (outcome["name"], outcome["code"]) == ("confirm_failed", 9110)
    stage.human.wait_for_state("DISCONNECTED")
    stage.more(stage.alice, stage.bot)
    stage.alice.tell("hangup")
    stage.bot.wait_for_state("DISCONNECTED")
    only(sound(stage.alice.quit()), ASSISTANT)
    assert sound(stage.human.quit()).size == 0, "nobody was put through to it"
    assert stage.b2bua.record()["outcome"]["code"] == 4000


def test_digits_reach_the_phone_as_telephone_events_before_the_caller_does(
    engine: Carrier, cast: Callable[..., Cast]
) -> None:
    engine.needs(Limit.EVENTS)
    stage = cast()
    handoff = stage.api.hand_off(stage.api.the_call(), destination="desk", post_dial_digits="12w#")
    answer(stage)
    stage.human.wait_for("dtmf", digit="#")
    assert [event["digit"] for event in stage.human.events("dtmf")] == ["1", "2", "#"]
    stage.api.reaches(handoff, "connected")
    stage.more(stage.alice, stage.human)
    stage.alice.tell("hangup")
    stage.human.wait_for_state("DISCONNECTED")
    only(sound(stage.human.quit())[-4800:], CALLER)
