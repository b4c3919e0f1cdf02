"""One daemon: the connection to it, whether it lives, and the legs that are opened on it ahead of need.

A leg is a call of rtpengine's with two sides, the inside and the outside. Half of its offer and answer is enough to
have the address that faces the peer, so that is asked for before anybody needs it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from media.engine import Address, Codec
from media.rtpengine.bencode import Writable
from media.rtpengine.connection import NgConnection, NgError, NobodyThere, OnReply, Reply, refusal
from media.rtpengine.counters import NgCounters
from media.rtpengine.description import (
    DISCARD,
    EVENT_TYPE,
    SECURE,
    LocalKey,
    Opened,
    Unreadable,
    inside,
    read,
)
from media.rtpengine.query import read_side
from media.rtpengine.settings import NgAddress, RtpengineSettings
from media.srtp import CryptoSuite

_log = logging.getLogger(__name__)

INSIDE, OUTSIDE = "int", "ext"
"""The tags of a leg's two sides."""
PERIOD = 1.0
"""Seconds between two looks at the daemon."""
LONGEST_SPARE = 240.0
"""Seconds after which an unused leg is given back. The daemon drops a call without an answer after its `offer-timeout`,
which may be as short as five minutes, so that what a killed process leaves behind is soon gone."""
QUARANTINE = 2
"""Seconds until the ports of a leg may be another's."""
CLOCKS_DIFFER = 1.5
"""Seconds by which the time of a daemon's start may seem to change, as it is told in whole seconds."""

