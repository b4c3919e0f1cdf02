"""Debian's tshark: what was on the loopback wire, and what it makes of it. Capturing needs CAP_NET_RAW, as root has."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.processes import ChildProcess, PeerError, wait_until

MAX_OCTETS = 64_000_000
"""Of one capture: the other traffic of this machine's loopback must not fill its disk."""


class Capture(ChildProcess):
    """A running capture of loopback; `stop` it before it is read."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wire.pcap"
        options: list[str | Path] = ["-i", "lo", "-w", self._file, "-a", f"filesize:{MAX_OCTETS // 1000}"]
        super().__init__("tshark", ["tshark", *options], folder)
        try:
            # Its header is written once the socket is open.
            wait_until(self._begun, 15.0, lambda: f"tshark captures; it needs CAP_NET_RAW: {self.tail()}")
        except PeerError:
            self.stop()
            raise

    def fields(self, shown: str, *names: str, decode: tuple[str, ...] = ()) -> list[list[str]]:
        """These fields of every packet that the display filter shows. `decode`: `tcp.port==5061,tls` and the like."""
        command = ["tshark", "-r", str(self._file), "-Y", shown, "-T", "fields"]
        for name in names:
            command += ["-e", name]
        for rule in decode:
            command += ["-d", rule]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        return [line.split("\t") for line in told.splitlines()]

    def count(self, shown: str, *, decode: tuple[str, ...] = ()) -> int:
        """How many packets the display filter shows."""
        return len(self.fields(shown, "frame.number", decode=decode))

    def _begun(self) -> bool:
        if self.returncode is not None:
            raise PeerError(f"tshark ended with {self.returncode}, it needs CAP_NET_RAW: {self.tail()}")
        return self._file.exists() and self._file.stat().st_size > 0 and "Capturing on" in self.errors
