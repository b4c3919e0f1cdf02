"""One daemon: the connection to it, whether it lives, and the legs that are taken from it and given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from media.rtpengine.bencode import Writable
from media.rtpengine.connection import DEADLINE, NgConnection, NgError, NobodyThere, OnReply, Reply
from media.rtpengine.counters import NgCounters
from media.rtpengine.description import Opened, family_of
from media.rtpengine.offer_answer import INSIDE
from media.rtpengine.query import read_outside, read_side
from media.rtpengine.settings import NgAddress, RtpengineSettings
from media.rtpengine.spares import Spare, Spares

_log = logging.getLogger(__name__)

PERIOD = 1.0
"""Seconds between two looks at the daemon."""
QUARANTINE = 2
"""Seconds until the ports of a leg may be another's."""
CLOCKS_DIFFER = 1.5
"""Seconds by which the time of a daemon's start may seem to change, as it is told in whole seconds."""


class Node:
    """One daemon. Everything happens on the event loop."""

    def __init__(
        self,
        where: NgAddress,
        settings: RtpengineSettings,
        *,
        on_notice: Callable[[Reply], None],
        on_lost: Callable[[Node, str], None],
    ) -> None:
        """`on_lost` is told once when the calls of the daemon are gone, and why."""
        self.where = where
        self._settings = settings
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._connection: NgConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._spares = {
            family: Spares(family, settings.spare_legs, settings.interfaces, self.request, str(where))
            for family in ("IP4", "IP6")
        }
        """By the version of IP that peers reach them by."""
        self.interfaces = settings.interfaces
        """Of its legs' two sides."""
        self._fresh = True
        self._started: float | None = None
        self._answered = -1e9
        self.is_up = False
        """It answers: new legs may be opened on it."""
        self.in_use = 0
        """Legs that were taken and are not given back."""
        self._leaving = 0
        """Legs that were given back and are not deleted."""
        self._deleted = asyncio.Event()
        """Set with each that is."""
        self.counters = NgCounters()

    @property
    def spare_legs(self) -> int:
        """Legs that can be opened now."""
        return sum(map(len, self._spares.values())) if self.is_up else 0

    def has_address(self, family: str) -> bool:
        """False when it is known that legs on it have no address of that version of IP ("IP4", "IP6")."""
        return self._spares[family].has_address is not False

    async def start(self) -> None:
        """Looks at the daemon once, then on and on until `close`. A daemon that is down is waited for."""
        await self._look()
        if self.is_up:
            await self._until_opened()
        self._task = asyncio.create_task(self._keep_looking(), name=f"rtpengine {self.where}")

    async def close(self) -> None:
        """Gives the spare legs back and ends the connection, once legs that were in use are deleted: their owners have
        closed them."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        # One that is being opened would be nobody's.
        await self._until_opened()
        unused = [spare for spares in self._spares.values() for spare in spares.drain()]
        await asyncio.gather(*map(self._give_back, unused))
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE):
                while self.in_use or self._leaving:
                    self._deleted.clear()
                    await self._deleted.wait()
        if self._connection is not None:
            self._connection.close()

    async def _until_opened(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PERIOD):
                for spares in self._spares.values():
                    while spares.asked:
                        spares.changed.clear()
                        await spares.changed.wait()

    def take(self, family: str) -> Spare | None:
        """A leg that is ready, with an address of that version of IP; None when there is none."""
        spare = self._spares[family].take() if self.is_up else None
        self.in_use += spare is not None
        return spare

    async def recover(self, identity: str, host: str) -> Spare:
        """A leg that is on the daemon already; `host` is what peers are told. Raises `NgError` or `Unreadable`."""
        connection = self._connection
        if connection is None:
            raise NgError("does not answer")
        known = await connection.ask("query", {"call-id": identity})
        side, inside = read_outside(known), read_side(known, INSIDE)
        self.in_use += 1
        now = asyncio.get_running_loop().time()
        # Inside is IPv4, whatever peers are told.
        inner = host if family_of(host) == "IP4" else inside.host
        # Only an offer tells the keys, and would send what the peer says elsewhere.
        return Spare(identity, Opened((host, side.port)), now, (inner, inside.port) if inside.port else None)

    def give_back(self, identity: str, on_reply: OnReply) -> None:
        """A leg that was taken is of no more use. Its ports rest for a while, in which nothing comes out of it: late
        packets of its peer must not be the first that a new leg hears. The reply tells what was counted."""
        self.in_use -= 1
        self._leaving += 1
        # Without a tag the reply would tell nothing; with that of the offer, which each leg has, all of it goes.
        whole: dict[str, Writable] = {
            "call-id": identity,
            "from-tag": INSIDE,
            "delete-delay": QUARANTINE,
        }

        def deleted(reply: Reply | None) -> None:
            self._leaving -= 1
            self._deleted.set()
            on_reply(reply)

        def blocked(_: Reply | None) -> None:
            self.request("delete", whole, deleted)

        # One after the other: rtpengine 10.5.3 takes what comes over one connection in several threads, and a call that
        # is blocked after it was deleted stays for ever.
        self.request("block media", {"call-id": identity}, blocked)

    def request(self, command: str, arguments: Mapping[str, Writable], on_reply: OnReply) -> None:
        """Asks the daemon something; None is the reply of one that does not answer."""
        if self._connection is None:
            asyncio.get_running_loop().call_soon(on_reply, None)
        else:
            self._connection.request(command, arguments, on_reply)

    def doubt(self) -> None:
        """Something of it was not there: looks at it now."""
        self._fresh = True
        self._stirred.set()

    # -- whether it lives ----------------------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    while not self._fresh:
                        await self._stirred.wait()
                        self._stirred.clear()
            begun = loop.time()
            await self._look()
            if not self.is_up and loop.time() - begun < PERIOD / 4:
                # Nobody listens, which is known at once.
                await asyncio.sleep(PERIOD / 4)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            await self._ask()
        except NgError as error:
            self._fresh = True
            too_long = now() - self._answered > self._settings.lost_after
            if self.is_up and (too_long or isinstance(error, NobodyThere)):
                self.is_up = False
                self.counters.lost += 1
                self._lose("does not answer")
            return
        self._answered = now()
        self._fresh = False
        if not self.is_up:
            _log.info("rtpengine_up", extra={"node": str(self.where)})
            self.is_up = True
        self._refill()

    async def _ask(self) -> None:
        """Raises `NgError` when it does not answer. A restart shows in how long it has been up; but over UDP it ends
        the connection, so that as long as that lasts a ping will do."""
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = self._connection = await NgConnection.open(
                self.where, self._on_notice, self.doubt, self.counters
            )
            self._fresh = True
        if connection.is_reliable and not self._fresh:
            await connection.ask("ping")
            return
        uptime = _uptime(await connection.ask("statistics"))
        started = asyncio.get_running_loop().time() - uptime
        before, self._started = self._started, started
        if before is not None and started - before > CLOCKS_DIFFER:
            # What was down has been counted.
            self.counters.lost += self.is_up
            self._lose("was restarted")

    def _lose(self, why: str) -> None:
        _log.error("rtpengine_lost", extra={"node": str(self.where), "error": why})
        for spares in self._spares.values():
            spares.forget()
        self._on_lost(self, f"rtpengine {self.where} {why}")

    def _refill(self) -> None:
        for spares in self._spares.values():
            spares.refill()
            if spares.is_full:
                # All have the same ports.
                return

    async def _give_back(self, spare: Spare) -> None:
        if self._connection is not None and self.is_up:
            with suppress(NgError):
                await self._connection.ask("delete", {"call-id": spare.id, "delete-delay": 0})


def _uptime(reply: Reply) -> float:
    """Seconds since the daemon's start. Raises `NgError` when it does not say."""
    statistics = reply.get("statistics")
    totals = statistics.get("totalstatistics") if isinstance(statistics, dict) else None
    uptime = totals.get("uptime") if isinstance(totals, dict) else None
    if isinstance(uptime, bytes | int):
        with suppress(ValueError):
            return float(uptime)
    raise NgError("does not tell since when it runs")
