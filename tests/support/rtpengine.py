"""An rtpengine daemon of a test's own: userspace, on loopback, reachable by UDP, TCP and WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from media.rtpengine import NgAddress, RtpengineEngine, RtpengineSettings
from media.rtpengine.connection import NgConnection, NgError
from tests.support.ports import LOOPBACK, PortBlock, free_port
from tests.support.processes import ChildProcess

PATIENCE = 10.0
"""Seconds for a daemon to come up."""


class RtpengineDaemon(ChildProcess):
    """Runs from the beginning; `again` starts another one with the same addresses after the end of this one."""

    def __init__(
        self,
        folder: Path,
        name: str = "rtpengine",
        *,
        former: RtpengineDaemon | None = None,
        timeout: int = 60,
        offer_timeout: int = 3600,
        blocks: int = 1,
        interfaces: Sequence[str] = (LOOPBACK, "::1"),
    ) -> None:
        """The times are its own defaults: a call without packets, and one without an answer, are dropped after those;
        the latter not before the former."""
        self.ng_port: int = free_port() if former is None else former.ng_port
        self.tcp_port: int = free_port() if former is None else former.tcp_port
        self.http_port: int = free_port() if former is None else former.http_port
        self.digits_port: int = free_port() if former is None else former.digits_port
        self.ports: PortBlock = PortBlock(blocks) if former is None else former.ports
        command = [
            "rtpengine",
            "--config-file=none",
            "--table=-1",
            *(f"--interface={address}" for address in interfaces),
            f"--listen-ng={LOOPBACK}:{self.ng_port}",
            f"--listen-tcp-ng={LOOPBACK}:{self.tcp_port}",
            f"--listen-http={LOOPBACK}:{self.http_port}",
            f"--dtmf-log-dest={LOOPBACK}:{self.digits_port}",
            "--dtmf-log-ng-tcp",
            f"--port-min={self.ports.first}",
            f"--port-max={self.ports.last}",
            "--endpoint-learning=immediate",
            "--num-threads=2",
            f"--timeout={timeout}",
            f"--offer-timeout={offer_timeout}",
            "--foreground",
            "--log-stderr",
            "--log-level=5",
        ]
        super().__init__(name, command, folder)

    def stop(self, deadline: float = 5.0) -> int:
        """End it."""
        self.ports.release()
        return super().stop(deadline)

    def again(self) -> RtpengineDaemon:
        """The same once more."""
        return RtpengineDaemon(self.folder, f"{self.name}-again", former=self)

    @property
    def udp(self) -> NgAddress:
        """Its ng protocol over UDP."""
        return NgAddress("udp", LOOPBACK, self.ng_port)

    @property
    def tcp(self) -> NgAddress:
        """Its ng protocol over TCP."""
        return NgAddress("tcp", LOOPBACK, self.tcp_port)

    @property
    def ws(self) -> NgAddress:
        """Its ng protocol over a WebSocket."""
        return NgAddress("ws", LOOPBACK, self.http_port)

    async def calls(self) -> set[str]:
        """The call-ids that it holds: one for each leg, and those opened ahead."""
        connection = await NgConnection.open(self.tcp, lambda notice: None, lambda: None)
        try:
            calls = (await connection.ask("list", {"limit": 1000}))["calls"]
            assert isinstance(calls, list)
            return {call.decode() for call in calls if isinstance(call, bytes)}
        finally:
            connection.close()

    async def answers(self) -> None:
        """Waits until it does."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    connection = await NgConnection.open(self.tcp, lambda notice: None, lambda: None)
                except NgError:
                    assert self.returncode is None, self.tail()
                    await asyncio.sleep(0.02)
                else:
                    connection.close()
                    return


@asynccontextmanager
async def engine_on(
    *daemons: RtpengineDaemon, transport: str = "tcp", spare_legs: int = 4
) -> AsyncIterator[RtpengineEngine]:
    """A running engine on daemons that answer."""
    for daemon in daemons:
        await daemon.answers()
    nodes = tuple(getattr(daemon, transport) for daemon in daemons)
    digits = (LOOPBACK, daemons[0].digits_port) if transport != "tcp" else None
    engine = RtpengineEngine(RtpengineSettings(nodes, dtmf_listen=digits, spare_legs=spare_legs))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()
