"""What a later process needs to know of a dialog, or of an INVITE of either side, to end it: values that can be written
down and read again."""

from __future__ import annotations

from typing import NamedTuple

from sip_stack.dialog.dialog import Dialog
from sip_stack.message import NameAddr, Request

UNSEEN_REQUESTS = 1_000
"""By how much the CSeq is raised: requests that went out after the snapshot had the numbers between. RFC 3261 section
12.2.2 lets CSeq rise by more than one."""


class DialogSnapshot(NamedTuple):
    """A confirmed dialog at a moment, from our side."""

    call_id: str
    local: str
    """The From line of our requests, with its tag."""
    remote: str
    """The To line of our requests, with its tag."""
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int

    @classmethod
    def of(cls, dialog: Dialog) -> DialogSnapshot:
        """The dialog as it is now."""
        return cls(
            dialog.call_id,
            dialog.local,
            dialog.remote,
            dialog.remote_target,
            tuple(map(str, dialog.route_set)),
            dialog.local_cseq,
        )

    def restored(self) -> Dialog:
        """A dialog that goes on behind every request that may have been sent since. Raises `RemoteError` for a route
        set that nobody can read."""
        remote = NameAddr.parse(self.remote)
        return Dialog(
            call_id=self.call_id,
            local=self.local,
            remote=self.remote,
            remote_tag=remote.tag,
            remote_target=self.remote_target,
            route_set=[NameAddr.parse(route) for route in self.route_set],
            local_cseq=self.local_cseq + UNSEEN_REQUESTS,
            remote_cseq=None,
        )


_REPEATED = ("Via", "From", "To", "Call-ID", "CSeq", "Route", "Session-ID")


class InviteSnapshot(NamedTuple):
    """An INVITE whose sender may have no final response: what its CANCEL repeats (RFC 3261 section 9.1), and its
    responses."""

    uri: str
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, invite: Request) -> InviteSnapshot:
        """As it was sent, or received and stamped with where it came from."""
        headers = invite.headers
        return cls(invite.uri, tuple((name, each) for name in _REPEATED for each in headers.get_all(name)))

    @property
    def call_id(self) -> str:
        """Its Call-ID."""
        return next(value for name, value in self.lines if name == "Call-ID")

    def restored(self) -> Request:
        """The INVITE, as far as its CANCEL, a refusal and the ACK to that tell of it."""
        return Request("INVITE", self.uri, list(self.lines))


class UnansweredSnapshot(NamedTuple):
    """An INVITE that we received, and whose sender may have no final response: none was sent, or a 2xx that has no
    ACK."""

    invite: InviteSnapshot
    tag: str
    """Ours, as our responses have told it."""
    session_id: str
    """Of our responses (RFC 7989); empty for none."""
