"""Calls without end, half of them SRTP: what `make soak` does for half an hour, and a test for half a minute.

SIPp calls a B2BUA, which dials half of the calls to a desk and half to a second B2BUA behind TLS and SRTP, which dials
the desk. The desk sends each caller's sound back. Calls come in rounds: after each, nothing of it may be left.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.audio import mu_law, tone
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.in_thread import InThread
from tests.support.ports import LOOPBACK, free_port_range
from tests.support.processes import wait_until
from tests.support.sipp import Sipp, sipp_callee, sipp_caller

WAYS = ("plain", "sealed")
RATE = 10
"""Calls a second on each way."""


class Echo(InThread):
    """Sends every datagram back to where it came from."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(0.2)
        super().__init__("echo")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def _close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                data, source = self._socket.recvfrom(2048)
                self._socket.sendto(data, source)
            except (TimeoutError, ConnectionRefusedError):
                continue


@dataclass(frozen=True, slots=True)
class Round:
    """What both B2BUAs hold after a round."""

    descriptors: tuple[int, ...]
    memory: tuple[int, ...]
    """Private octets."""


class Soak:
    """Both B2BUAs, the desk and the callers; `calls` at once."""

    def __init__(self, folder: Path, calls: int) -> None:
        self._folder = folder
        self._calls = calls // len(WAYS)
        self._rounds = 0
        self._stack = ExitStack()
        self._done = 0

    def __enter__(self) -> Self:
        with self._stack as stack:
            self._ca = Authority(self._folder)
            (self._folder / "tone.pcmu").write_bytes(mu_law(tone(440, 2.0)))
            desk = self._desk(stack.enter_context(Echo()))
            route = f"sip:desk@{stack.enter_context(desk).address}"
            sealed = {"sbc": {"accept": {"addresses": [LOOPBACK]}, "srtp": "required"}}
            self.far = stack.enter_context(self._b2bua("far", {"desk": {"route": route}}, {"trunks": sealed}))
            over_tls: dict[str, object] = {
                "route": f"sip:desk@{self.far.host_port_of('tls')}",
                "encryption": "tls/srtp",
            }
            self.near = stack.enter_context(
                self._b2bua("near", {"plain": {"route": route}, "sealed": over_tls}, {})
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _desk(self, echo: Echo) -> Sipp:
        return sipp_callee(self._folder, keys={"rtpstream_audio_port": str(echo.port)})

    def _b2bua(self, name: str, destinations: dict[str, dict[str, object]], main: dict[str, object]) -> B2bua:
        folder = self._folder / name
        folder.mkdir()
        pair = self._ca.issue(name, [LOOPBACK])
        tls = {"certificate": pair.certificate, "private_key": pair.key, "ca": self._ca.file}
        sip = {"listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"], "tls": tls}
        # Two pairs of ports for each leg, and half as many again for those that rest: one that is not given back is
        # missed before long.
        legs = 2 * self._calls * len(WAYS)
        return B2bua(
            folder, destinations, media_ports=3 * legs, main={"sip": sip, **main}, log_level="warning"
        )

    def play(self, seconds: float) -> Round:
        """A round of calls of so many seconds, all at once. Fails when one of them does, or leaves something open."""
        self._rounds += 1
        before = len(self.near.descriptors()), len(self.far.descriptors())
        with ExitStack() as stack:
            callers = [stack.enter_context(self._caller(way, seconds)) for way in WAYS]
            for caller in callers:
                made = caller.finished(seconds + 60)
                assert (made.successful, made.failed) == (self._calls, 0), caller.complaints()
        self._check_records()

        def look() -> Round | None:
            now = Round(
                *zip(
                    *((len((held := each.level()).descriptors), held.memory) for each in self._both),
                    strict=True,
                )
            )
            # The connection between the two is opened by the first call that needs it.
            slack = 1 if self._rounds == 1 else 0
            small = all(n <= m + slack for n, m in zip(now.descriptors, before, strict=True))
            return now if small else None

        return wait_until(
            look, 20.0, lambda: f"{before} descriptors, now {[each.descriptors() for each in self._both]}"
        )

    @property
    def _both(self) -> tuple[B2bua, B2bua]:
        return self.near, self.far

    def _caller(self, way: str, seconds: float) -> Sipp:
        return sipp_caller(
            self._folder,
            self.near.host_port,
            name=f"caller-{way}-{self._rounds}",
            service=way,
            calls=self._calls,
            rate=RATE,
            call_length_ms=round(seconds * 1000),
            media_port=free_port_range(2 * self._calls + 100)[0],
        )

    def _check_records(self) -> None:
        """Every call ended well, had sound both ways, and was as secret as it should be."""
        self._done += self._calls * len(WAYS)
        records = self.near.records(self._done)[-self._calls * len(WAYS) :]
        assert {record["outcome"]["code"] for record in records} == {4000}
        secret = [record for record in records if record["legs"][1]["encryption"] == "tls/srtp"]
        assert len(secret) == self._calls
        for record in records:
            for side in ("caller", "agent"):
                media = record["media"][side]
                assert media["packets_in"] > 0, record
                assert media["unauthenticated"] == media["replayed"] == 0, record

    def end(self) -> None:
        """Both end well."""
        for each in self._both:
            each.check_end()
