"""The calls of the demonstration, and how each of them should end (docs/outcomes.md, docs/handoff.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CALLER_TONE = 1000
"""Hertz; what the caller sings into the phone."""
ASSISTANT_TONE = 440
"""Hertz; how the assistant talks."""
AGENT_TONE = 880
"""Hertz; how the person at the contact centre talks."""
MUSIC_TONE = 660
"""Hertz; the hold music."""
RINGING_TONE = 425
"""Hertz; what the contact centre lets the caller hear while it rings (early media)."""
TONES = (CALLER_TONE, ASSISTANT_TONE, AGENT_TONE, MUSIC_TONE, RINGING_TONE)

ASKS_AFTER = 1.5
"""Seconds that caller and assistant talk before a human is asked for."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A handoff: who asks for it, where it goes, and the end that counts as right."""

    asked_by: Literal["assistant", "application"]
    """The assistant asks by REFER; the application over HTTP, for an assistant that only talks."""
    destination: str
    reason: str
    outcome: str
    code: int
    released_by: str
    """Who ends the assistant's leg: `b2bua` when it lets go of it, else whoever ends the call."""
    method: Literal["invite", "refer", "bye"] = "invite"
    told: int | None = None
    """The status in the last NOTIFY to an assistant that asked."""
    confirmed: str | bool | None = None
    """How the caller's SBC confirms it (refer, bye)."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Context that the application gives along, and that the human's screen shows."""
    callbacks: tuple[str, ...] = ()
    """The callbacks that it gets, in this order; where there are none, it asks for none."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call: whom it is for, what becomes of it, and the end that counts as right."""

    user: str
    """The number dialled; whoever answers behaves accordingly."""
    title: str
    plot: str
    status: int
    """The final response the caller must get."""
    outcome: str
    code: int
    hears: tuple[int, ...] = ()
    """The tones that the caller must hear, in this order and no other; none where there is nothing to hear."""
    agent_hears: tuple[int, ...] = ()
    pause: float = 0.3
    """The longest time in seconds that what the caller hears may be none of them."""
    talk: float = 2.5
    """Seconds from the answer until the caller hangs up."""
    transfer: Transfer | None = None


GOOD = Scenario(
    "good",
    "good call",
    "the contact centre asks for a password, answers, plays 880 Hz",
    200,
    "normal_hangup",
    4000,
    hears=(AGENT_TONE,),
    agent_hears=(CALLER_TONE,),
)
WRONG_PASSWORD = Scenario(
    "wrong-password",
    "wrong password",
    "the contact centre asks again and again",
    502,
    "sip_auth_failed",
    4240,
)
SILENT = Scenario(
    "silent",
    "silent after credentials",
    "the contact centre asks for a password, then says nothing",
    504,
    "sip_auth_timeout",
    4250,
)
BUSY = Scenario("busy", "busy", "the contact centre asks for a password, then 486", 486, "busy", 3010)
NO_ANSWER = Scenario(
    "no-answer",
    "no answer",
    "the contact centre asks for a password, then rings on",
    480,
    "no-answer",
    6010,
    hears=(RINGING_TONE,),
    pause=1.2,
)
CALLS = (GOOD, WRONG_PASSWORD, SILENT, BUSY, NO_ANSWER)
"""Straight to the contact centre."""

ASKED_BY_REFER = Scenario(
    "asked-by-refer",
    "handoff asked by REFER",
    "the assistant refers the caller to `billing`, where a human answers",
    200,
    "normal_hangup",
    4000,
    hears=(ASSISTANT_TONE, AGENT_TONE),
    agent_hears=(CALLER_TONE,),
    talk=4.5,
    transfer=Transfer("assistant", "billing", "disputed invoice", "normal_hangup", 4000, "b2bua", told=200),
)
ASKED_OVER_HTTP = Scenario(
    "asked-over-http",
    "handoff asked over HTTP",
    "the application asks for `sales`; hold music plays until the human speaks",
    200,
    "normal_hangup",
    4000,
    hears=(ASSISTANT_TONE, MUSIC_TONE, AGENT_TONE),
    agent_hears=(CALLER_TONE,),
    talk=4.5,
    transfer=Transfer(
        "application",
        "sales",
        "wants a quote",
        "normal_hangup",
        4000,
        "b2bua",
        data={"customer": "C-1017", "seats": "40"},
        callbacks=("DialAnswer", "DialConnected", "DialHangup", "DialAction"),
    ),
)
OLD_PASSWORD = Scenario(
    "old-password",
    "handoff that fails",
    "the password for `archive` is wrong; the caller stays with the assistant",
    200,
    "normal_hangup",
    4000,
    hears=(ASSISTANT_TONE,),
    talk=3.5,
    transfer=Transfer("assistant", "archive", "old invoice", "sip_auth_failed", 4240, "caller", told=502),
)
BY_REFER = Scenario(
    "by-refer",
    "handoff by REFER",
    "the caller's SBC is asked to connect the operator, and says that it did",
    200,
    "normal_hangup",
    4000,
    hears=(ASSISTANT_TONE,),
    talk=6.0,
    transfer=Transfer(
        "application",
        "desk-by-refer",
        "wants a person",
        "normal_hangup",
        4000,
        "caller",
        method="refer",
        confirmed="notify",
    ),
)
BY_BYE = Scenario(
    "by-bye",
    "handoff by BYE",
    "the caller's SBC gets the caller back, with the reason in a header",
    200,
    "normal_hangup",
    4000,
    hears=(ASSISTANT_TONE,),
    talk=6.0,
    transfer=Transfer(
        "application",
        "back-to-sbc",
        "speaks Dutch",
        "normal_hangup",
        4000,
        "b2bua",
        method="bye",
        confirmed=True,
    ),
)
HANDOFFS = (ASKED_BY_REFER, ASKED_OVER_HTTP, OLD_PASSWORD, BY_REFER, BY_BYE)
"""First to an assistant, who cannot help."""

SCENARIOS = (*CALLS, *HANDOFFS)
