"""Whole calls whose audio is carried by two rtpengine daemons: what callers hear, and a daemon that is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from signal import SIGKILL

import pytest

from tests.support.audio import tone, write_wav
from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCallee, RtpCaller, ToneStream, pitch
from tests.support.rtpengine import RtpengineDaemon

CALLER, ASSISTANT, MUSIC, HUMAN = TONES = (300.0, 440.0, 660.0, 880.0)
SILENCE = 0.0


@dataclass(slots=True)
class Stage:
    """One B2BUA, its two daemons, the assistant and the human."""

    b2bua: B2bua
    api: Api
    daemons: list[RtpengineDaemon]
    assistant: RtpCallee
    human: RtpCallee

    def carrier_of(self, caller: RtpCaller) -> RtpengineDaemon:
        """Whose port the caller was told."""
        _, port = caller.final()[0].media_address()
        return next(each for each in self.daemons if port in each.ports)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("rtpengine-calls")
    write_wav(folder / "hold.wav", tone(MUSIC, 1.0))
    with ExitStack() as stack:
        daemons = [stack.enter_context(RtpengineDaemon(folder, f"rtpengine-{number}")) for number in (1, 2)]
        for daemon in daemons:
            asyncio.run(daemon.answers())
        streams = [stack.enter_context(ToneStream(each)) for each in (ASSISTANT, HUMAN)]
        bot = stack.enter_context(RtpCallee(streams[0], answers=True))
        human = stack.enter_context(RtpCallee(streams[1]))
        desk = {"method": "invite", "route": f"sip:desk@{human.address}", "encryption": "udp/rtp"}
        nodes = [str(daemon.tcp) for daemon in daemons]
        media = {"engine": "rtpengine", "rtpengine": {"nodes": nodes, "spare_legs": 6}}
        b2bua, api = stack.enter_context(
            staged(
                folder,
                f"sip:bot@{bot.address}",
                {"desk": desk, "music": {**desk, "hold_music": "hold.wav"}},
                more={"media": media},
            )
        )
        yield Stage(b2bua, api, daemons, bot, human)


@contextmanager
def talking(stage: Stage) -> Iterator[RtpCaller]:
    """A caller who hears the assistant."""
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        for peer in (stage.assistant, stage.human):
            peer.forget()
        caller.talk(stage.b2bua.address, SUPPORT)
        until_heard(caller.audio, ASSISTANT)
        yield caller
        caller.hang_up()
        wait_until(lambda: not stage.api.live_calls(), 5.0, "the call is over")


def health(api: Api, node: str) -> tuple[float | None, float | None]:
    """Whether a daemon is up, and how often it was lost."""
    return api.metric("rtpengine_up", node=node), api.metric("rtpengine_lost_total", node=node)


def until_heard(audio: ToneStream, frequency: float, packets: int = 20) -> None:
    """Until so many more packets of a tone were heard."""
    before = len(audio.heard)

    def look() -> bool:
        fresh = audio.heard[before:]
        return sum(pitch(each.packet.payload, TONES) == frequency for each in fresh) >= packets

    wait_until(look, 10.0, f"{frequency} Hz")


def sequence(audio: ToneStream) -> list[float]:
    """The tones in the order they were heard, each once."""
    return [frequency for frequency, _ in groupby(pitch(each.packet.payload, TONES) for each in audio.heard)]


@pytest.mark.parametrize(
    ("destination", "heard"), [("music", [ASSISTANT, MUSIC, HUMAN]), ("desk", [ASSISTANT, HUMAN])]
)
def test_a_caller_is_handed_to_a_human(stage: Stage, destination: str, heard: list[float]) -> None:
    with talking(stage) as caller:
        handoff = stage.api.hand_off(stage.api.the_call(), destination=destination)
        until_heard(caller.audio, heard[-2])
        stage.human.answer()
        until_heard(caller.audio, HUMAN)
        stage.api.reaches(handoff, "connected")
        until_heard(stage.human.audio, CALLER)
    assert sequence(caller.audio) == heard, "nothing of the old after the first of the new"
    assert set(sequence(stage.human.audio)) == {CALLER}


def test_a_human_who_is_busy_leaves_the_caller_with_the_assistant(stage: Stage) -> None:
    with talking(stage) as caller:
        handoff = stage.api.hand_off(stage.api.the_call(), destination="desk")
        stage.human.reply(486, "Busy Here")
        stage.api.reaches(handoff, "failed")
        until_heard(caller.audio, ASSISTANT)
        until_heard(stage.assistant.audio, CALLER)
    assert sequence(caller.audio) == [ASSISTANT]


def test_a_killed_daemon_ends_its_calls_and_new_ones_go_to_the_other(stage: Stage) -> None:
    """Issue 6.5: SIGKILL of the rtpengine in use, and its return."""
    before = len(stage.b2bua.records())
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        caller.talk(stage.b2bua.address, SUPPORT)
        until_heard(audio, ASSISTANT)
        killed = stage.carrier_of(caller)
        node = str(killed.tcp)
        assert stage.api.metric("rtpengine_legs", node=node, state="in_use") == 2
        killed.send_signal(SIGKILL)
        wait_until(lambda: bool(caller.requests("BYE")), 10.0, "the caller is let go")
    record = stage.b2bua.records(before + 1)[-1]
    assert (record["outcome"]["name"], record["outcome"]["code"]) == ("media_engine_lost", 11070)
    assert health(stage.api, node) == (0, 1)
    assert stage.api.ask("GET", "/readyz")["rtpengine"] == {"nodes": 2, "up": 1}
    assert stage.api.metric("rtpengine_legs", node=node, state="spare") == 0
    for _ in range(2):
        with talking(stage) as caller:
            assert stage.carrier_of(caller) is not killed
    with killed.again() as back:
        stage.daemons = [back if daemon is killed else daemon for daemon in stage.daemons]
        carriers: set[RtpengineDaemon] = set()

        def both() -> bool:
            with talking(stage) as caller:
                carriers.add(stage.carrier_of(caller))
            return len(carriers) == 2

        wait_until(both, 15.0, "calls on both")
        assert health(stage.api, node) == (1, 1)
    assert (stage.api.metric("rtpengine_requests_total", node=node, result="answered") or 0) > 0
    assert (stage.api.metric("rtpengine_reply_seconds_total", node=node) or 0) > 0
