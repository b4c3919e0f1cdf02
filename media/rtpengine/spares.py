"""Legs that are opened on a daemon ahead of need, for peers of one version of IP.

A leg is a call of rtpengine's with two sides, the inside and the outside. Half of its offer and answer is enough to
have the address that faces the peer, so that is asked for before anybody needs it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from media.engine import Address, Codec
from media.rtpengine.bencode import Writable
from media.rtpengine.connection import NgError, OnReply, Reply, checked
from media.rtpengine.description import (
    DISCARD,
    EVENT_TYPE,
    SECURE,
    LocalKey,
    Opened,
    Unreadable,
    family_of,
    inside,
    read,
)
from media.rtpengine.offer_answer import offer
from media.rtpengine.settings import Interfaces
from media.srtp import CryptoSuite

_log = logging.getLogger(__name__)

LONGEST_SPARE = 240.0
"""Seconds after which an unused leg is given back. The daemon drops a call without an answer after its `offer-timeout`,
which may be as short as five minutes, so that what a killed process leaves behind is soon gone."""


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


class Spares:
    """Those of one daemon that have an address of one version of IP."""

    def __init__(
        self,
        family: str,
        wanted: int,
        interfaces: Interfaces | None,
        ask: Callable[[str, Mapping[str, Writable], OnReply], None],
        node: str,
    ) -> None:
        """`family` is "IP4" or "IP6", `wanted` how many there are to be, `node` names the daemon in the log."""
        self._family = family
        self._wanted = wanted
        self._interfaces = interfaces
        self._ask = ask
        self._node = node
        self._legs: deque[Spare] = deque()
        self._generation = 0
        self.asked = 0
        """Offers without a reply."""
        self.changed = asyncio.Event()
        """Set with each reply."""
        self.is_full = False
        """The daemon has refused the last leg that it was asked for."""
        self.has_address: bool | None = None
        """Whether the daemon has an address of this version; None while that is not known."""

    def __len__(self) -> int:
        return len(self._legs)

    def take(self) -> Spare | None:
        """The one opened first; None when there is none."""
        if not self._legs:
            return None
        spare = self._legs.popleft()
        self.refill()
        return spare

    def forget(self) -> None:
        """The daemon has lost them: it was restarted, perhaps with other addresses."""
        self._generation += 1
        self._legs.clear()
        self.asked = 0
        self.has_address = None

    def drain(self) -> list[Spare]:
        """All of them, to be given back."""
        legs = list(self._legs)
        self._legs.clear()
        return legs

    def refill(self) -> None:
        """Gives the old ones back and asks for as many as are missing: for one alone until it is known what becomes
        of that."""
        if self.has_address is False:
            return
        now = asyncio.get_running_loop().time()
        while self._legs and now - self._legs[0].since > LONGEST_SPARE:
            self._give_back(self._legs.popleft().id)
        missing = self._wanted - len(self._legs) - self.asked
        for _ in range(min(missing, 1 - self.asked) if self.is_full or not self.has_address else missing):
            self._open()

    def _open(self) -> None:
        identity, generation = secrets.token_hex(16), self._generation
        self.asked += 1

        def opened(reply: Reply | None) -> None:
            if generation != self._generation:
                return
            self.asked -= 1
            self.changed.set()
            try:
                self._keep(Spare(identity, read_reply(reply), asyncio.get_running_loop().time()))
            except (NgError, Unreadable) as error:
                # As when its ports have run out. The next look tries again, with one.
                if not self.is_full:
                    about = {"node": self._node, "family": self._family, "error": str(error)}
                    _log.warning("rtpengine_no_leg", extra=about)
                self.is_full = True

        self._ask("offer", self._offer_to_nobody(identity), opened)

    def _keep(self, spare: Spare) -> None:
        first = self.has_address is None
        # Asked for an address that it does not have, rtpengine gives one of the other version.
        self.has_address = family_of(spare.outside.address[0]) == self._family
        if not self.has_address:
            self._give_back(spare.id)
            return
        self._legs.append(spare)
        if first or self.is_full:
            self.is_full = False
            self.refill()

    def _give_back(self, identity: str) -> None:
        self._ask("delete", {"call-id": identity, "delete-delay": 0}, forget)

    def _offer_to_nobody(self, identity: str) -> Mapping[str, Writable]:
        """A leg may turn out to be plain. But only so are there keys of ours."""
        description = inside(("127.0.0.1", DISCARD), Codec.PCMU, EVENT_TYPE)
        return offer(identity, self._family, SECURE, description, self._interfaces)


def read_reply(reply: Reply | None) -> Opened:
    """The description in a reply to an offer or an answer. Raises `NgError` or `Unreadable`."""
    text = checked(reply).get("sdp")
    if not isinstance(text, bytes):
        raise Unreadable("a reply without a description")
    return read(text.decode("utf-8", "replace"))


def forget(reply: Reply | None) -> None:
    """Nobody waits for the reply."""
