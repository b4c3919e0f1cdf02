"""A call's messages as the steps of a ladder diagram: in order, masked, each between us and one far end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from b2bua.call.clock import CallClock
from b2bua.trace.masking import masked
from b2bua.trace.ring import Dialog, Message, Traced, near_end
from sip_stack.message import format_host_port
from sip_stack.transport import Address

US = "b2bua"

_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*[0-9]+[ \t]+(\S+)", re.IGNORECASE | re.MULTILINE)
_UNREADABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Participant:
    """A far end of the call: one dialog."""

    name: str
    """caller, assistant, agent; with a number when there are several of them."""
    address: str
    """Where its first message came from or went."""


@dataclass(frozen=True, slots=True)
class Step:
    """One message, masked."""

    at: float
    """POSIX seconds."""
    stamp: str
    """The same for people."""
    elapsed: float
    """Seconds since the first message of the call."""
    whom: int
    """Which participant."""
    sent: bool
    """By us."""
    transport: str
    local: Address
    remote: Address
    again: bool
    """A retransmission: the same octets went this way before."""
    title: str
    """`INVITE`, or `180 Ringing (INVITE)`."""
    data: bytes

    @property
    def text(self) -> str:
        """The message for people."""
        return self.data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")


@dataclass(frozen=True, slots=True)
class Ladder:
    """All of it."""

    call_id: str
    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]
    skipped: int
    """Messages that were left out of a long call's middle."""


def ladder_of(traced: Traced, clock: CallClock) -> Ladder:
    """`clock` turns loop time into that of the wall."""
    pairs = [(message, number) for number, dialog in enumerate(traced.dialogs) for message in dialog.messages]
    pairs.sort(key=lambda pair: pair[0].number)
    first = pairs[0][0].at
    seen: set[tuple[int, bool, bytes]] = set()
    steps = []
    for message, whom in pairs:
        same = (whom, message.sent, message.data)
        steps.append(_step(message, whom, first, clock, again=same in seen))
        seen.add(same)
    return Ladder(
        traced.call_id,
        tuple(_participants(traced.dialogs)),
        tuple(steps),
        sum(dialog.skipped for dialog in traced.dialogs),
    )


def _step(message: Message, whom: int, first: float, clock: CallClock, *, again: bool) -> Step:
    flow = message.flow
    return Step(
        at=clock.seconds(message.at),
        stamp=clock.stamp(message.at) or "",
        elapsed=message.at - first,
        whom=whom,
        sent=message.sent,
        transport=flow.transport,
        local=near_end(flow),
        remote=flow.remote,
        again=again,
        title=_title(message.data),
        data=masked(message.data),
    )


def _participants(dialogs: tuple[Dialog, ...]) -> list[Participant]:
    roles = [dialog.role for dialog in dialogs]
    found: list[Participant] = []
    for number, dialog in enumerate(dialogs):
        name = dialog.role
        if roles.count(name) > 1:
            name = f"{name} {roles[: number + 1].count(name)}"
        remote = dialog.messages[0].flow.remote if dialog.messages else None
        found.append(Participant(name, format_host_port(*remote) if remote else ""))
    return found


def _title(data: bytes) -> str:
    """What a message is in short; nothing of it but method, status and reason, in ASCII."""
    line = data.partition(b"\r\n")[0].decode("latin-1")
    first, _, rest = line.partition(" ")
    if first.upper().startswith("SIP/"):
        method = _CSEQ.search(data)
        of = f" ({method[1].decode('latin-1')})" if method else ""
        return _UNREADABLE.sub("?", f"{rest[:60]}{of}")
    return _UNREADABLE.sub("?", first[:60])
