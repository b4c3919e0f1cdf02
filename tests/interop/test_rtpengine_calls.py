"""Calls by two rtpengine daemons over WebSockets, one of which is killed. What callers hear: test_handoff_audio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from signal import SIGKILL

import pytest

from tests.support import voices
from tests.support.b2bua_process import B2bua
from tests.support.engines import over_rtpengine
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.rtpengine import RtpengineDaemon
from tests.support.voices import ToneStream

CALLER, ASSISTANT = TONES = (300.0, 440.0)
until_heard = partial(voices.until_heard, tones=TONES)


@dataclass(slots=True)
class Stage:
    """One B2BUA, its two daemons, and the assistant."""

    b2bua: B2bua
    api: Api
    daemons: list[RtpengineDaemon]
    assistant: RtpCallee

    def carrier_of(self, caller: RtpCaller) -> RtpengineDaemon:
        """Whose port the caller was told."""
        _, port = caller.final()[0].media_address()
        return next(each for each in self.daemons if port in each.ports)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("rtpengine-calls")
    with ExitStack() as stack:
        daemons = [stack.enter_context(RtpengineDaemon(folder, f"rtpengine-{number}")) for number in (1, 2)]
        for daemon in daemons:
            asyncio.run(daemon.answers())
        bot = stack.enter_context(RtpCallee(stack.enter_context(ToneStream(ASSISTANT)), answers=True))
        nobody = {"desk": {"route": f"sip:desk@{bot.address}"}}
        media = over_rtpengine(daemons, transport="ws").media
        b2bua, api = stack.enter_context(staged(folder, f"sip:bot@{bot.address}", nobody, media=media))
        yield Stage(b2bua, api, daemons, bot)


@contextmanager
def talking(stage: Stage) -> Iterator[RtpCaller]:
    """A caller who hears the assistant."""
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        stage.assistant.forget()
        caller.talk(stage.b2bua.address, SUPPORT)
        until_heard(caller.audio, ASSISTANT)
        yield caller
        caller.hang_up()
        wait_until(lambda: not stage.api.live_calls(), 5.0, "the call is over")


def health(api: Api, node: str) -> tuple[float | None, float | None]:
    """Whether a daemon is up, and how often it was lost."""
    return api.metric("rtpengine_up", node=node), api.metric("rtpengine_lost_total", node=node)


def log_lines(b2bua: B2bua, event: str) -> list[dict[str, str]]:
    """The lines of the log about that."""
    lines = map(json.loads, b2bua.errors.splitlines())
    return [line for line in lines if line["event"] == event]


def test_a_killed_daemon_ends_its_calls_and_new_ones_go_to_the_other(stage: Stage) -> None:
    """Issue 6.5: SIGKILL of the rtpengine in use, and its return."""
    before = len(stage.b2bua.records())
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        caller.talk(stage.b2bua.address, SUPPORT)
        until_heard(audio, ASSISTANT)
        killed = stage.carrier_of(caller)
        node = str(killed.ws)
        assert stage.api.metric("rtpengine_legs", node=node, state="in_use") == 2
        killed.send_signal(SIGKILL)
        wait_until(lambda: bool(caller.requests("BYE")), 10.0, "the caller is let go")
    record = stage.b2bua.records(before + 1)[-1]
    assert (record["outcome"]["name"], record["outcome"]["code"]) == ("media_engine_lost", 11070)
    assert health(stage.api, node) == (0, 1)
    (line,) = log_lines(stage.b2bua, "rtpengine_lost")
    assert (line["level"], line["node"]) == ("error", node)
    assert line["error"] == "does not answer"
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
    assert log_lines(stage.b2bua, "rtpengine_up")[-1]["node"] == node
    assert (stage.api.metric("rtpengine_requests_total", node=node, result="answered") or 0) > 0
    assert (stage.api.metric("rtpengine_reply_seconds_total", node=node) or 0) > 0
