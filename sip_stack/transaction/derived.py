"""Requests made from another request: the ACK to a final response >= 300 and CANCEL.

RFC 3261 sections 17.1.1.3 and 9.1. Both go hop by hop: one Via, the INVITE's own, and the INVITE's Route; and its
Session-ID (RFC 7989). The ACK to a 2xx is not here; it belongs to the dialog.
"""

from __future__ import annotations

from collections.abc import Iterable

from sip_stack.errors import LocalError
from sip_stack.message import Request, Response


def acknowledgement(invite: Request, response: Response) -> Request:
    """The ACK to a final response >= 300: the INVITE's Via, CSeq number and Route, the To of the response."""
    return _derived("ACK", invite, response.headers.get("To"))


def cancellation(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of a pending INVITE; `headers` are extras such as Reason (RFC 3326)."""
    request = _derived("CANCEL", invite, invite.headers.get("To"))
    for name, value in headers:
        request.headers.add(name, value)
    return request


def _derived(method: str, invite: Request, to: str | None) -> Request:
    original = invite.headers
    via, from_, call_id = original.get("Via"), original.get("From"), original.get("Call-ID")
    if via is None or from_ is None or call_id is None or to is None:
        raise LocalError("an INVITE of ours always has Via, From, To and Call-ID")
    headers = [("Via", via), ("Max-Forwards", "70"), ("From", from_), ("To", to), ("Call-ID", call_id)]
    headers.append(("CSeq", f"{invite.cseq.number} {method}"))
    headers.extend((name, value) for name in ("Route", "Session-ID") for value in original.get_all(name))
    return Request(method, invite.uri, headers)
