"""Replaces (RFC 3891): which dialog is to be replaced, as a value, and where it is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sip_stack.dialog.core import Core, session_key
from sip_stack.dialog.ended import is_tag
from sip_stack.dialog.uac import ClientSession
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from sip_stack.dialog.session import Session
    from sip_stack.message import Request


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog, seen from whoever receives the header: `to_tag` is its own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool

    @classmethod
    def parse(cls, value: str) -> Replaces:
        """One header value. RemoteError(400) without a Call-ID or one of the tags, or with a tag twice."""
        call_id, *parts = (part.strip() for part in value.split(";"))
        params: dict[str, str] = {}
        for part in parts:
            name, _, text = part.partition("=")
            name = name.strip().lower()
            if name in params:
                raise RemoteError(400, "A Replaces parameter given twice")
            params[name] = text.strip()
        to_tag, from_tag = params.get("to-tag", ""), params.get("from-tag", "")
        if not call_id or not to_tag or not from_tag or "," in value:
            raise RemoteError(400, "Malformed Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    @classmethod
    def of(cls, invite: Request) -> Replaces | None:
        """What an INVITE is to replace, None for any other. RemoteError(400) for more than one dialog, or with Join
        (RFC 3911), which asks for the opposite."""
        values = invite.headers.get_all("Replaces")
        if not values:
            return None
        if len(values) > 1:
            raise RemoteError(400, "More than one Replaces")
        if "Join" in invite.headers:
            raise RemoteError(400, "Replaces and Join")
        return cls.parse(values[0])


def find_replaced(core: Core, replaces: Replaces) -> Session:
    """The session that may be replaced (RFC 3891 section 3), whoever asks.

    RemoteError: 481 when there is none, or an early one that the other side began; 603 when it is over or being ended;
    486 when it is answered and only an early one was meant.
    """
    key = session_key(replaces.call_id, replaces.to_tag)
    session = core.sessions.get(key)
    if session is None or not _is_named(session, replaces.from_tag):
        if core.ended.has(key, replaces.from_tag):
            raise RemoteError(603, "The dialog is over")
        raise RemoteError(481, "No such dialog")
    if session.state is SessionState.ENDING:
        raise RemoteError(603, "The dialog is over")
    if replaces.early_only and session.state is SessionState.CONFIRMED:
        raise RemoteError(486, "The dialog is answered")
    return session


def _is_named(session: Session, from_tag: str) -> bool:
    if session.state is SessionState.EARLY and (
        not isinstance(session, ClientSession) or session.remote_tag is None
    ):
        return False
    return is_tag(session.remote_tag, from_tag)
