"""`timers:` how long things may take. What each ends: docs/configuration.md, "timers"."""

from __future__ import annotations

from b2bua.config.durations import LongDuration, OptionalDuration, WaitDuration
from b2bua.config.section import Section


class Timers(Section):
    """The defaults; destinations and assistants may set their own. Seconds."""

    connect_timeout: WaitDuration = 4.0
    """No response of any kind to an INVITE without credentials: the next address is tried."""
    ring_timeout: WaitDuration = 30.0
    """From an attempt's first INVITE to its final response, challenges included."""
    auth_timeout: WaitDuration = 5.0
    """From the INVITE with credentials to any response."""
    media_timeout: OptionalDuration = 60.0
    """No audio from one side of an answered call for this long ends it; 0 never does."""
    time_limit: LongDuration = 14_400.0
    """The longest an answered call may last."""
    refer_timeout: WaitDuration = 30.0
    """From a REFER to the news of how it ended."""


class DialTimers(Section):
    """The timers of what we dial, where it sets its own; None keeps the default."""

    connect_timeout: WaitDuration | None = None
    """No response of any kind to an INVITE without credentials: the next address is tried."""
    ring_timeout: WaitDuration | None = None
    """From an attempt's first INVITE to its final response, challenges included."""
    auth_timeout: WaitDuration | None = None
    """From the INVITE with credentials to any response."""
    media_timeout: OptionalDuration | None = None
    """No audio from one side of an answered call for this long ends it; 0 never does."""

    def over(self, defaults: Timers) -> Timers:
        """The defaults with what is set here in their place."""
        own = {
            name: value
            for name in Timers.model_fields
            if name in type(self).model_fields and (value := getattr(self, name)) is not None
        }
        return defaults.model_copy(update=own) if own else defaults


class TimerOverrides(DialTimers):
    """The timers that a destination may set."""

    time_limit: LongDuration | None = None
    """The longest an answered call may last."""
    refer_timeout: WaitDuration | None = None
    """`refer`: from the REFER to the news of how it ended."""
