"""What `b2bua call` says of an attempt: one line, whole, with the reason."""

from __future__ import annotations

import pytest

from b2bua.call import cause
from b2bua.call.record import AttemptRecord
from b2bua.probe import told

ANSWERED = cause.local("normal_hangup")


@pytest.mark.parametrize(
    ("outcome", "answered", "line"),
    [
        (ANSWERED, 10.5, "answered after 500 ms"),
        (cause.from_response(486, "Busy Here"), None, "busy 3010 after 2000 ms; SIP 486 Busy Here"),
        (
            cause.local("network_error", detail="no-such-host.invalid: the name does not exist"),
            None,
            "network_error 5000 after 2000 ms; no-such-host.invalid: the name does not exist",
        ),
    ],
)
def test_each_attempt_is_a_line(outcome: cause.Outcome, answered: float | None, line: str) -> None:
    attempt = AttemptRecord(
        "billing",
        "invite",
        "sip:queue-1@cc.example.com",
        "udp/rtp",
        10.0,
        answered=answered,
        ended=12.0,
        outcome=outcome,
    )
    assert told(attempt) == f"billing sip:queue-1@cc.example.com: {line}"
