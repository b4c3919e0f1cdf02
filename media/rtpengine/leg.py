"""One leg on a daemon: what is wanted of it, what the daemon was told, and the commands from one to the other.

The methods of the contract only note what is wanted. One command of a leg is under way at a time; when its reply is
there the next is chosen by comparing both (`_next`). So commands never overtake each other, and what was wanted only
in between is never asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from media.engine import Address, Latching, LegStatistics, MachineSign, MediaError, StreamParameters
from media.events import DtmfDigit, MediaEvent
from media.rtpengine.bencode import Writable
from media.rtpengine.connection import NgError, OnReply, Reply, checked
from media.rtpengine.description import (
    DISCARD,
    Unreadable,
    family_of,
)
from media.rtpengine.node import Node
from media.rtpengine.offer_answer import INSIDE, OUTSIDE, answer, has_key, offer_of
from media.rtpengine.prompt import silence
from media.rtpengine.spares import Spare, read_reply
from media.rtpengine.told import Played, Told
from media.rtpengine.watch import Watch
from media.srtp import CryptoSuite

if TYPE_CHECKING:
    from media.rtpengine.call import RtpengineCall

_log = logging.getLogger(__name__)

Command = tuple[str, Mapping[str, Writable], OnReply]

FOREVER = 1_000_000
"""Repetitions of a prompt in a loop."""


class RtpengineLeg:
    """`media.engine.MediaLeg`."""

    def __init__(
        self,
        call: RtpengineCall,
        node: Node,
        spare: Spare,
        role: str,
        latching: Latching,
        *,
        left_behind: bool = False,
    ) -> None:
        """`left_behind`: what the daemon was told of it is not known, but that its audio goes on: it is told nothing
        before all that is wanted is known, or it would be silent in between."""
        self.call = call
        self.node = node
        self.id = spare.id
        self._role = role
        self._latching = latching
        self._outside = spare.outside
        self.inside = spare.inside
        """Where our other legs find it; None until the daemon has said so."""
        self.parameters: StreamParameters | None = None
        self.source: RtpengineLeg | Played | None = None
        """What the peer is to hear; None is nobody."""
        self.since = 0
        """The later of two that want to hear the same leg is the one that does."""
        self.patience: asyncio.TimerHandle | None = None
        """Runs while it waits for somebody to be heard."""
        self.is_open = True
        self.wants_tones = False
        """Somebody waits for a key of its peer that may come as tones."""
        self._busy = False
        self._is_strange = left_behind
        """Its keys are not known yet: those that were agreed on are compared when the daemon tells them."""
        self._is_hushed = left_behind
        """It waits until all legs are known, too."""
        self._told: Told | None = None
        # Of what is not known the worst is assumed: that it plays, and lets nothing in.
        self._playing = Played(silence(), True) if left_behind else None
        self._blocked = frozenset((INSIDE, OUTSIDE)) if left_behind else frozenset()
        self._retold = False
        self.watch = Watch(self)

    @property
    def role(self) -> str:
        """What it is in the call."""
        return self._role

    @property
    def local_address(self) -> Address:
        """What the daemon says of the side of the peer."""
        return self._outside.address

    @property
    def _family(self) -> str:
        return family_of(self._outside.address[0])

    @property
    def announced_host(self) -> str | None:
        """What its daemon has been told to tell."""
        return self._outside.address[0]

    @property
    def renumbers_events(self) -> bool:
        """False: rtpengine passes them on as they are."""
        return False

    @property
    def identity(self) -> str | None:
        """Daemon, call-id, and the address that peers are told."""
        return f"{self.node.where} {self.id} {self._outside.address[0]}"

    def master_key(self, suite: CryptoSuite) -> bytes:
        """The one that the daemon has made for the suite. Raises `MediaError` once the leg is plain, and while a daemon
        has not told those of a leg that was left behind."""
        key = self._outside.keys.get(suite)
        agreed = self.parameters
        # It makes others once a leg was plain, and tells them later than they are asked for here.
        if key is None or (agreed is not None and agreed.keys is None):
            raise MediaError(f"rtpengine has no key for {suite}")
        return key.octets

    def set_remote(self, parameters: StreamParameters) -> None:
        """Takes what the peer agreed to."""
        keys = parameters.keys
        if keys is not None and not self._is_strange and keys.local != self.master_key(keys.suite):
            raise MediaError("rtpengine sends under its own keys only")
        before = self.parameters
        if not self.is_open:
            return
        self.parameters = parameters
        if before is None or before.remote != parameters.remote:
            self.watch.arm()
        self.watch.follow(parameters)
        if before is None:
            # Whom it is to hear is told in the same turn: so the daemon need not be told twice.
            asyncio.get_running_loop().call_soon(self._speak_up)
        else:
            self.call.stir()

    def set_media_timeout(self, seconds: float | None) -> None:
        """Watches for silence on the wire, to the second."""
        self.watch.set_timeout(seconds)

    def watch_silence(self, quiet_ms: int | None) -> None:
        """rtpengine does not tell silence from speech: who waits for it waits as long as they are ready to."""
        if quiet_ms is not None and quiet_ms < 20:
            raise MediaError("shorter than a packet")

    def listen_for_keys(self, wanted: bool) -> None:
        """rtpengine turns tones into events where one side has telephone-event alone, and tells of them."""
        self.wants_tones = wanted
        self.call.stir()

    def press(self, digit: str, duration_ms: int) -> None:
        """The daemon has told of a key of the peer's."""
        in_band = self._told is not None and self._told.tones
        if self.wants_tones or not in_band:
            self.tell(DtmfDigit(self, digit, duration_ms, in_band=in_band))

    def judge_answer(self, sign: MachineSign | None) -> None:
        """Raises `MediaError`: rtpengine does not listen to what is said."""
        if sign is not None:
            raise MediaError("rtpengine cannot tell machines from people")

    def statistics(self) -> LegStatistics:
        """The counters as they were when they were last asked for."""
        return self.watch.statistics(self.parameters)

    # -- what is wanted, and what comes next ---------------------------------------------------------------------------

    def stir(self) -> None:
        """Something may have changed: sends the next command, if there is one."""
        if self._busy or not self.is_open or self.parameters is None or self._is_hushed:
            return
        if self._told is None and self.call.learns_first(self):
            return
        command = self._next(self._wanted(self.parameters), self.parameters)
        if command is not None:
            self._busy = True
            self.node.request(*command)

    def _speak_up(self) -> None:
        self._is_hushed = False
        self.call.stir()

    def tell(self, event: MediaEvent) -> None:
        """Tells the call's owner, while the leg is open."""
        if self.is_open:
            self.call.tell(event)

    def forgotten(self, why: str) -> None:
        """The daemon does not know the leg: it was restarted, or has given it up."""
        self._fail("query", NgError(why))

    def tell_again(self) -> None:
        """Says all of it once more, which keeps a leg alive that nobody sends packets to."""
        self._retold = True
        self.stir()

    def sends_to(self, inside: Address | None) -> bool:
        """Whether what the peer says goes there, as far as the daemon was told."""
        return self.is_open and self._told is not None and self._told.target == inside

    def _wanted(self, parameters: StreamParameters) -> Told:
        listener = self.call.listener_of(self)
        target = None if listener is None else listener.inside
        # Inside is IPv4, also for a peer of IPv6.
        nobody = (self._outside.address[0] if self._family == "IP4" else "127.0.0.1", DISCARD)
        # What is heard goes on as events, so that another side without them needs them turned back. A daemon that
        # listens cannot be told to stop.
        tones = self.call.listens_for_tones or (self._told is not None and self._told.tones)
        return Told(
            target or nobody,
            self.call.inside_codec,
            parameters,
            tones and parameters.telephone_event is None,
        )

    def _next(self, wanted: Told, parameters: StreamParameters) -> Command | None:
        """The old is cut off before the new is heard."""
        sends = parameters.send and parameters.remote is not None
        played = self.source if sends and isinstance(self.source, Played) else None
        blocked = self._to_block(parameters.receive, sends)
        if self._told is None:
            return self._describe(wanted)
        if self._playing is not None and self._playing is not played:
            return self._stop_playing()
        if not blocked <= self._blocked:
            return self._block(min(blocked - self._blocked))
        if wanted != self._told or self._retold:
            return self._describe(wanted)
        if not self._blocked <= blocked:
            return self._unblock(min(self._blocked - blocked))
        if played is not None and self._playing is None:
            return self._play(played)
        return None

    def _to_block(self, receives: bool, sends: bool) -> set[str]:
        """The sides that must let nothing in. The inside opens when only the one who is to be heard sends to it."""
        senders = self.call.senders_to(self)
        hears = sends and senders == [self.source]
        is_silent = not hears and (not sends or bool(senders) or INSIDE in self._blocked)
        return {tag for tag, silent in ((INSIDE, is_silent), (OUTSIDE, not receives)) if silent}

    def _block(self, tag: str) -> Command:
        def done() -> None:
            self._blocked |= {tag}

        return self._ask("block media", {"from-tag": tag}, done)

    def _unblock(self, tag: str) -> Command:
        def done() -> None:
            self._blocked -= {tag}

        return self._ask("unblock media", {"from-tag": tag}, done)

    def _stop_playing(self) -> Command:
        def answered(reply: Reply | None) -> None:
            if reply is None:
                self._fail("stop media", NgError("does not answer"))
                return
            # Refused when it has come to its end by itself.
            self._playing = None
            self._done()

        return "stop media", {"call-id": self.id, "from-tag": OUTSIDE}, answered

    def _ask(self, command: str, arguments: Mapping[str, Writable], then: Callable[[], None]) -> Command:
        def answered(reply: Reply | None) -> None:
            try:
                checked(reply)
            except NgError as error:
                self._fail(command, error)
            else:
                then()
                self._done()

        return command, {"call-id": self.id, **arguments}, answered

    def _play(self, played: Played) -> Command:
        repeat = FOREVER if played.loop else 1

        def answered(reply: Reply | None) -> None:
            self._playing = played
            try:
                checked(reply)
            except NgError as error:
                # A call without its music is better than none.
                _log.warning("rtpengine_prompt", extra={"node": str(self.node.where), "error": str(error)})
            if not played.loop:
                self.watch.note_prompt(played)
            self._done()

        sound: dict[str, Writable] = {"blob": played.prompt.wav(played.loop), "repeat-times": repeat}
        return "play media", {"call-id": self.id, "from-tag": OUTSIDE, **sound}, answered

    def _describe(self, wanted: Told) -> Command:
        """Offer and answer. The same ports and keys come back, or the daemon is not who it was."""
        keys = wanted.parameters.keys
        self._retold = False

        def offered(reply: Reply | None) -> None:
            try:
                opened = read_reply(reply)
                if opened.address != self._outside.address:
                    raise NgError("knows the leg no more")
                if not has_key(opened, keys):
                    raise NgError("has another key")
            except (NgError, Unreadable) as error:
                self._fail("offer", error)
                return
            if self._is_strange:
                self._outside, self._is_strange = opened, False
            told = answer(self.id, self._outside, self._latching, wanted.parameters, before)
            self.node.request("answer", told, answered)

        before = self._told

        def answered(reply: Reply | None) -> None:
            try:
                found = read_reply(reply).address
            except (NgError, Unreadable) as error:
                self._fail("answer", error)
                return
            changed = self.inside != found or before is None or before.target != wanted.target
            self._told, self.inside = wanted, found
            self._done()
            if changed:
                self.call.stir()

        return "offer", offer_of(self.id, self._family, wanted, self.node.interfaces), offered

    def _done(self) -> None:
        self._busy = False
        if self.is_open:
            self.stir()
        else:
            self._delete()

    def _fail(self, command: str, error: Exception) -> None:
        if self.is_open:
            _log.error(
                "rtpengine_refused",
                extra={"node": str(self.node.where), "command": command, "error": str(error)},
            )
            self.node.doubt()
            self._busy = False
            self.call.lose(f"rtpengine {self.node.where}: {command}: {error}")
        else:
            self._delete()

    def close(self) -> None:
        """Gives it back to the daemon; the counters stay readable."""
        if self.is_open:
            self.is_open = False
            self.watch.stop()
            if not self._busy:
                self._delete()

    def _delete(self) -> None:
        self.node.give_back(self.id, self.watch.take_last)
