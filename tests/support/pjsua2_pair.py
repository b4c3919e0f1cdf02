"""Two PJSUA2 phones in one call, and what both of them must agree about."""

from __future__ import annotations

from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.processes import wait_until

Flows = tuple[bool, bool]
"""(sends, hears)."""

PATIENCE = 40.0
"""Seconds that a storm of re-INVITEs may take to calm down: waits after 491, several of them."""


def flows(phone: PjsuaPhone) -> Flows:
    """What the phone does with its audio now."""
    last = phone.events("direction")[-1]
    return bool(last["sends"]), bool(last["hears"])


def agree(one: PjsuaPhone, other: PjsuaPhone, expected: Flows) -> None:
    """Until the audio of `one` flows as expected, and that of `other` the other way round."""
    wait_until(
        lambda: flows(one) == expected and flows(other) == expected[::-1],
        PATIENCE,
        lambda: f"{expected}, but {flows(one)} and {flows(other)}",
    )


def reoffer(phone: PjsuaPhone, verb: str) -> None:
    """Hold, resume, update or ask, and again until the other side has agreed: there may be glare."""
    method = "UPDATE" if verb == "update" else "INVITE"

    def agreed() -> bool:
        told, finals = len(phone.events("reoffer")), len(phone.events("final", method=method))
        phone.tell(verb)
        wait_until(lambda: len(phone.events("reoffer")) > told, 5.0, "the phone obeys")
        if not phone.events("reoffer")[-1]["sent"]:
            return False  # an earlier offer is open
        wait_until(lambda: len(phone.events("final", method=method)) > finals, PATIENCE, f"{method} is over")
        return int(str(phone.events("final", method=method)[-1]["status"])) < 300

    wait_until(agreed, PATIENCE, f"{verb} succeeds")


def connect(caller: PjsuaPhone, callee: PjsuaPhone, uri: str, *, command: str = "call") -> None:
    """Bring a call up that both hear."""
    caller.tell(command, uri=uri)
    callee.wait_for("incoming")
    callee.tell("answer", status=200)
    caller.wait_for_state("CONFIRMED")
    callee.wait_for_state("CONFIRMED")
    agree(caller, callee, (True, True))
