"""The dialogs of an INVITE of ours before its answer: one for each fork, and the PRACKs in it.

RFC 3261 section 12.1.2, RFC 3262 sections 4 and 5, RFC 3311 section 5. A fork that sends nothing reliably needs none:
we send it nothing, and its answer makes the dialog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.requests import DialogRequest
from sip_stack.errors import RemoteError
from sip_stack.extensions import RELIABLE
from sip_stack.message import Response

if TYPE_CHECKING:
    from sip_stack.dialog.uac import ClientSession

MAX_EARLY = 8
"""Forks whose reliable responses are acknowledged; those of further ones are left to time out."""


class EarlyDialog:
    """One fork that has not answered yet."""

    __slots__ = ("agreed", "dialog", "rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.rseq = 0
        """Of the last response that was acknowledged; 0 before the first."""
        self.agreed = False
        """It has answered our offer in one of them: now it may make offers (RFC 3311 section 5.1)."""


class EarlyDialogs:
    """Those of one INVITE."""

    __slots__ = ("_dialogs",)

    def __init__(self) -> None:
        self._dialogs: dict[str | None, EarlyDialog] = {}

    def find(self, remote_tag: str | None) -> EarlyDialog | None:
        """The fork of that tag; None when there is none."""
        return self._dialogs.get(remote_tag)

    def acknowledge(self, session: ClientSession, response: Response, now: float) -> bool:
        """PRACK a reliable response. False when it must not be looked at: it is a repetition, overtook another, or is
        of a fork too many (section 4)."""
        rseq = read_rseq(response)
        if rseq is None:
            return True
        early = self._of(response, session.invite.uri)
        if early is None or (early.rseq and rseq != early.rseq + 1):
            return False
        early.rseq = rseq
        early.agreed = early.agreed or bool(response.body)
        early.dialog.refresh_target(response)
        rack = ("RAck", f"{rseq} {response.headers.get('CSeq')}")
        DialogRequest(session, "PRACK", (rack,), dialog=early.dialog).send(now)
        return True

    def highest_cseq(self, at_least: int) -> int:
        """The highest number that a request of ours has had."""
        return max([at_least, *(early.dialog.local_cseq for early in self._dialogs.values())])

    def clear(self) -> None:
        """The INVITE has a final response, or goes out again."""
        self._dialogs.clear()

    def _of(self, response: Response, uri: str) -> EarlyDialog | None:
        tag = response.to.tag
        early = self._dialogs.get(tag)
        if early is None and len(self._dialogs) < MAX_EARLY:
            early = self._dialogs[tag] = EarlyDialog(Dialog.from_response(response, uri))
        return early


def read_rseq(response: Response) -> int | None:
    """The number of a reliable provisional response; None for any other (pitfall 55: `Require` alone is none)."""
    text = (response.headers.get("RSeq") or "").strip()
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 10) or response.to.tag is None:
        return None
    try:
        required = response.require
    except RemoteError:
        return None
    return int(text) if RELIABLE in required and 100 < response.status < 200 else None


def continue_dialog(dialog: Dialog, early: EarlyDialog | None) -> None:
    """The answer's dialog goes on counting where the early one of the same fork was; its routes are the answer's
    (RFC 3261 section 13.2.2.4)."""
    if early is not None:
        dialog.local_cseq = max(dialog.local_cseq, early.dialog.local_cseq)
        dialog.remote_cseq = early.dialog.remote_cseq
