"""What one session may use beyond RFC 3261, and the header lines that say so.

Values only: what session timers do is in `dialog/session_timer.py`. Extensions are per session: what one peer
asks for or refuses says nothing of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sip_stack.errors import RemoteError
from sip_stack.message import Request

Use = Literal["disabled", "supported", "required"]
"""Whether an extension may be used, or must be."""

TIMER = "timer"
"""Option tag of session timers (RFC 4028)."""

RELIABLE = "100rel"
"""Option tag of reliable provisional responses (RFC 3262)."""

NEGOTIATED = frozenset({TIMER, RELIABLE})
"""Option tags that each session decides on; the others of `EndpointSettings.supported` hold for all."""

HeaderLine = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TimerTerms:
    """How one session is kept from outliving its far end (RFC 4028); durations are seconds."""

    use: Use = "disabled"
    expires: int = 1800
    """The session interval we ask for, and at most grant."""
    min_se: int = 90
    """The shortest interval we take; RFC 4028 section 4 allows none below 90."""
    refresher: Literal["any", "us", "far_end"] = "any"
    """Who is to refresh where it is ours to choose; `any` leaves it to the answering side, which is then the caller."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions of one session. Made once per peer and shared, so that its lines are written once."""

    timer: TimerTerms = TimerTerms()
    reliable: Use = "disabled"
    """Provisional responses that are acknowledged; `supported`, the far end requires it or we have something to say in
    them that must not get lost."""
    tags: tuple[str, ...] = field(init=False, compare=False)
    """The option tags for Supported."""
    required: tuple[str, ...] = field(init=False, compare=False)
    """Those that the far end has to support."""
    invite_lines: tuple[HeaderLine, ...] = field(init=False, compare=False)
    """What the first INVITE says beside Supported."""

    def __post_init__(self) -> None:
        uses = {TIMER: self.timer.use, RELIABLE: self.reliable}
        object.__setattr__(self, "tags", tuple(tag for tag, use in uses.items() if use != "disabled"))
        object.__setattr__(self, "required", tuple(tag for tag, use in uses.items() if use == "required"))
        require = (("Require", ", ".join(self.required)),) if self.required else ()
        timer = self.timer
        lines = () if timer.use == "disabled" else timer_lines(timer, timer.expires, timer.min_se)
        object.__setattr__(self, "invite_lines", (*require, *lines))

    def judge(self, invite: Request) -> None:
        """Raises RemoteError: 420 for what an INVITE requires and this session does not do, 421 for what this
        session requires and the INVITE does not support (RFC 3261 sections 8.2.2.3 and 21.4.16)."""
        asked = [tag for tag in invite.require if tag in NEGOTIATED and tag not in self.tags]
        if asked:
            raise RemoteError(420, f"Not done here: {', '.join(asked)}", [("Unsupported", ", ".join(asked))])
        if self.required:
            offered = {*invite.supported, *invite.require}
            missing = [tag for tag in self.required if tag not in offered]
            if missing:
                raise RemoteError(
                    421, f"Required here: {', '.join(missing)}", [("Require", ", ".join(missing))]
                )


def timer_lines(terms: TimerTerms, expires: int, min_se: int) -> tuple[HeaderLine, ...]:
    """Session-Expires and Min-SE of a first INVITE (RFC 4028 section 7.1)."""
    refresher = {"any": "", "us": ";refresher=uac", "far_end": ";refresher=uas"}[terms.refresher]
    return (("Session-Expires", f"{expires}{refresher}"), ("Min-SE", str(min_se)))


NO_EXTENSIONS = Extensions()
