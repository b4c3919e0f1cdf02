"""The engine: the daemons, the calls on them, and which of them the next call goes to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakSet, WeakValueDictionary

from media import _native
from media.engine import MediaError, Ringback
from media.events import OnMediaEvent
from media.rtpengine.call import RtpengineCall
from media.rtpengine.connection import LONGEST_DATAGRAM, Reply
from media.rtpengine.digits import DigitListener, Pressed, read_pressed
from media.rtpengine.leg import RtpengineLeg
from media.rtpengine.node import Node
from media.rtpengine.prompt import RtpenginePrompt
from media.rtpengine.settings import RtpengineSettings

_log = logging.getLogger(__name__)

_OTHER_FIELDS = 500
"""Octets of a datagram that plays a prompt beside the prompt."""


class RtpengineEngine:
    """`media.engine.Engine` over rtpengine daemons."""

    def __init__(self, settings: RtpengineSettings) -> None:
        self._settings = settings
        self._nodes = [
            Node(where, settings, on_notice=self._notice, on_lost=self._lose) for where in settings.nodes
        ]
        self._next = 0
        self._digits = DigitListener(self._press)
        self._calls: WeakSet[RtpengineCall] = WeakSet()
        self._legs: WeakValueDictionary[str, RtpengineLeg] = WeakValueDictionary()
        self._ringbacks: dict[Ringback, RtpenginePrompt] = {}
        self._running = False

    @property
    def nodes(self) -> Sequence[Node]:
        """The daemons, for whoever shows how they do."""
        return self._nodes

    @property
    def capacity(self) -> int:
        """Legs that are open, and those that can be opened now: how many there may be in all is up to the daemons."""
        return self.free_ports + sum(node.in_use for node in self._nodes)

    @property
    def free_ports(self) -> int:
        """Legs that can be opened now."""
        return sum(node.spare_legs for node in self._nodes)

    async def start(self) -> None:
        """Looks for the daemons. One that is down is waited for: calls are refused while none is up."""
        if self._running:
            raise MediaError("the media engine is already started")
        self._running = True
        if self._settings.dtmf_listen is not None:
            await self._digits.open(self._settings.dtmf_listen)
        await asyncio.gather(*(node.start() for node in self._nodes))
        for node in self._nodes:
            if not node.is_up:
                _log.error("rtpengine_down", extra={"node": str(node.where)})

    def open_call(self, on_event: OnMediaEvent) -> RtpengineCall:
        """A call without legs."""
        if not self._running:
            raise MediaError("the media engine is not running")
        call = RtpengineCall(self._in_turn, self._legs, on_event)
        self._calls.add(call)
        return call

    def load_prompt(self, path: Path) -> RtpenginePrompt:
        """Reads a WAV file. Over UDP it has to fit into a datagram: eight seconds."""
        prompt = RtpenginePrompt.of(_asked_to_load(path))
        if prompt.octets > LONGEST_DATAGRAM - _OTHER_FIELDS and any(
            node.where.transport == "udp" for node in self._nodes
        ):
            raise MediaError(f"{path}: longer than 8 s, which does not fit into a datagram: not over udp:")
        return prompt

    def ringback(self, country: Ringback = Ringback.US) -> RtpenginePrompt:
        """The ringing tone of a country, each made once."""
        if country not in self._ringbacks:
            self._ringbacks[country] = RtpenginePrompt.of(_native.Prompt.ringback(country))
        return self._ringbacks[country]

    def digits(self, text: str) -> RtpenginePrompt:
        """Digits to be sent: as tones, whatever the peer has agreed to."""
        try:
            return RtpenginePrompt.of(_native.Prompt.digits(text))
        except ValueError as error:
            raise MediaError(str(error)) from error

    async def close(self) -> None:
        """Closes every call and gives back what was opened ahead."""
        self._running = False
        for call in list(self._calls):
            call.close()
        self._digits.close()
        await asyncio.gather(*(node.close() for node in self._nodes))

    def _in_turn(self) -> list[Node]:
        """The daemons, each call beginning with another one."""
        self._next = (self._next + 1) % len(self._nodes)
        return self._nodes[self._next :] + self._nodes[: self._next]

    def _lose(self, node: Node, reason: str) -> None:
        for call in list(self._calls):
            if call.uses(node):
                call.lose(reason)

    def _notice(self, message: Reply) -> None:
        data = message.get("data")
        pressed = read_pressed(data) if isinstance(data, dict) else None
        if message.get("notify") == b"onDTMF" and pressed is not None:
            self._press(pressed)

    def _press(self, pressed: Pressed) -> None:
        leg = self._legs.get(pressed.leg)
        if leg is not None:
            leg.press(pressed.digit, pressed.duration_ms)


def _asked_to_load(path: Path) -> _native.Prompt:
    try:
        return _native.Prompt.load(path)
    except ValueError as error:
        raise MediaError(str(error)) from error
