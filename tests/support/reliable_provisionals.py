"""What tests of reliable provisional responses (RFC 3262) say and are told, on either side."""

from __future__ import annotations

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.extensions import Extensions, Use
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import sip_request

CAN = "Supported: 100rel"
MUST = "Require: 100rel"
CONTACT = "Contact: <sip:them@10.0.0.2:5060>"
SDP = b"v=0\r\n"
OTHER = b"v=1\r\n"
SETTINGS = EndpointSettings(
    allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK"), supported=("100rel",)
)


def used(use: Use = "supported") -> Extensions:
    return Extensions(reliable=use)


def within(
    session: ServerSession | ClientSession,
    method: str,
    cseq: int,
    *lines: str,
    body: bytes = b"",
    tag: str = "them",
) -> bytes:
    return sip_request(
        method,
        to_tag=session.local_tag,
        from_tag=tag,
        call_id=session.call_id,
        cseq=cseq,
        headers=lines,
        body=body,
    )
