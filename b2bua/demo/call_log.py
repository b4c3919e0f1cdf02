"""What the B2BUA's own log says about a call, as entries beside those of the people in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime

from b2bua.demo.journal import Entry

WORDS = {
    "received": "lets {trunk} in",
    "dialing": "INVITE {target}",
    "challenged": "INVITE again, with credentials",
    "ringing": "passes {status} on",
    "answered": "bridges the audio",
    "attempt_failed": "gives the attempt up",
    "handoff": "handoff to {destination}",
    "refer_sent": "REFER to {target}",
    "bye_sent": "BYE",
    "handed_over": "caller and human hear each other",
    "handoff_over": "handoff {state}: {cause} {code}",
    "ended": "ended: {cause} {code}",
}
"""How the events of the log are told; others are left out."""
_HOST = re.compile(r"@[^ ]+")
FAR_ENDS = {"assistant": "assistant", "agent": "contact centre"}
"""Who is at the other end of a leg."""
TO_THE_CALLER = ("refer_sent", "bye_sent")


def entries(log: Iterable[str], call_id: str, user: str) -> list[Entry]:
    """The lines of one call, in order. ValueError when a line is no JSON."""
    found = []
    for line in log:
        fields = json.loads(line)
        words = WORDS.get(fields["event"])
        if words is not None and fields.get("call_id") == call_id:
            at = datetime.fromisoformat(fields["timestamp"]).timestamp()
            to = "caller" if fields["event"] in TO_THE_CALLER else FAR_ENDS.get(fields.get("leg", ""), "")
            what = _HOST.sub("@…", words.format_map(fields))
            found.append(Entry(at, "b2bua", user, what, to))
    return found
