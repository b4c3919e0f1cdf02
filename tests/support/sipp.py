"""SIPp 3.6.1 (Debian's sip-tester: UDP, MD5) as caller and callee, its counters read from its own files.

A caller is a run of so many calls that ends by itself; a callee serves until it is told to `finish`. Success of the
caller alone says little: a server that forgets the callee's BYE looks clean from the caller's side.
"""

from __future__ import annotations

import csv
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import LOOPBACK, free_port, in_use, listened_to
from tests.support.processes import ChildProcess, PeerError, wait_until

_SOUND = re.compile(r" *<nop>\s*<action><exec rtp_stream=.*?</nop>\n", re.DOTALL)

PATIENCE_MS = 20_000
"""For the next message, where the scenario names no other time."""
SCENARIOS = Path(__file__).parent.parent / "interop" / "sipp"


@dataclass(frozen=True, slots=True)
class SippCounters:
    """What one SIPp process counted over its whole run."""

    created: int
    successful: int
    failed: int
    sent_again: int
    """Messages it had to send again."""
    received_again: int
    """Messages that reached it more than once."""
    messages: int
    """Messages sent and received, repetitions not counted."""

    @property
    def repeated(self) -> int:
        """Repetitions in either direction."""
        return self.sent_again + self.received_again


class Sipp(ChildProcess):
    """One SIPp process playing a scenario file."""

    def __init__(
        self,
        name: str,
        scenario: Path | str,
        folder: Path,
        arguments: Sequence[str],
        *,
        keys: Mapping[str, str] | None = None,
        media_port: int | None = None,
        tcp: bool = False,
        cpus: Sequence[int] | None = None,
        trace: bool = False,
        patience_ms: int = PATIENCE_MS,
    ) -> None:
        """Start it. `keys` fill `[name]` in the scenario; with `tcp` all its calls share one connection.

        RTP takes two ports for each call from `media_port` on; without `media_port` the calls are silent. With
        `trace` it keeps its messages, for `header_lines`.
        """
        self.port = free_port()
        self._stats, self._counts = folder / f"{name}.csv", folder / f"{name}.counts.csv"
        options = ["-i", LOOPBACK, "-p", str(self.port), "-mi", LOOPBACK]
        options += ["-t", "t1" if tcp else "u1"]
        options += ["-nostdin", "-fd", "1", "-trace_stat", "-stf", str(self._stats)]
        options += ["-trace_err", "-error_file", str(folder / f"{name}.errors")]
        options += ["-trace_counts", "-trace_screen", "-screen_file", str(folder / f"{name}.screen")]
        # A call that hangs is a failed call, in this time and not after SIPp's own retransmissions.
        options += ["-recv_timeout", str(patience_ms)]
        self._messages = folder / f"{name}.messages"
        if trace:
            options += ["-trace_msg", "-message_file", str(self._messages)]
        if media_port is not None:
            options += ["-mp", str(media_port)]
        # SIPp names the counts file itself, after the scenario file and its process id, where the scenario is.
        # Its own -key cannot fill in a status.
        text = (SCENARIOS / scenario).read_text()
        for key, value in (keys or {}).items():
            text = text.replace(f"[{key}]", value)
        if media_port is None:
            text = _SOUND.sub("", text).replace("[rtpstream_audio_port]", "9")
        copy = folder / f"{name}.xml"
        copy.write_text(text)
        super().__init__(name, ["sipp", "-sf", copy, *options, *arguments], folder, cpus=cpus)

    @property
    def address(self) -> str:
        """HOST:PORT it listens on."""
        return f"{LOOPBACK}:{self.port}"

    def counters(self) -> SippCounters:
        """What it counted. Meant for after its end; before, the figures are up to a second old."""
        last = _last_row(self._stats)
        counts = _last_row(self.folder / f"{self.name}_{self.pid}_counts.csv")
        again = {True: 0, False: 0}
        messages = 0
        for column, value in counts.items():
            if column.endswith("_Retrans"):
                again[f"{column.removesuffix('_Retrans')}_Sent" in counts] += int(value)
            elif column.endswith(("_Sent", "_Recv")):
                messages += int(value)
        return SippCounters(
            created=int(last["TotalCallCreated"]),
            successful=int(last["SuccessfulCall(C)"]),
            failed=int(last["FailedCall(C)"]) + int(last["OutOfCallMsgs(C)"]),
            sent_again=again[True],
            received_again=again[False] + int(last["DeadCallMsgs(C)"]),
            messages=messages,
        )

    def finish(self, deadline: float = 30.0) -> SippCounters:
        """Let it end its calls, take no new ones, and stop (SIGUSR1). Raises `PeerError` when it does not."""
        if self.returncode is None:
            self.send_signal(signal.SIGUSR1)
        self.wait(deadline)
        return self.counters()

    def finished(self, deadline: float) -> SippCounters:
        """The counters of a caller, once it made its calls; at most `deadline` seconds from now."""
        self.wait(deadline)
        return self.counters()

    def header_lines(self, name: str) -> list[str]:
        """The lines with this header in what it sent and received, octet by octet. After its end, with `trace`."""
        lines = self._messages.read_bytes().decode("latin-1").split("\r\n")
        return [line for line in lines if line.startswith(f"{name}:")]

    def complaints(self) -> str:
        """The start of what it wrote about unexpected messages."""
        errors = self.folder / f"{self.name}.errors"
        return errors.read_text(errors="replace")[:4000] if errors.exists() else ""