_FLAGS = ("port-latching", "trust-address", "asymmetric")
_UNKNOWN_SUITES = (
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)
OFFER: Mapping[str, Writable] = {
    "from-tag": INSIDE,
    "flags": _FLAGS,
    "replace": ["origin"],
    "ICE": "remove",
    "DTLS": "off",
    "rtcp-mux": ["offer"],
    "SDES": [f"no-{suite}" for suite in _UNKNOWN_SUITES],
}
"""What each offer of the inside says."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A leg that nobody uses yet."""

    id: str
    """Its call-id at the daemon."""
    outside: Opened
    since: float
    """Loop time."""
    inside: Address | None = None
    """Where other legs reach it; None until it is answered."""

    @property
    def keys(self) -> Mapping[CryptoSuite, LocalKey]:
        """What its daemon would send under."""
        return self.outside.keys


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
        self._spares: deque[Spare] = deque()
        self._asked = 0
        self._full = False
        """It has refused the last leg that it was asked for."""
        self._generation = 0
        self._fresh = True
        self._started: float | None = None
        self._answered = -1e9
        self.is_up = False
        """It answers: new legs may be opened on it."""
        self.in_use = 0
        """Legs that were taken and are not given back."""
        self.counters = NgCounters()

    @property
    def spare_legs(self) -> int:
        """Legs that can be opened now."""
        return len(self._spares) if self.is_up else 0

    async def start(self) -> None:
        """Looks at the daemon once, then on and on until `close`. A daemon that is down is waited for."""
        await self._look()
        if self.is_up:
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    while self._asked:
                        self._stirred.clear()
                        await self._stirred.wait()
        self._task = asyncio.create_task(self._keep_looking(), name=f"rtpengine {self.where}")

    async def close(self) -> None:
        """Gives the spare legs back and ends the connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.gather(*(self._give_back(spare) for spare in self._spares))
        self._spares.clear()
        if self._connection is not None:
            self._connection.close()

    def take(self) -> Spare | None:
        """A leg that is ready; None when there is none."""
        if not self.is_up or not self._spares:
            return None
        spare = self._spares.popleft()
        self.in_use += 1
        self._refill()
        return spare

    async def recover(self, identity: str, host: str) -> Spare:
        """A leg that is on the daemon already; `host` is what peers are told. Raises `NgError` or `Unreadable`."""
        connection = self._connection
        if connection is None:
            raise NgError("does not answer")
        known = await connection.ask("query", {"call-id": identity})
        side, inside = read_side(known, OUTSIDE), read_side(known, INSIDE)
        self.in_use += 1
        now = asyncio.get_running_loop().time()
        # Only an offer tells the keys, and would send what the peer says elsewhere.
        return Spare(identity, Opened((host, side.port)), now, (host, inside.port) if inside.port else None)

    def give_back(self, identity: str, on_reply: OnReply) -> None:
        """A leg that was taken is of no more use. Its ports rest for a while, in which nothing comes out of it: late
        packets of its peer must not be the first that a new leg hears. The reply tells what was counted."""
        self.in_use -= 1
        self.request("block media", {"call-id": identity}, forget)
        # Without a tag the reply would tell nothing; with that of the offer, which each leg has, all of it goes.
        whole: dict[str, Writable] = {
            "call-id": identity,
            "from-tag": INSIDE,
            "delete-delay": QUARANTINE,
        }
        self.request("delete", whole, on_reply)

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
        self._generation += 1
        self._asked = 0
        self._spares.clear()
        self._on_lost(self, f"rtpengine {self.where} {why}")

    # -- legs ahead of need --------------------------------------------------------------------------------------------

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._spares and now - self._spares[0].since > LONGEST_SPARE:
            unused = self._spares.popleft()
            self.request("delete", {"call-id": unused.id, "delete-delay": 0}, forget)
        missing = self._settings.spare_legs - len(self._spares) - self._asked
        for _ in range(min(missing, 1 - self._asked) if self._full else missing):
            self._open()

    def _open(self) -> None:
        identity, generation = secrets.token_hex(16), self._generation
        self._asked += 1

        def opened(reply: Reply | None) -> None:
            if generation != self._generation:
                return
            self._asked -= 1
            self._stirred.set()
            try:
                self._spares.append(Spare(identity, read_reply(reply), asyncio.get_running_loop().time()))
            except (NgError, Unreadable) as error:
                # As when its ports have run out. The next look tries again, with one.
                if not self._full:
                    _log.warning("rtpengine_no_leg", extra={"node": str(self.where), "error": str(error)})
                self._full = True
            else:
                if self._full:
                    self._full = False
                    self._refill()

        self.request("offer", self._offer_to_nobody(identity), opened)

    def _offer_to_nobody(self, identity: str) -> Mapping[str, Writable]:
        """A leg may turn out to be plain. But only so are there keys of ours."""
        description = inside(("127.0.0.1", DISCARD), Codec.PCMU, EVENT_TYPE)
        return {**OFFER, "transport-protocol": SECURE, "call-id": identity, "sdp": description}

    async def _give_back(self, spare: Spare) -> None:
        if self._connection is not None and self.is_up:
            with suppress(NgError):
                await self._connection.ask("delete", {"call-id": spare.id, "delete-delay": 0})


def read_reply(reply: Reply | None) -> Opened:
    """The description in a reply to an offer or an answer. Raises `NgError` or `Unreadable`."""
    if reply is None:
        raise NgError("does not answer")
    refused = refusal(reply)
    if refused is not None:
        raise NgError(refused)
    text = reply.get("sdp")
    if not isinstance(text, bytes):
        raise Unreadable("a reply without a description")
    return read(text.decode("utf-8", "replace"))


def _uptime(reply: Reply) -> float:
    """Seconds since the daemon's start. Raises `NgError` when it does not say."""
    statistics = reply.get("statistics")
    totals = statistics.get("totalstatistics") if isinstance(statistics, dict) else None
    uptime = totals.get("uptime") if isinstance(totals, dict) else None
    if isinstance(uptime, bytes | int):
        with suppress(ValueError):
            return float(uptime)
    raise NgError("does not tell since when it runs")


def forget(reply: Reply | None) -> None:
    """Nobody waits for the reply."""
