"""The five calls of the demonstration, and how each of them should end (docs/outcomes.md)."""

from __future__ import annotations

from dataclasses import dataclass

CALLER_TONE = 1000
"""Hertz; what the caller sings into the phone."""
AGENT_TONE = 440
"""Hertz; what the person at the contact centre answers with."""
RINGING_TONE = 425
"""Hertz; what the contact centre lets the caller hear while it rings (early media)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call: whom it is for, what the contact centre does with it, and the end that counts as right."""

    user: str
    """The number dialled; the contact centre behaves accordingly."""
    title: str
    far_end: str
    status: int
    """The final response the caller must get."""
    outcome: str
    code: int
    tone: int | None
    """Hertz that must fill what the caller hears; None where there is nothing to hear."""


GOOD = Scenario(
    "good", "good call", "asks for a password, answers, plays 440 Hz", 200, "normal_hangup", 4000, AGENT_TONE
)
WRONG_PASSWORD = Scenario(
    "wrong-password", "wrong password", "asks again and again", 502, "sip_auth_failed", 4240, None
)
SILENT = Scenario(
    "silent",
    "silent after credentials",
    "asks for a password, then says nothing",
    504,
    "sip_auth_timeout",
    4250,
    None,
)
BUSY = Scenario("busy", "busy", "asks for a password, then 486", 486, "busy", 3010, None)
NO_ANSWER = Scenario(
    "no-answer", "no answer", "asks for a password, then rings on", 480, "no-answer", 6010, RINGING_TONE
)

SCENARIOS = (GOOD, WRONG_PASSWORD, SILENT, BUSY, NO_ANSWER)
