"""Does a parsed message make sense? What to check before acting on it (RFC 3261 sections 8.1.1, 8.2, 16.3).

Pinned where RFC 4475 leaves a choice: see tests/rfc/test_rfc4475_parser.py. Whether we *support* what is
asked (method, extensions, body types) is the endpoint's question.
"""

from __future__ import annotations

from sip_stack.errors import RemoteError
from sip_stack.message.message import SIP_VERSION, Message, Request, Response
from sip_stack.message.uri import OtherUri, SipUri, parse_uri
from sip_stack.message.values import CSeq, is_method

MAX_URI = 4096
"""Characters accepted in a Request-URI; longer ones are answered 414."""

_SINGLE = {name.lower(): name for name in ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type")}


_NEVER_SENT_TO = frozenset(["ACK", "BYE", "CANCEL"])
"""Methods whose Contact and Record-Route mean nothing: many devices write them out of habit (RFC 3261 table 2)."""


def check_request(request: Request) -> None:
    """Raise the RemoteError to answer with when a request is wrong: 505, 400, 414, 416.

    Checked: version, method, mandatory headers and their number, Via, CSeq and its method, Request-URI, and
    every address that a dialog would later send to. Max-Forwards may be missing (RFC 2543 peers).
    """
    if request.version != SIP_VERSION and request.version.upper() != SIP_VERSION:
        raise RemoteError(505, "Version Not Supported")
    if not is_method(request.method):
        raise RemoteError(400, "Malformed method")
    if _check_common(request).method != request.method:
        raise RemoteError(400, "CSeq method does not match")
    _check_request_uri(request)
    _ = request.max_forwards
    for route in request.addresses("route"):
        parse_uri(route.uri)


def check_response(response: Response) -> None:
    """Raise RemoteError(400) when a response is wrong; it is then dropped (RFC 3261 section 18.1.2)."""
    _check_common(response)


def _check_common(message: Message) -> CSeq:
    repeated = message.headers.repeated(_SINGLE)
    if repeated is not None:
        raise RemoteError(400, f"More than one {_SINGLE[repeated]}")
    _, cseq, _, _ = message.via, message.cseq, message.call_id, message.content_type
    parse_uri(message.from_.uri)
    parse_uri(message.to.uri)
    if cseq.method not in _NEVER_SENT_TO:
        for address in message.addresses("record-route"):
            parse_uri(address.uri)
        for address in message.addresses("contact"):
            if address.uri != "*":
                parse_uri(address.uri)
    return cseq


def _check_request_uri(request: Request) -> None:
    if len(request.uri) > MAX_URI:
        raise RemoteError(414, "Request-URI Too Long")
    uri = request.request_uri
    if isinstance(uri, OtherUri):
        raise RemoteError(416, "Unsupported URI Scheme")
    if isinstance(uri, SipUri) and uri.headers:
        raise RemoteError(400, "Headers in the Request-URI")
