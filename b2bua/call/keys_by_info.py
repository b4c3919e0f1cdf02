"""Keys to one far end by SIP INFO: one at a time and in order, so that a datagram that is lost costs none.

Over UDP a second INFO overtakes the first while that is sent again, and what comes too late is 500, CSeq out of order
(RFC 3261 section 12.2.2). So the next key waits for the final response to the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.dtmf import RELAY, KeyPress, write_key_press
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from sip_stack.message import Message, Response

CAPACITY = 16
"""Keys that may wait behind the one on its way."""
MAX_TRIES = 4
"""How often one key is sent when other requests of ours overtake it."""
NOT_TAKEN = (405, 415, 501)
"""What a far end says that takes no INFO, or no keys in it."""


class KeysByInfo:
    """The key on its way to a leg's far end, and those that wait.

    The wait is bounded by the transaction: without a response within 64*T1 what waits is given up, too old by then.
    """

    __slots__ = ("_leg", "_sent", "_tries", "_waiting", "named", "taken")

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._sent: KeyPress | None = None
        self._tries = 0
        self._waiting: list[KeyPress] = []
        self.taken = True
        """False once the far end is known not to take INFO."""
        self.named = False
        """Its Allow says that it takes INFO."""

    @property
    def idle(self) -> bool:
        """True when every key so far has its final response."""
        return self._sent is None

    def learn_methods(self, message: Message) -> None:
        """Note what the far end's Allow says; without a readable one it is tried."""
        try:
            methods = message.allow
        except RemoteError:
            return
        self.named = "INFO" in methods
        self.taken = self.named or not methods

    def press(self, key: KeyPress) -> None:
        """Send a key when its turn comes, unless the far end is known not to take any."""
        if self._leg.over:
            return
        if not self.taken or len(self._waiting) >= CAPACITY:
            self._leg.log("key_not_passed_on")
            return
        self._waiting.append(key)
        if self._sent is None:
            self._send_next()

    def completed(self, response: Response | None) -> None:
        """Take the final response to the INFO under way; None: there was none."""
        key, self._sent = self._sent, None
        if response is None:
            self._give_up()
        elif response.status in NOT_TAKEN:
            self.taken = False
            self._give_up()
        elif key is not None and self._leg.session.was_overtaken(response) and self._tries < MAX_TRIES:
            self._send(key)
        elif self._waiting:
            self._send_next()

    def _send_next(self) -> None:
        self._tries = 0
        self._send(self._waiting.pop(0))

    def _send(self, key: KeyPress) -> None:
        leg = self._leg
        self._sent = key
        self._tries += 1
        leg.request("INFO", body=write_key_press(key), content_type=RELAY)

    def _give_up(self) -> None:
        if self._waiting:
            self._leg.log("keys_not_passed_on", count=len(self._waiting))
            self._waiting.clear()
