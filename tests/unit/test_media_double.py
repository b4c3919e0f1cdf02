"""The media engine of the tests keeps the engine's promises, so that tests standing on it mean something."""

from __future__ import annotations

import pytest

from media.engine import (
    Codec,
    DtmfDigit,
    Engine,
    EngineLost,
    FirstPacket,
    MediaCall,
    MediaError,
    MediaEvent,
    MediaLeg,
    MediaTimeout,
    PortsExhausted,
    StreamParameters,
)
from tests.support.media_double import MediaDouble

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
