"""The media engine of the tests keeps the engine's promises, so that tests standing on it mean something."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.engine import (
    Codec,
    Engine,
    MediaCall,
    MediaError,
    MediaLeg,
    PortsExhausted,
    Prompt,
    StreamParameters,
)
from media.events import (
    DtmfDigit,
    EngineLost,
    FirstPacket,
    MediaEvent,
    MediaTimeout,
    PromptEnded,
    Quiet,
    Switched,
)
from tests.support.media_double import MediaDouble
from tests.support.media_leg_double import Nothing

PHONE = StreamParameters(("192.0.2.10", 4000), None, Codec.PCMA, 8, 101)


def test_it_is_an_engine() -> None:
    engine: Engine = MediaDouble()
    call: MediaCall = engine.open_call(lambda event: None)
    leg: MediaLeg = call.open_leg("caller")

    assert isinstance(engine, Engine)
    assert isinstance(call, MediaCall)
    assert isinstance(leg, MediaLeg)


def test_ports_run_out_and_come_back() -> None:
    engine = MediaDouble(capacity=2)
    call = engine.open_call(lambda event: None)
    first, second = call.open_leg("caller"), call.open_leg("agent")

    with pytest.raises(PortsExhausted):
        call.open_leg("agent")
    call.close_leg(first)
    call.close_leg(first)

    assert engine.free_ports == 1
    assert first.local_address != second.local_address
    assert call.open_leg("agent").local_address == first.local_address


def test_a_leg_hears_one_other_at_a_time() -> None:
    call = MediaDouble().open_call(lambda event: None)
    caller, assistant, agent = (call.open_leg(role) for role in ("caller", "assistant", "agent"))

    call.bridge(caller, assistant)
    call.bridge(caller, agent)

    assert (caller.peer, agent.peer, assistant.peer) == (agent, caller, None)
    call.close_leg(agent)
    assert caller.peer is None


def test_what_makes_no_sense_is_refused() -> None:
    engine = MediaDouble()
    call, other = engine.open_call(lambda event: None), engine.open_call(lambda event: None)
    leg = call.open_leg("caller")

    with pytest.raises(MediaError):
        call.bridge(leg, leg)
    with pytest.raises(MediaError):
        other.bridge(leg, other.open_leg("agent"))
    call.close()
    with pytest.raises(MediaError):
        call.open_leg("agent")


def test_events_come_when_the_test_says_so_and_never_after_the_end() -> None:
    heard: list[MediaEvent] = []
    call = MediaDouble().open_call(heard.append)
    leg = call.open_leg("caller")

    leg.hear()
    assert heard == [], "nothing is agreed: no packet is valid yet"

    leg.set_remote(PHONE)
    leg.hear()
    leg.hear(49)
    leg.press("5")
    leg.set_media_timeout(60.0)
    leg.fall_silent()
    call.lose("gone")
    assert heard == [FirstPacket(leg), DtmfDigit(leg, "5", 100), MediaTimeout(leg), EngineLost("gone")]
    assert leg.statistics().packets_in == 51
    assert leg.statistics().codec is Codec.PCMA

    call.close()
    leg.press("6")
    call.lose()
    assert len(heard) == 4


def test_a_new_address_is_latched_anew_and_an_old_one_is_not() -> None:
    heard: list[MediaEvent] = []
    call = MediaDouble().open_call(heard.append)
    leg = call.open_leg("agent")
    moved = StreamParameters(("192.0.2.11", 4000), None, Codec.PCMA, 8, 101)

    for parameters in (PHONE, PHONE, moved):
        leg.set_remote(parameters)
        leg.hear()

    assert heard == [FirstPacket(leg)] * 2
    assert leg.agreed == [PHONE, PHONE, moved]


def test_a_leak_is_seen() -> None:
    engine = MediaDouble()
    call = engine.open_call(lambda event: None)
    call.open_leg("caller")

    with pytest.raises(AssertionError, match="caller leg on port 20000"):
        engine.assert_nothing_open()
    call.close()
    engine.assert_nothing_open()


def test_watching_is_the_call_s_duty() -> None:
    leg = MediaDouble().open_call(lambda event: None).open_leg("caller")

    with pytest.raises(AssertionError, match="nobody watches"):
        leg.fall_silent()


def test_a_leg_hears_prompts_silence_and_others_one_way() -> None:
    heard: list[MediaEvent] = []
    engine = MediaDouble()
    call = engine.open_call(heard.append)
    caller, assistant = call.open_leg("caller"), call.open_leg("assistant")
    music: Prompt = engine.load_prompt(Path("hold.wav"))
    call.bridge(caller, assistant)

    call.hear(caller, music, loop=False)
    assert (caller.source, assistant.peer) == (music, caller)
    caller.finish_prompt()
    sources = [caller.source]
    call.hear(caller, assistant)
    assert caller.peer is assistant
    call.close_leg(assistant)
    assert [*sources, caller.source] == [Nothing.SILENCE, Nothing.NOBODY]
    assert heard == [PromptEnded(caller)]


def test_who_waits_hears_the_first_packet_or_silence_until_then() -> None:
    heard: list[MediaEvent] = []
    call = MediaDouble().open_call(heard.append)
    caller, agent = call.open_leg("caller"), call.open_leg("agent")
    agent.set_remote(PHONE)

    call.hear_when_heard(caller, agent)
    agent.hear()
    assert caller.peer is agent
    call.hear(caller, None)
    call.hear_when_heard(caller, agent)
    caller.wait_in_vain()
    assert caller.source is Nothing.SILENCE
    agent.hear()
    assert caller.peer is agent
    assert heard == [FirstPacket(agent), Switched(caller, heard=True), Switched(caller, heard=False)]


def test_another_wish_ends_a_wait() -> None:
    heard: list[MediaEvent] = []
    call = MediaDouble().open_call(heard.append)
    caller, assistant, agent = (call.open_leg(role) for role in ("caller", "assistant", "agent"))
    agent.set_remote(PHONE)

    call.hear_when_heard(caller, agent)
    call.bridge(caller, assistant)
    agent.hear()
    call.hear_when_heard(caller, agent)
    call.close_leg(agent)

    assert (caller.peer, caller.awaits) == (assistant, None)
    assert heard == [FirstPacket(agent)]


def test_the_end_of_talking_is_told_once() -> None:
    heard: list[MediaEvent] = []
    leg = MediaDouble().open_call(heard.append).open_leg("assistant")

    leg.watch_silence(400)
    leg.stop_talking()

    assert (heard, leg.quiet_ms) == ([Quiet(leg)], None)
    with pytest.raises(MediaError):
        leg.watch_silence(19)


def test_prompts_may_be_unreadable_and_must_be_the_engines_own() -> None:
    engine = MediaDouble()
    engine.unreadable.add(Path("broken.wav"))
    call, other = engine.open_call(lambda event: None), engine.open_call(lambda event: None)
    leg = call.open_leg("caller")

    with pytest.raises(MediaError, match="broken"):
        engine.load_prompt(Path("broken.wav"))
    with pytest.raises(MediaError):
        call.hear(leg, leg)
    with pytest.raises(MediaError):
        call.hear(leg, other.open_leg("agent"))
    assert engine.load_prompt(Path("hold.wav")) == engine.load_prompt(Path("hold.wav"))