def sipp_callee(
    folder: Path,
    scenario: Path | str = "callee.xml",
    *,
    name: str = "callee",
    call_length_ms: int = 0,
    keys: Mapping[str, str] | None = None,
    media_port: int | None = None,
    tcp: bool = False,
    cpus: Sequence[int] | None = None,
    trace: bool = False,
) -> Sipp:
    """A callee that is ready for calls of up to that length and some; it hangs up then where the scenario does."""
    arguments = ["-d", str(call_length_ms)]
    callee = Sipp(
        *(name, scenario, folder, arguments),
        keys=keys,
        media_port=media_port,
        tcp=tcp,
        cpus=cpus,
        trace=trace,
        patience_ms=PATIENCE_MS + call_length_ms,
    )

    def listening() -> bool:
        if callee.returncode is not None:
            raise PeerError(f"{name} ended with {callee.returncode}: {callee.tail()}{callee.complaints()}")
        return listened_to(callee.port) if tcp else in_use(callee.port)

    try:
        wait_until(listening, 5.0, f"SIPp listens on {callee.port}")
    except PeerError:
        callee.stop()
        raise
    return callee


def sipp_caller(
    folder: Path,
    target: str,
    scenario: Path | str = "caller.xml",
    *,
    name: str = "caller",
    service: str = "support",
    calls: int = 1,
    rate: float = 10.0,
    call_length_ms: int = 500,
    keys: Mapping[str, str] | None = None,
    media_port: int | None = None,
    tcp: bool = False,
    cpus: Sequence[int] | None = None,
    trace: bool = False,
) -> Sipp:
    """A caller that makes `calls` calls, `rate` a second, to `service` at `target` (HOST:PORT), and ends."""
    arguments = [
        "-m",
        str(calls),
        "-r",
        f"{rate:g}",
        "-l",
        str(calls),
        "-d",
        str(call_length_ms),
        "-s",
        service,
    ]
    return Sipp(
        *(name, scenario, folder, [*arguments, target]),
        keys=keys,
        media_port=media_port,
        tcp=tcp,
        cpus=cpus,
        trace=trace,
    )


def _last_row(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    if not rows:
        raise PeerError(f"SIPp wrote no figures to {path}")
    return {column: value for column, value in rows[-1].items() if column and isinstance(value, str)}
