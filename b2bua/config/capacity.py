"""How many calls the configuration and the system allow at once."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from b2bua.config.configuration import Configuration
from b2bua.wording import counted
from sip_stack.settings import EndpointSettings

LEGS_PER_CALL = 2
"""Caller and human. A leg takes one RTP/RTCP port pair."""
LEGS_PER_HANDOFF = 3
"""Caller, assistant and human, while the one hands over to the other."""
SOCKETS_PER_PAIR = 2
SESSIONS = EndpointSettings().max_sessions
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
    by_sessions: int
    """What the SIP stack keeps sessions for, one for each leg."""
    open_files: int | None
    ports: str

    @property
    def calls(self) -> int:
        """The smallest of them."""
        bounds = (self.by_ports, self.by_open_files, self.by_limit, self.by_sessions)
        return min(bound for bound in bounds if bound is not None)

    def __str__(self) -> str:
        reasons = [self.ports if self.by_ports is None else f"media.ports {self.ports}: {self.by_ports}"]
        if self.by_open_files is not None:
            reasons.append(f"{self.open_files} open files: {self.by_open_files}")
        if self.by_limit is not None:
            reasons.append(f"limits.max_calls: {self.by_limit}")
        if self.by_sessions == self.calls:
            reasons.append(f"{SESSIONS} SIP sessions: {self.by_sessions}")
        return f"{counted(self.calls, 'call')} at once ({'; '.join(reasons)})"


def capacity(configuration: Configuration, open_files: int | None = None) -> Capacity:
    """How many calls are possible at once, were all of them handed over together where routes have assistants.

    `open_files` is the limit of this process unless given.
    """
    handoffs = any(route.assistant is not None for route in configuration.routes)
    legs = LEGS_PER_HANDOFF if handoffs else LEGS_PER_CALL
    sessions, limit = SESSIONS // legs, configuration.limits.max_calls
    rtpengine = configuration.media.rtpengine
    if rtpengine is not None:
        daemons = f"audio ports are those of {' and '.join(map(str, rtpengine.nodes))}"
        return Capacity(None, None, limit, sessions, None, daemons)
    files = _open_file_limit() if open_files is None else open_files
    return Capacity(
        by_ports=configuration.media.ports.pairs // legs,
        by_open_files=None if files is None else max(files - RESERVED_FILES, 0) // (legs * SOCKETS_PER_PAIR),
        by_limit=limit,
        by_sessions=sessions,
        open_files=files,
        ports=str(configuration.media.ports),
    )


def _open_file_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
