"""SIP dialogs and INVITE sessions: RFC 3261 sections 12 to 15."""

from sip_stack.dialog.core import Core
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.requests import OutOfDialogRequest
from sip_stack.dialog.session import Session
from sip_stack.dialog.uac import ClientSession
from sip_stack.dialog.uas import ServerSession
from sip_stack.dialog.usage import SessionState

__all__ = [
    "ClientSession",
    "Core",
    "Dialog",
    "OutOfDialogRequest",
    "ServerSession",
    "Session",
    "SessionState",
]
