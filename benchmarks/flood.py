"""A trusted trunk calls while strangers flood: how many of its calls fail (none may), and what a flood packet costs.

SIPp calls from 127.0.0.1; garbage, scanners and half-right SIP come from 127.0.0.2 and its neighbours (see
`tests/support/flooder.py`), at several rates, beside a run without. `benchmarks/flood.py` prints a table and ends with
status 1 when a call failed; `--seconds 60 --rates 20000` is the soak. Everything is bounded in packets and in time, and
nothing but loopback is ever sent to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say  # noqa: E402

from tests.support.audio import mu_law, tone  # noqa: E402
from tests.support.b2bua_process import B2bua  # noqa: E402
from tests.support.flooder import Flood  # noqa: E402
from tests.support.sipp import sipp_callee, sipp_caller  # noqa: E402

SERVER_CORE, LOAD_CORE = 1, 0
HOLD_MS = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    packets: int
    """Sent by the flood."""
    answers: int
    """That came back to it."""
    calls: int
    failed: int
    repeated: int
    """Messages of the calls that had to be sent again, because the kernel's buffer had no room."""
    cpu: float
    """CPU seconds of the B2BUA."""


def measure(packet_rate: int, call_rate: int, seconds: int) -> Result:
    """So many calls a second for `seconds`, under so many packets a second."""
    calls = call_rate * seconds
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "tone.pcmu").write_bytes(mu_law(tone(440, 2.0)))
        callee = stack.enter_context(sipp_callee(folder, cpus=[LOAD_CORE]))
        media = {"ports": "10000-31999"}
        destinations = {"support": {"route": f"sip:desk@{callee.address}"}}
        b2bua = stack.enter_context(B2bua(folder, destinations, media=media, cpus=[SERVER_CORE]))
        before = b2bua.cpu_seconds()
        flood = None
        if packet_rate:
            flood = stack.enter_context(
                Flood(
                    folder, b2bua.port, rate=packet_rate, seconds=seconds + 2, sources=100, cpus=[LOAD_CORE]
                )
            )
        caller = stack.enter_context(
            sipp_caller(
                folder,
                b2bua.host_port,
                calls=calls,
                rate=call_rate,
                call_length_ms=HOLD_MS,
                cpus=[LOAD_CORE],
            )
        )
        made = caller.finished(seconds + 60)
        flooded = flood.finished() if flood is not None else None
        spent = b2bua.cpu_seconds() - before
        taken = callee.finish()
    return Result(
        packets=flooded.sent if flooded is not None else 0,
        answers=flooded.answers if flooded is not None else 0,
        calls=calls,
        failed=max(calls - made.successful, calls - taken.successful),
        repeated=made.repeated + taken.repeated,
        cpu=spent,
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=[5_000, 20_000, 50_000], metavar="PER_SECOND")
    parser.add_argument("--calls", type=int, default=20, metavar="PER_SECOND", help="calls of the trunk")
    parser.add_argument("--seconds", type=int, default=20, help="length of each run")
    options = parser.parse_args()
    alone = measure(0, options.calls, options.seconds)
    say("| packets/s asked | sent | answered | calls | failed | repeated messages | CPU µs per packet |")
    say("|---|---|---|---|---|---|---|")
    results = {0: alone}
    for rate in options.rates:
        results[rate] = measure(rate, options.calls, options.seconds)
    for rate, result in results.items():
        extra = 1e6 * (result.cpu - alone.cpu) / result.packets if result.packets else 0.0
        say(
            f"| {rate} | {result.packets} | {result.answers} | {result.calls} | {result.failed} "
            f"| {result.repeated} | {extra:.1f} |"
        )
    if any(result.failed for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
