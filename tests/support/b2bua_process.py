"""The B2BUA as its users run it: `python -m b2bua run` with a configuration of the test's, its records read back."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import LOOPBACK, free_port_range
from tests.support.processes import ChildProcess, PeerError, wait_until

Settings = Mapping[str, object]

ROOT = Path(__file__).parent.parent.parent
PYPY = ROOT / "target/pypy-venv/bin/python"
"""Where `scripts/install_pypy` puts it."""
PYPY_ENVIRONMENT = {"PYPY_GC_NURSERY": "4M"}
"""What docs/pypy.md tells to set; CPython does not look at it."""
START_DEADLINE = 45.0
"""Seconds: PyPy on a busy machine takes long to read it all in."""
READY = r"^ready sip=(\S+)(?: api=(\S+))?"


@dataclass(frozen=True, slots=True)
class Level:
    """What the process holds at one moment."""

    descriptors: list[str]
    """Open files and sockets, without the file of the records, which is opened with the first of them."""
    memory: int
    """Private octets."""


class B2bua(ChildProcess):
    """A running B2BUA that takes calls from loopback: `sip:NAME@address` goes to the destination of that name."""

    def __init__(
        self,
        folder: Path,
        destinations: Mapping[str, Settings],
        *,
        timers: Settings | None = None,
        media_ports: int | None = None,
        media: Settings | None = None,
        listen: Sequence[str] = (f"udp:{LOOPBACK}:0",),
        cpus: Sequence[int] | None = None,
        log_level: str = "info",
        main: Settings | None = None,
        drain: float = 1,
        warm_up: float = 0,
        python: Path | None = None,
    ) -> None:
        """Write its configuration to `folder`, start it there and wait until it is ready.

        `destinations` are those of destinations.yaml without `method` and `encryption` where they are `invite` and
        `udp/rtp`; `timers` as in b2bua.yaml. `main` has sections of b2bua.yaml to be written in place of the usual.
        `media_ports`: how many, in a row; else the system's. `drain` and `warm_up`: seconds.
        `python` runs it; else the one that B2BUA_PYTHON names, or the one that runs us.
        """
        self.cdr = folder / "cdr.jsonl"
        self._secrets = [
            str(auth["password"])
            for one in destinations.values()
            if isinstance(auth := one.get("auth"), Mapping)
        ]
        media = media or {}
        if media.get("engine") != "rtpengine":  # whose daemons have addresses and ports of their own
            ports = "0"
            if media_ports is not None:
                first, last = free_port_range(media_ports)
                ports = f"{first}-{last}"
            media = {"address": LOOPBACK, "ports": ports, **media}
        configuration = {
            "sip": {"listen": list(listen)},
            "media": media,
            "trunks": {"sbc": {"accept": {"addresses": [f"{LOOPBACK}/32", "::1/128"]}}},
            "routes": [{"trunk": "sbc", "to": name, "destination": name} for name in destinations],
            "destinations": "destinations.yaml",
            "timers": dict(timers or {}),
            "records": {"cdr": str(self.cdr)},
            **(main or {}),
        }
        dialled = {"method": "invite", "encryption": "udp/rtp"}
        named = {
            name: {**({} if "method" in settings else dialled), **settings}
            for name, settings in destinations.items()
        }
        next(iter(named.values()))["default"] = True
        # JSON is YAML, and needs no library.
        (folder / "b2bua.yaml").write_text(json.dumps(configuration, indent=1))
        (folder / "destinations.yaml").write_text(json.dumps(named, indent=1))
        runs_it = python or os.environ.get("B2BUA_PYTHON") or sys.executable
        command = [runs_it, "-m", "b2bua", "run", "--config", folder / "b2bua.yaml"]
        command += ["--drain", str(drain), "--warm-up", str(warm_up), "--log-level", log_level]
        environment = {"PYTHONPATH": str(ROOT), **PYPY_ENVIRONMENT}
        super().__init__("b2bua", command, folder, cpus=cpus, environment=environment)
        self.until_ready(warm_up)

    def until_ready(self, warm_up: float = 0) -> None:
        """Wait for its ready line, and take from it where it listens."""
        try:
            ready = self.wait_for_line(READY, START_DEADLINE + warm_up)
            self.listening = ready[1].split(",")
            """As its ready line says: TRANSPORT:HOST:PORT, in the order of `listen`."""
            self.api = ready[2]
            """HOST:PORT of its HTTP API; None without one."""
        except PeerError:
            self.stop()
            raise

    @property
    def port(self) -> int:
        """The port of its first listener."""
        return int(self.listening[0].rpartition(":")[2])

    @property
    def address(self) -> tuple[str, int]:
        """Where it takes calls."""
        return LOOPBACK, self.port

    def host_port_of(self, transport: str) -> str:
        """HOST:PORT of its first listener of that transport."""
        return next(
            entry.removeprefix(f"{transport}:") for entry in self.listening if entry.startswith(transport)
        )

    @property
    def host_port(self) -> str:
        """The same as HOST:PORT; with an address of its own on loopback, that."""
        host = self.listening[0].split(":")[1]
        return f"{host if host.startswith('127.') else LOOPBACK}:{self.port}"

    def uri(self, name: str) -> str:
        """The URI that reaches the destination `name`."""
        return f"sip:{name}@{self.host_port}"

    def records(self, count: int = 0, deadline: float = 10.0) -> list[dict]:
        """The call records, once there are at least `count`."""

        def look() -> list[dict] | None:
            text = self.cdr.read_text() if self.cdr.exists() else ""
            lines = text[: text.rfind("\n") + 1].splitlines()
            return [json.loads(line) for line in lines] if len(lines) >= count else None

        return (
            wait_until(look, deadline, lambda: f"{count} call records: {self.tail()}")
            if count
            else look() or []
        )

    def record(self, deadline: float = 10.0) -> dict:
        """The record of the one call that was made."""
        (record,) = self.records(1, deadline)
        return record

    def level(self) -> Level:
        """What it holds now."""
        return Level([entry for entry in self.descriptors() if entry != str(self.cdr)], self.memory())

    def check_end(self) -> None:
        """Stop it and make sure that it went well: status 0, no traceback, no secret in anything it wrote."""
        status = self.stop(15.0)
        written = self.output + self.errors + (self.cdr.read_text() if self.cdr.exists() else "")
        assert status == 0, f"b2bua ended with {status}: {self.tail()}"
        assert "Traceback" not in written, written[written.index("Traceback") - 500 :][:4000]
        leaked = [secret for secret in self._secrets if re.search(rf"\b{re.escape(secret)}\b", written)]
        assert not leaked, f"passwords in the output or the records: {leaked}"
