"""Calls through a B2BUA on this machine, as many at once as keep it busy: the peers' sockets, and who calls when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

from b2bua.warm_up.peers import Answer, Callee, Caller, audio_port, is_to_bye
from sip_stack.transport import Address

HOST = "127.0.0.1"
AT_ONCE = 48
"""Calls. Few enough that none waits for half a second, when messages are said again, while each costs ten times what
it will; for a limit of 1,024 open files too."""
HOLD = 0.03
"""Seconds from answer to hang-up."""
HANDED_HOLD = 0.25
"""The same of calls that go to somebody else meanwhile, and are written down in the journal."""
SOUND = bytes([0x80, 0, 0, 1]) + bytes(4) + b"warm" + b"\xff" * 160
"""One RTP packet of PCMU (RFC 3550, RFC 3551): 20 ms of silence."""
SPEAKS_AFTER = 0.05
"""Seconds from the INVITE to the first sound of who gets the caller: without one they would be waited for."""
HUMAN = b"INVITE sip:human@"
"""How an INVITE to somebody begins who gets the caller from an assistant."""
BATCH = 16
"""Datagrams that are read before others get their turn: what the kernel keeps for a socket takes the answers."""
ASSISTANT = "assistant"
USERS = ("desk", "guarded", "desk", "guarded", "desk", "guarded", "desk", ASSISTANT)
"""Whom calls are for, in turns; the callee asks for a password as `guarded`."""


class Load:
    """Begins calls, one for each that ends, until it is stopped."""

    def __init__(self, on_ended: Callable[[], None], on_refused: Callable[[str], None]) -> None:
        """Opens the sockets. `on_ended` is told of each call that was completed, `on_refused` of one that was not
        answered, with the first line of why. Raises `OSError`."""
        self._loop = asyncio.get_running_loop()
        self._on_ended = on_ended
        self._on_refused = on_refused
        self._calling, self._called = _bound(), _bound()
        self.callee: Address = self._called.getsockname()
        self._callee = Callee(self.callee)
        self._caller: Caller
        self._server: Address
        self._begun = 0
        self._stopped = False
        self._unanswered: set[int] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ending: set[int] = set()
        self._loop.add_reader(self._calling, self._hear_as_caller)
        self._loop.add_reader(self._called, self._hear_as_callee)

    def begin(self, server: Address) -> None:
        """Call by way of `server`."""
        self._server = server
        self._caller = Caller(self._calling.getsockname(), server)
        for _ in range(AT_ONCE):
            self._invite()

    def stop(self) -> None:
        """Begin no more calls; those that are up end soon."""
        self._stopped = True

    def close(self) -> None:
        """Say and hear nothing from now on."""
        for timer in self._timers.values():
            timer.cancel()
        for each in (self._calling, self._called):
            self._loop.remove_reader(each)
            each.close()

    def _invite(self) -> None:
        self._begun += 1
        self._unanswered.add(self._begun)
        user = USERS[self._begun % len(USERS)]
        self._calling.sendto(self._caller.invite(self._begun, user), self._server)

    def _hear_as_caller(self) -> None:
        for message, source in _waiting(self._calling):
            if not message.startswith(b"SIP/2.0 "):
                # A BYE or re-INVITE of the B2BUA's: it is agreed to like all else.
                for response in self._callee.hear(message):
                    self._calling.sendto(response, source)
            elif message.startswith(b"SIP/2.0 200 "):
                self._hear_answer(message)
            elif not message.startswith(b"SIP/2.0 1") and not self._stopped:
                self._on_refused(message.partition(b"\r\n")[0].decode(errors="replace"))

    def _hear_answer(self, response: bytes) -> None:
        """A 200; of one that comes again only the ACK is said again."""
        answer = Answer.of(response)
        if is_to_bye(response):
            if answer.number in self._ending:
                self._ending.remove(answer.number)
                self._end()
            return
        self._calling.sendto(self._caller.ack(answer), self._server)
        if answer.number in self._unanswered:
            self._unanswered.remove(answer.number)
            hold = HANDED_HOLD if answer.user == ASSISTANT else HOLD
            self._after(hold, f"call {answer.number}", self._hang_up, answer)

    def _hang_up(self, answer: Answer) -> None:
        self._ending.add(answer.number)
        self._calling.sendto(self._caller.bye(answer), self._server)

    def _after(self, seconds: float, name: str, do: Callable[..., object], *arguments: object) -> None:
        """Do something later, unless we are closed before."""

        def due() -> None:
            del self._timers[name]
            do(*arguments)

        self._timers[name] = self._loop.call_later(seconds, due)

    def _end(self) -> None:
        self._on_ended()
        if not self._stopped:
            self._invite()

    def _hear_as_callee(self) -> None:
        for request, source in _waiting(self._called):
            for response in self._callee.hear(request):
                self._called.sendto(response, source)
            if request.startswith(HUMAN):
                port = audio_port(request)
                self._after(SPEAKS_AFTER, f"audio {port}", self._called.sendto, SOUND, (source[0], port))


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((HOST, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _waiting(sock: socket.socket) -> Iterator[tuple[bytes, Address]]:
    """Datagrams that have come, with where from."""
    for _ in range(BATCH):
        try:
            yield sock.recvfrom(65535)
        except OSError:  # none, or the report of an unreachable port
            return
