"""What strangers wrote, in the log: their words, never commands to a terminal, and no more of them than help."""

from __future__ import annotations

import subprocess
import sys

import pytest

from b2bua.telemetry.logs import MAX_EXCERPT, excerpt

LINES = r"""
import io, logging, sys

class Terminal(io.StringIO):
    def isatty(self):
        return True

shown, sys.stderr = sys.stderr, Terminal()
from b2bua.telemetry.logs import configure, get_logger
configure()
log = get_logger().bind(call_id="c1\x1b]0;title\x07")
log.warning("unknown_source", user_agent="\x1b[2J\x9b31m\rforged\u202e")
try:
    raise ValueError("\x1b[2J")
except ValueError:
    log.exception("api_error")
logging.getLogger("sip_stack").warning("odd %s", "\x1b[2J\x07")
shown.write(ascii(sys.stderr.getvalue()))
"""


def test_a_terminal_obeys_nothing_that_a_peer_wrote() -> None:
    ran = subprocess.run([sys.executable, "-c", LINES], capture_output=True, text=True, check=True)
    shown = ran.stderr
    # `shown` is as Python writes text: what is obeyed has one backslash, what is shown has two.
    for command in (r"\x1b]0;", r"\x1b[2J", r"\x07", r"\x9b", r"\r", r"\u202e"):
        assert shown.count(command) == shown.count("\\" + command) > 0, command
    assert r"Traceback (most recent call last):\n" in shown, "a trace keeps its lines"


@pytest.mark.parametrize("header", [None, "", "SIPp", "x" * 60_000])
def test_of_a_header_that_anybody_can_send_a_line_has_the_beginning(header: str | None) -> None:
    assert excerpt(header) == (None if header is None else header[:MAX_EXCERPT])
