"""A stand-in for the registrar and outbound proxy that some phones cannot do without.

REGISTER is answered 200. Everything else a phone sends goes to one fixed address as it is; what that address sends back
this way goes to the phone. It adds no Via: responses find the phone by the Via it wrote itself.
"""

from __future__ import annotations

from tests.support.peer_sip import SipText, response
from tests.support.udp_peer import Address, UdpPeer


class Registrar(UdpPeer):
    """One registrar for one phone."""

    def __init__(self, next_hop: Address) -> None:
        """`next_hop` is where the phone's calls go: the B2BUA, or whom the test wants in its place."""
        super().__init__()
        self._next_hop = next_hop
        self._phone: Address | None = None

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Register or pass on."""
        if message.status or source == self._next_hop:
            if self._phone is not None:
                self.send(data, self._phone)
        elif message.method == "REGISTER":
            self._phone = source
            contact = [("Contact", f"{message.header('Contact')};expires=120")]
            self.send(response(message, 200, "OK", contact, tag="registrar"), source)
        else:
            self.send(data, self._next_hop)
