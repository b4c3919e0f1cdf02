"""Whether a daemon lives: told from its answers over UDP, where its end is not seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest

from media.engine import Codec
from media.rtpengine import connection, node
from media.rtpengine.bencode import Value, Writable, decode, encode
from media.rtpengine.description import inside
from media.rtpengine.node import Node
from media.rtpengine.settings import NgAddress, RtpengineSettings
from tests.support.native_calls import becomes_true
from tests.support.ports import LOOPBACK

SPARE_LEGS = 3


class Daemon(asyncio.DatagramProtocol):
    """Answers what a node asks."""

    def __init__(self) -> None:
        self.up_since = 0.0
        """Loop time."""
        self.is_silent = False
        self.has_ports = True
        self.has_ipv6 = False
        self.asked: list[str] = []
        self.keeps: str | None = None
        """A command that it does not answer until `answer_kept`."""
        self._kept: list[tuple[bytes, tuple[str, int]]] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        cookie, _, body = data.partition(b" ")
        message = decode(body)
        assert isinstance(message, dict)
        assert self._transport is not None
        command = message["command"]
        assert isinstance(command, bytes)
        self.asked.append(command.decode())
        if self.is_silent:
            return
        reply = cookie + b" " + encode(self._reply(message))
        if command.decode() == self.keeps:
            self._kept.append((reply, address))
        else:
            self._transport.sendto(reply, address)

    def answer_kept(self) -> None:
        """Answers what was kept, and keeps nothing any more."""
        self.keeps = None
        assert self._transport is not None
        for reply, address in self._kept:
            self._transport.sendto(reply, address)

    def _reply(self, message: Mapping[str, Value]) -> dict[str, Writable]:
        match message["command"]:
            case b"statistics":
                uptime = int(asyncio.get_running_loop().time() - self.up_since)
                return {"result": "ok", "statistics": {"totalstatistics": {"uptime": str(uptime)}}}
            case b"offer" if self.has_ports:
                # As rtpengine does it where there is no address as asked.
                host = "2001:db8::7" if self.has_ipv6 and message["address-family"] == b"IP6" else "192.0.2.7"
                return {"result": "ok", "sdp": inside((host, 10_000 + 2 * len(self.asked)), Codec.PCMU, 101)}
            case b"offer":
                return {"result": "error", "error-reason": "Ran out of ports"}
        return {"result": "ok"}


@asynccontextmanager
async def looked_at(daemon: Daemon) -> AsyncIterator[tuple[Node, list[str]]]:
    """A node that looks at the daemon, and why its calls were lost."""
    loop = asyncio.get_running_loop()
    daemon.up_since = loop.time() - 1000
    transport, _ = await loop.create_datagram_endpoint(lambda: daemon, local_addr=(LOOPBACK, 0))
    where = NgAddress("udp", LOOPBACK, transport.get_extra_info("sockname")[1])
    lost: list[str] = []
    settings = RtpengineSettings((where,), spare_legs=SPARE_LEGS, lost_after=0.1)
    made = Node(where, settings, on_notice=lambda notice: None, on_lost=lambda _, why: lost.append(why))
    await made.start()
    try:
        yield made, lost
    finally:
        await made.close()
        transport.close()
        await asyncio.sleep(0)  # asyncio closes sockets in its next turn


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are a twentieth of a second apart."""
    monkeypatch.setattr(node, "PERIOD", 0.05)
    for module in (node, connection):
        monkeypatch.setattr(module, "DEADLINE", 0.15)


def test_legs_are_ready_and_are_opened_anew_as_they_are_taken() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with looked_at(daemon) as (made, _):
            assert made.spare_legs == SPARE_LEGS
            taken = {spare.id for _ in range(SPARE_LEGS) if (spare := made.take("IP4")) is not None}
            assert len(taken) == made.in_use == SPARE_LEGS
            assert made.take("IP4") is None
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            before = daemon.asked.count("delete")
        assert daemon.asked.count("delete") - before == SPARE_LEGS, "what nobody used is given back"

    asyncio.run(run())


