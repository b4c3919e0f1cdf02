"""Which messages are kept: those of the newest calls, in so many octets, by reference to what was received and sent.

A message belongs to the call that claims its Call-ID. An INVITE comes before the claim, so the messages of unclaimed
INVITEs wait, a few at a time; what is never claimed (a scanner's call, an OPTIONS ping) is forgotten.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from sip_stack.transport import Address, Flow

MAX_CALLS = 10_000
MAX_MESSAGES = 300
"""Of one dialog; of longer ones the beginning and the end are kept."""
BEGINNING = 100
"""Messages of a long dialog's beginning."""
OVERHEAD = 200
"""Octets that keeping a message takes besides its own."""
MAX_UNCLAIMED = 500
"""INVITEs that wait to be claimed."""
MAX_UNCLAIMED_MESSAGES = 10

_CALL_ID = re.compile(rb"\r\n(?:Call-ID: ([^\r\n]*)|\r\n)")
"""What comes first: the line as nearly everybody writes it, or the end of the headers."""
_ANY_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class Message(NamedTuple):
    """One message as it was on the wire."""

    number: int
    """Counts all messages: what is the same moment for the clock still has an order."""
    at: float
    """Loop time, seconds."""
    sent: bool
    """By us."""
    data: bytes
    flow: Flow


_message = partial(tuple.__new__, Message)
"""One of a tuple of its values: a call has thirteen, and the class itself takes three times as long."""


def near_end(flow: Flow) -> Address:
    """Our end of a flow: a socket that is bound to all addresses says nothing about the one that was used."""
    host = flow.advertised[0] if flow.local[0] in ("0.0.0.0", "::") else flow.local[0]
    return host, flow.local[1]


@dataclass(slots=True)
class Dialog:
    """The messages with one Call-ID."""

    call_id: bytes
    """The SIP Call-ID."""
    role: str
    """What the leg is in the call that claimed it first."""
    owner: str
    """That call."""
    messages: list[Message] = field(default_factory=list)
    skipped: int = 0
    """Messages left out of its middle."""
    claims: int = 1
    octets: int = 0
    """What its messages take."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What is kept of a call."""

    call_id: str
    dialogs: tuple[Dialog, ...]


class TraceRing:
    """A `sip_stack.transport.Tap` that keeps messages by call; with `max_octets` 0 it only tells of them."""

    def __init__(self, max_octets: int, *, max_calls: int = MAX_CALLS) -> None:
        self._max_octets = max_octets
        self._max_calls = max_calls
        self._octets = 0
        self._number = 0
        self._dialogs: dict[bytes, Dialog] = {}
        self._calls: OrderedDict[str, list[Dialog]] = OrderedDict()
        self._unclaimed: OrderedDict[bytes, list[Message]] = OrderedDict()
        self.tell: Callable[[Dialog, Message], None] | None = None
        """Told of each message of a call, in order; must return at once."""

    @property
    def octets(self) -> int:
        """What is kept takes so many octets."""
        return self._octets

    @property
    def calls(self) -> int:
        """Calls of which something is kept."""
        return len(self._calls)

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        """Take a message that came."""
        self._take(data, flow, now, False)

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        """Take a message that goes."""
        self._take(data, flow, now, True)

    def claim(self, sip_call_id: str, call_id: str, role: str) -> None:
        """From now on, and what has waited: messages with this Call-ID are of that call."""
        key = sip_call_id.encode("utf-8", "surrogateescape")
        of_call = self._calls.get(call_id)
        if of_call is None:
            of_call = self._calls[call_id] = []
        dialog = self._dialogs.get(key)
        if dialog is not None:
            if dialog not in of_call:
                dialog.claims += 1
                of_call.append(dialog)
            return
        dialog = self._dialogs[key] = Dialog(key, role, call_id)
        of_call.append(dialog)
        for message in self._unclaimed.pop(key, ()):
            self._keep(dialog, message)
        self._forget_oldest()

    def of_call(self, call_id: str) -> Traced | None:
        """What is kept of a call; a copy. None when nothing is."""
        dialogs = self._calls.get(call_id)
        if not dialogs or not any(dialog.messages for dialog in dialogs):
            return None
        copies = [
            Dialog(each.call_id, each.role, each.owner, list(each.messages), each.skipped) for each in dialogs
        ]
        return Traced(call_id, tuple(copies))

    def _take(self, data: bytes, flow: Flow, now: float, sent: bool) -> None:
        key = call_id_of(data)
        dialog = self._dialogs.get(key)
        if dialog is None and not data.startswith(b"INVITE ") and key not in self._unclaimed:
            return
        self._number += 1
        message = _message((self._number, now, sent, data, flow))
        if dialog is None:
            self._let_wait(key, message)
            return
        self._keep(dialog, message)
        if self._octets > self._max_octets:
            self._forget_oldest()

    def _keep(self, dialog: Dialog, message: Message) -> None:
        if self.tell is not None:
            self.tell(dialog, message)
        if not self._max_octets:
            return
        octets = len(message.data) + OVERHEAD
        messages = dialog.messages
        messages.append(message)
        if len(messages) > MAX_MESSAGES:
            octets -= len(messages.pop(BEGINNING).data) + OVERHEAD
            dialog.skipped += 1
        dialog.octets += octets
        self._octets += octets

    def _let_wait(self, key: bytes, message: Message) -> None:
        waiting = self._unclaimed.get(key)
        if waiting is None:
            waiting = self._unclaimed[key] = []
            if len(self._unclaimed) > MAX_UNCLAIMED:
                self._unclaimed.popitem(last=False)
        if len(waiting) < MAX_UNCLAIMED_MESSAGES:
            waiting.append(message)

    def _forget_oldest(self) -> None:
        while len(self._calls) > 1 and (
            self._octets > self._max_octets > 0 or len(self._calls) > self._max_calls
        ):
            _, dialogs = self._calls.popitem(last=False)
            for dialog in dialogs:
                dialog.claims -= 1
                if not dialog.claims:
                    del self._dialogs[dialog.call_id]
                    self._octets -= dialog.octets


def call_id_of(data: bytes) -> bytes:
    """The Call-ID of a message as it was written; empty when there is none."""
    usual = _CALL_ID.search(data)
    key = None if usual is None else usual[1]
    if key is not None:
        return key.strip()
    head = data.find(b"\r\n\r\n")
    found = _ANY_CALL_ID.search(data, 0, head if head >= 0 else len(data))
    return found[1].strip() if found is not None else b""
