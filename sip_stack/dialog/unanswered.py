"""An INVITE that an earlier process of ours received, and whose sender may have no final response: it is refused here.

Nothing else comes of it: its sender has a transaction that waits (RFC 3261 section 17.1.1), and at most an early dialog
beside it. One who has our 2xx after all hears nothing of it (RFC 6026 section 7.2).
"""

from __future__ import annotations

from sip_stack.dialog.core import Core, HeaderLines
from sip_stack.dialog.snapshot import UnansweredSnapshot
from sip_stack.message import Request
from sip_stack.transaction import ServerTransaction
from sip_stack.transaction.key import server_key
from sip_stack.transport import Flow


class UnansweredInvite:
    """Its server transaction goes on. Whoever takes it up must `refuse` it: nothing else ends it."""

    __slots__ = ("_core", "_left", "_transaction")

    def __init__(self, core: Core, left: UnansweredSnapshot, flow: Flow) -> None:
        """`flow` leads to where responses go. Raises `RemoteError` for an INVITE that nobody can read."""
        request = left.invite.restored()
        request.from_, request.to, request.cseq  # noqa: B018  # Before there is a transaction that would be left over.
        self._core = core
        self._left = left
        self._transaction = core.transactions.restore(request, server_key(request), flow)
        self._transaction.dialog_tag = left.tag
        self._transaction.user = self

    def refuse(self, now: float, status: int, headers: HeaderLines = ()) -> bool:
        """Send a final response >= 300; False, and nothing is sent, when the far end has cancelled meanwhile."""
        lines = [("Session-ID", self._left.session_id)] if self._left.session_id else []
        return bool(
            self._core.respond(
                now, self._transaction, status, to_tag=self._left.tag, headers=[*lines, *headers]
            )
        )

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """The far end has given up, and hears what it expects (section 9.2)."""
        self.refuse(now, 487)
