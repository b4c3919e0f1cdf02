"""What carries the audio of a test, ours or an rtpengine: one story is told over both, but for what one cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum

import pytest

from media.engine import Engine
from tests.support.b2bua_process import Settings
from tests.support.native_calls import running
from tests.support.ports import LOOPBACK
from tests.support.rtpengine import RtpengineDaemon, engine_on

ENGINES = ("native", "rtpengine")


class Limit(StrEnum):
    """What rtpengine cannot do, in the words of the table in docs/media.md: these rows and no others."""

    ONE_STREAM = "one SSRC, sequence and clock per leg"
    EXACT_PACKET = "the exact packet of a switch"
    SEVERAL_LISTENERS = "be heard by several"
    MIX = "add voices up"
    SILENCE = "tell silence"
    MACHINES = "tell machines from people"
    OTHER_CODECS = "other codecs"
    RECORD = "record"
    EVENTS = "send digits as events"
    RENUMBER_EVENTS = "give telephone-event another payload type"
    COUNT_LOSS = "count loss and jitter"
    PROTECT_LATER = "turn a plain leg into an SRTP one"
    COMFORT_NOISE = "comfort noise for one side alone"


@dataclass(frozen=True, slots=True)
class Carrier:
    """An engine that a test is played on."""

    name: str
    media: Settings
    """The section `media` of b2bua.yaml, for `B2bua`."""
    running: Callable[[], AbstractAsyncContextManager[Engine]]
    """The engine itself, in the process of the test."""
    limits: frozenset[Limit] = frozenset()

    def can(self, what: Limit) -> bool:
        """Whether it does that."""
        return what not in self.limits

    def needs(self, *what: Limit) -> None:
        """Skips the test where the engine cannot do that."""
        missing = self.limits.intersection(what)
        if missing:
            pytest.skip(f"{self.name} cannot: {', '.join(sorted(missing))} (docs/media.md)")


NATIVE = Carrier("native", {}, running)


def over_rtpengine(
    daemons: Sequence[RtpengineDaemon],
    *,
    transport: str = "tcp",
    interfaces: Mapping[str, str] | None = None,
) -> Carrier:
    """By these daemons; `interfaces` as configured."""
    told: dict[str, object] = {
        "nodes": [str(getattr(daemon, transport)) for daemon in daemons],
        "spare_legs": 6,
    }
    if interfaces is not None:
        told["interfaces"] = interfaces
    if transport != "tcp":
        told["dtmf_listen"] = f"{LOOPBACK}:{daemons[0].digits_port}"
    return Carrier(
        "rtpengine",
        {"engine": "rtpengine", "rtpengine": told},
        lambda: engine_on(*daemons, transport=transport),
        frozenset(Limit),
    )
