"""Building the response to a request (RFC 3261 sections 8.2.6 and 12.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from sip_stack.errors import RemoteError
from sip_stack.message.headers import Headers, header_key
from sip_stack.message.message import Request, Response

_COPIED = frozenset(["via", "from", "to", "call-id", "cseq"])
_COPIED_IN_DIALOG = _COPIED | {"record-route"}
_COPIED_IN_TRYING = _COPIED | {"timestamp"}
_DIALOG_METHODS = frozenset(["INVITE", "SUBSCRIBE", "REFER"])


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """The response to `request`: its Vias, From, To, Call-ID and CSeq as received, then `headers`.

    `to_tag` goes on the To unless it has a tag already. Record-Route is copied into what may create a dialog,
    Timestamp into a 100. Never raises because of what the request says: a broken To is copied as it is.
    """
    copied = _COPIED
    if 100 < status < 300 and request.method in _DIALOG_METHODS:
        copied = _COPIED_IN_DIALOG
    elif status == 100:
        copied = _COPIED_IN_TRYING
    items = request.headers.lines_of(copied)
    if to_tag is not None and _lacks_tag(request):
        for place, (name, value) in enumerate(items):
            if name[0] in "Tt" and header_key(name) == "to":
                items[place] = (name, f"{value};tag={to_tag}")
    lines = Headers.trusted(items)
    lines.extend(headers)
    return Response(status, reason, lines, body)


def _lacks_tag(request: Request) -> bool:
    """False also for a To that cannot be read: it is copied as it is."""
    try:
        return request.to.tag is None
    except RemoteError:
        return False
