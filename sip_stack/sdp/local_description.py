"""Our own descriptions on one leg: who says them (o=) and how often they changed.

RFC 3264 section 8, RFC 8866 section 5.2. What stands in them is decided in `b2bua/sdp_bridge`.
"""

from __future__ import annotations

from sip_stack.errors import LocalError
from sip_stack.sdp.addresses import Address
from sip_stack.sdp.media_lines import Connection
from sip_stack.sdp.model import Media, Origin, Session


class LocalDescription:
    """What we say on one leg, under one o= identity.

    The session id is the leg's for life; the version rises by one when, and only when, the text is not the one said
    last (RFC 3264 section 8), so that repeating a description is a refresh and not a change. What was said and
    refused counts as said: no two texts ever share a version.
    """

    def __init__(self, address: Address, session_id: int) -> None:
        self.host, self.port = address
        self._address_type = "IP6" if ":" in self.host else "IP4"
        self._session_id = str(session_id)
        self._version = 0
        self._media: tuple[Media, ...] = ()
        self._body = b""

    def resume(self, said: Session, slot: int, body: bytes, version: int) -> None:
        """Go on where another process left off: `said` is the description in force, `slot` the place of its audio,
        `body` its octets, `version` that of the last one, which may have been refused. Raises `LocalError` when it was
        said of another address."""
        host = said.connection and said.connection.address
        if host != self.host or said.media[slot].port not in (0, self.port):
            raise LocalError("the leg is not at the address that its far end was told")
        self._session_id, self._version = said.origin.session_id, version
        if said.origin.version == str(version):
            self._media, self._body = said.media, body

    @property
    def version(self) -> int:
        """Of what was said last; 0 before anything was."""
        return self._version

    def say(self, media: tuple[Media, ...]) -> bytes:
        """The description with these media sections: the octets said last when they are the same."""
        if media != self._media or not self._body:
            self._version += 1
            self._media = media
            origin = Origin("-", self._session_id, str(self._version), self._address_type, self.host)
            self._body = Session(origin, Connection(self._address_type, self.host), media).encode()
        return self._body
