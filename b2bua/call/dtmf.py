"""A key press in a SIP INFO: `application/dtmf-relay` and `application/dtmf`, the two forms that phones send.

Both are older than RFC 6086 and have no specification of their own; what is read here is what Cisco, Asterisk and
their users write. Nothing else that an INFO may carry is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"

DEFAULT_DURATION_MS = 160
SHORTEST_MS, LONGEST_MS = 40, 5000
"""What a duration is brought into: shorter is not heard as a key, longer is a phone that lost count."""

_DIGITS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key and how long it was held."""

    digit: str
    """One of 0-9, *, #, A-D."""
    duration_ms: int = DEFAULT_DURATION_MS


def read_key_press(content_type: str, body: bytes) -> KeyPress | None:
    """The key in the body of an INFO, None when there is none. `content_type` is type and subtype, lower case."""
    text = body[:200].decode("ascii", "replace")
    if content_type == PLAIN:
        return _key_press(text.partition("=")[2] or text, "")
    if content_type != RELAY:
        return None
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        values[name.strip().lower()] = value
    return _key_press(values.get("signal", ""), values.get("duration", ""))


def write_key_press(key: KeyPress) -> bytes:
    """The body of an INFO of type `RELAY`."""
    return f"Signal={key.digit}\r\nDuration={key.duration_ms}\r\n".encode()


def _key_press(signal: str, duration: str) -> KeyPress | None:
    digit, duration = signal.strip().upper(), duration.strip()
    if digit.isascii() and digit.isdigit() and len(digit) == 2 and int(digit) < len(_DIGITS):
        digit = _DIGITS[int(digit)]  # 10 and 11 are * and #, as in telephone-event
    if len(digit) != 1 or digit not in _DIGITS:
        return None
    if not (duration.isascii() and duration.isdigit() and len(duration) < 7):
        return KeyPress(digit)
    return KeyPress(digit, min(max(int(duration), SHORTEST_MS), LONGEST_MS))
