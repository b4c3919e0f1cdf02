"""What a random call is going to be: drawn from a seed before it starts, so that a failing one can be played again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from sip_stack.extensions import Extensions, TimerTerms

QUIET = 80.0
"""Seconds of talk after which every re-INVITE is settled, on this network and between these phones."""
REFUSALS = (302, 400, 403, 404, 408, 480, 482, 486, 488, 500, 503, 600, 603, 606)
BUSY = "198.51.100.3"
"""The phone here always refuses."""
GUARDED = "198.51.100.2"
"""The phone here asks for credentials."""
DESTINATIONS = (*["desk"] * 9, *["billing"] * 3, *["fork"] * 3, "pair", "fallback", "nobody", "unknown")
"""Users that the B2BUA has routes for; the world around it is in test_random_calls.py."""
ALERTS = ("none", "180", "180", "183", "early media", "180 and early media")
ANSWERS = ("answer",) * 8 + ("refuse", "refuse", "silence", "useless", "deaf")
CHANGES = ("hold", "hold", "hold", "resume", "UPDATE", "empty UPDATE", "no offer", "codec", "INFO", "OPTIONS")
REOFFERS = ("hold", "resume", "no offer", "codec", "UPDATE")
ENDINGS = (
    *("caller", "caller", "caller", "desk", "desk", "desk", "both", "both"),
    *(
        "no audio",
        "time limit",
        "caller vanishes",
        "desk vanishes",
        "never ACKed",
        "api",
        "change and hang up",
    ),
)
EXTENSIONS = (
    *[Extensions()] * 3,
    *(Extensions(reliable=use) for use in ("supported", "required")),
    *(Extensions(TimerTerms("supported", 90, refresher=who)) for who in ("any", "us", "far_end")),
    *(Extensions(TimerTerms("required", 90, refresher=who), "required") for who in ("us", "far_end")),
)
"""What phones can beyond RFC 3261; the B2BUA can all of it."""


@dataclass(frozen=True)
class Plan:
    """What the two sides of a call are going to do; times in seconds."""

    seed: str
    number: int
    called: str
    start: float
    patience: float
    """After so long without an answer the caller gives up."""
    alert: str
    rings: float
    """From INVITE to the destination's final response, if there is one."""
    answer: str
    refusal: int
    changes: tuple[tuple[float, str, str], ...]
    """Pause, who (caller, desk, both), what."""
    talk: float
    ending: str
    offers: bool
    """The caller's INVITE has a session description."""
    caller_extensions: Extensions
    desk_extensions: Extensions

    @classmethod
    def draw(cls, seed: str, number: int) -> Plan:
        """The plan of call `number` in the world of `seed`."""
        source = random.Random(f"{seed}/{number}")
        who = ("caller", "desk", "both")
        return cls(
            seed=seed,
            number=number,
            called=source.choice(DESTINATIONS),
            start=source.uniform(0, 60),
            # One caller in four is impatient; some leave just when the answer is on its way.
            patience=source.choice([120, 120, 120, source.uniform(0, 8)]),
            alert=source.choice(ALERTS),
            # One destination in ten answers when the B2BUA gives up (`ring_timeout` is 20 s).
            rings=source.choice([source.uniform(0, 6)] * 9 + [source.uniform(19.8, 20.2)]),
            answer=source.choice(ANSWERS),
            refusal=source.choice(REFUSALS),
            changes=tuple(
                (source.choice([0.0, source.uniform(0, 4)]), source.choice(who), source.choice(CHANGES))
                for _ in range(source.choice([0, 1, 1, 2, 4]))
            ),
            talk=source.choice([0.0, source.uniform(0, 1), source.uniform(1, 10), QUIET, QUIET, QUIET]),
            ending=source.choice(ENDINGS),
            offers=(offers := source.random() > 0.05),
            # Our stack as a phone has no answer for an offer in a reliable response.
            caller_extensions=source.choice(EXTENSIONS) if offers else Extensions(),
            desk_extensions=source.choice(EXTENSIONS),
        )

    def of(self, name: str) -> random.Random:
        """The small decisions of one side on its way, each side with a source of its own."""
        return random.Random(f"{self.seed}/{self.number}/{name}")
