"""Kamailio as a record-routing SBC or as a registrar; its configurations are in `interop/kamailio`."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.certificates import Pair
from tests.support.ports import LOOPBACK, free_port, in_use, listened_to
from tests.support.processes import ChildProcess, PeerError, cpu_seconds, wait_until

TEMPLATES = Path(__file__).parent.parent / "interop" / "kamailio"


def kamailio_port() -> int:
    """A port for a Kamailio that is still to be started: whom it serves may have to know."""
    return free_port()


class KamailioProcess(ChildProcess):
    """A running Kamailio on UDP of one port, and perhaps TCP."""

    def __init__(
        self,
        folder: Path,
        port: int,
        command: Sequence[str | Path],
        *,
        tcp: bool = False,
        cpus: Sequence[int] | None = None,
    ) -> None:
        """Start the command, which makes it listen at `port` and stay in the foreground."""
        self.port = port
        super().__init__("kamailio", command, folder, cpus=cpus)

        def listening() -> bool:
            if self.returncode is not None:
                raise PeerError(f"kamailio ended with {self.returncode}: {self.tail()}")
            return in_use(port) and (listened_to(port) or not tcp)

        try:
            wait_until(listening, 10.0, f"Kamailio listens on {port}")
        except PeerError:
            self.stop()
            raise

    @property
    def address(self) -> str:
        """HOST:PORT it listens on."""
        return f"{LOOPBACK}:{self.port}"

    def stop(self, deadline: float = 5.0) -> int:
        """End it and its children at once. Asked politely, Kamailio 5.6 now and then takes a minute to go."""
        left = self._children() if self.returncode is None else []
        self.send_signal(signal.SIGKILL)
        status = super().stop(deadline)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # They are not ours to wait for, and hold the port as long as they are not gone.
        wait_until(
            lambda: not in_use(self.port) and not listened_to(self.port), 10.0, f"{self.port} is free again"
        )
        return status

    def cpu_seconds(self) -> float:
        """CPU time of its processes."""
        return sum(map(cpu_seconds, self.pids))

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return [self.pid, *self._children()]

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()]


class Kamailio(KamailioProcess):
    """One with a configuration of `interop/kamailio`."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        b2bua: str = "",
        agent: str = "",
        template: str | Path = "sbc.cfg",
        password: str = "",
        nat: bool = False,
        tls: Pair | None = None,
        cpus: Sequence[int] | None = None,
    ) -> None:
        """Start it at `port`. `b2bua` and `agent` are the SIP URIs that the calls of an SBC go to; with `registrar.cfg`
        everybody registers with `password`. TCP is what the template says; with `tls` it is TLS. `nat`: who
        registers is called where it was seen."""
        text = (TEMPLATES / template).read_text()
        tcp = "listen=tcp" in text
        values = {"PORT": str(port), "B2BUA": b2bua, "AGENT": agent, "PASSWORD": password}
        if tls is not None:
            values |= {"CERTIFICATE": tls.certificate, "KEY": tls.key}
        defined = [name for name, given in (("WITH_NAT", nat), ("WITH_TLS", tls is not None)) if given]
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        configuration = folder / "kamailio.cfg"
        configuration.write_text(text)
        # In the foreground, its log on stderr, its files where the test's are, little memory.
        options: list[str | Path] = ["-f", configuration, "-DD", "-E", "-m", "16", "-M", "4"]
        options += ["-Y", folder, "-w", folder]
        options += [option for name in defined for option in ("-A", name)]
        super().__init__(folder, port, ["kamailio", *options], tcp=tcp, cpus=cpus)

    def passed(self, method: str, transport: str = "") -> int:
        """How many in-dialog requests of `method` went through it by their route set, sent again or not."""
        return len(set(re.findall(rf"PASS {method} {transport or '(?:udp|tcp)'}:.*", self.errors)))

    def lines(self, word: str) -> list[str]:
        """What its configuration logged with this word in front."""
        return re.findall(rf"{word} .*", self.errors)

    def strays(self) -> list[str]:
        """In-dialog requests that had no route set, and what went round in circles."""
        return re.findall(r"STRAY .*", self.errors)
