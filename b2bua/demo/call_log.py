"""What the B2BUA's own log says about a call, as entries beside those of the caller and the contact centre."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from b2bua.demo.journal import Entry

WORDS = {
    "received": "lets the call of {trunk} in",
    "dialing": "INVITE {target}",
    "challenged": "INVITE again, with credentials",
    "ringing": "passes {status} on",
    "answered": "bridges caller and agent",
    "attempt_failed": "gives the attempt up",
    "ended": "ended: {cause} {code}",
}
"""How the events of the log are told; others are left out."""


def entries(log: Iterable[str], call_id: str, user: str) -> list[Entry]:
    """The lines of one call, in order. ValueError when a line is no JSON."""
    found = []
    for line in log:
        fields = json.loads(line)
        words = WORDS.get(fields["event"])
        if words is not None and fields.get("call_id") == call_id:
            at = datetime.fromisoformat(fields["timestamp"]).timestamp()
            found.append(Entry(at, "b2bua", user, words.format_map(fields)))
    return found
