"""How many calls the configuration and the system allow at once."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from b2bua.config.configuration import Configuration
from b2bua.wording import counted

LEGS_PER_CALL = 2
"""Caller and human. A leg takes one RTP/RTCP port pair."""
LEGS_PER_HANDOFF = 3
"""Caller, assistant and human, while the one hands over to the other."""
SOCKETS_PER_PAIR = 2
RESERVED_FILES = 64
"""Open files that are no audio sockets: listeners, records, logs, event descriptors, name look-ups."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The bounds of calls at once."""

    by_ports: int | None
    """What `media.ports` allows; None when daemons have the ports."""
    by_open_files: int | None
    """What the open-file limit allows; None when there is no limit, or no file is opened for audio."""
    by_limit: int | None
    """`limits.max_calls`, when set."""
    open_files: int | None
    ports: str

    @property
    def calls(self) -> int | None:
        """The smallest of them; None without any."""
        bounds = (self.by_ports, self.by_open_files, self.by_limit)
        return min((bound for bound in bounds if bound is not None), default=None)

    def __str__(self) -> str:
        reasons = [self.ports if self.by_ports is None else f"media.ports {self.ports}: {self.by_ports}"]
        if self.by_open_files is not None:
            reasons.append(f"{self.open_files} open files: {self.by_open_files}")
        if self.by_limit is not None:
            reasons.append(f"limits.max_calls: {self.by_limit}")
        calls = "any number of calls" if self.calls is None else counted(self.calls, "call")
        return f"{calls} at once ({'; '.join(reasons)})"


def capacity(configuration: Configuration, open_files: int | None = None) -> Capacity:
    """How many calls are possible at once, were all of them handed over together where routes have assistants.

    `open_files` is the limit of this process unless given.
    """
    rtpengine = configuration.media.rtpengine
    if rtpengine is not None:
        daemons = f"audio ports are those of {' and '.join(map(str, rtpengine.nodes))}"
        return Capacity(None, None, configuration.limits.max_calls, None, daemons)
    limit = _open_file_limit() if open_files is None else open_files
    handoffs = any(route.assistant is not None for route in configuration.routes)
    legs = LEGS_PER_HANDOFF if handoffs else LEGS_PER_CALL
    return Capacity(
        by_ports=configuration.media.ports.pairs // legs,
        by_open_files=None if limit is None else max(limit - RESERVED_FILES, 0) // (legs * SOCKETS_PER_PAIR),
        by_limit=configuration.limits.max_calls,
        open_files=limit,
        ports=str(configuration.media.ports),
    )


def _open_file_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