def test_legs_for_ipv6_are_ready_where_the_daemon_has_an_address_for_them() -> None:
    async def run() -> None:
        daemon = Daemon()
        daemon.has_ipv6 = True
        async with looked_at(daemon) as (made, _):
            assert made.spare_legs == 2 * SPARE_LEGS
            assert [made.has_address(family) for family in ("IP4", "IP6")] == [True, True]
            taken = [made.take(family) for family in ("IP4", "IP6")]
            assert [spare.outside.address[0] for spare in taken if spare is not None] == [
                "192.0.2.7",
                "2001:db8::7",
            ]

    asyncio.run(run())


def test_a_daemon_without_ipv6_is_asked_for_it_once_and_again_after_a_restart() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with looked_at(daemon) as (made, lost):
            assert made.spare_legs == SPARE_LEGS
            assert daemon.asked.count("offer") == SPARE_LEGS + 1
            assert daemon.asked.count("delete") == 1, "an address of the other version is given back"
            assert made.take("IP6") is None
            assert not made.has_address("IP6")
            daemon.has_ipv6, daemon.up_since = True, asyncio.get_running_loop().time()
            await becomes_true(lambda: made.spare_legs == 2 * SPARE_LEGS)
            assert made.take("IP6") is not None
            assert len(lost) == 1

    asyncio.run(run())


def test_a_daemon_without_ports_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        daemon = Daemon()
        daemon.has_ports = False
        async with looked_at(daemon) as (made, lost):
            assert made.is_up
            assert made.take("IP4") is None
            await becomes_true(lambda: made.counters.refused >= SPARE_LEGS + 3)
            assert daemon.asked.count("offer") <= SPARE_LEGS + daemon.asked.count("statistics"), "one a look"
            told = [each.__dict__["family"] for each in caplog.records if each.message == "rtpengine_no_leg"]
            assert told == ["IP4", "IP6"], "each once"
            daemon.has_ports = True
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            assert not lost
            assert made.counters.answered > SPARE_LEGS, "the legs, and what it was asked before"
            assert 0 < made.counters.seconds < 60

    asyncio.run(run())


def test_a_restart_shows_in_the_time_that_a_daemon_has_been_up() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with looked_at(daemon) as (made, lost):
            before = made.take("IP4")
            daemon.up_since = asyncio.get_running_loop().time()
            await becomes_true(lambda: bool(lost))
            assert "was restarted" in lost[0]
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            assert before is not None
            assert made.is_up
            assert len(lost) == made.counters.lost == 1

    asyncio.run(run())


def test_a_daemon_that_is_silent_for_too_long_is_lost_until_it_answers() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with looked_at(daemon) as (made, lost):
            daemon.is_silent = True
            await becomes_true(lambda: bool(lost))
            assert not made.is_up
            assert made.take("IP4") is None
            assert made.counters.unanswered > 0
            daemon.is_silent = False
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            assert len(lost) == made.counters.lost == 1

    asyncio.run(run())


def test_a_daemon_that_is_down_at_first_is_waited_for() -> None:
    async def run() -> None:
        daemon = Daemon()
        daemon.is_silent = True
        async with looked_at(daemon) as (made, lost):
            assert not made.is_up
            daemon.is_silent = False
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            assert not lost

    asyncio.run(run())


def test_a_leg_is_deleted_only_when_it_is_blocked() -> None:
    async def main() -> None:
        daemon = Daemon()
        async with looked_at(daemon) as (made, _):
            spare = made.take("IP4")
            assert spare is not None
            daemon.keeps, before = "block media", daemon.asked.count("delete")
            made.give_back(spare.id, lambda reply: None)
            await becomes_true(lambda: "block media" in daemon.asked)
            # What was sent beside it would have come by the time that something later is answered.
            await becomes_true(lambda: made.spare_legs == SPARE_LEGS)
            assert daemon.asked.count("delete") == before
            daemon.answer_kept()
            await becomes_true(lambda: daemon.asked.count("delete") == before + 1)

    asyncio.run(main())


def test_what_is_given_back_at_the_end_is_deleted_before_the_connection_ends() -> None:
    async def main() -> None:
        daemon = Daemon()
        replies: list[object] = []
        async with looked_at(daemon) as (made, _):
            spare = made.take("IP4")
            assert spare is not None
            before = daemon.asked.count("delete")
            made.give_back(spare.id, replies.append)
        # The spare legs are given back by a delete each, too.
        assert daemon.asked.count("delete") == before + SPARE_LEGS + 1
        assert replies == [{"result": b"ok"}]

    asyncio.run(main())
