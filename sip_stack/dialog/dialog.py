"""A dialog: its identifiers, its route set, its sequence numbers, and the only builder of requests inside it.

RFC 3261 section 12. Values and rules: no transactions, no timers, no state beyond what requests need. CANCEL
and the ACK to a final response >= 300 are not here: they belong to the INVITE transaction
(`transaction/derived.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sip_stack.dialog.core import HeaderLines, body_headers
from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr, Request, Response, SipUri

TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose Contact replaces the remote target (RFC 3261 section 6, RFC 3311, RFC 6665, RFC 3515)."""


class Dialog:
    """One dialog. `local` and `remote` are the From and To lines of our requests, tags included."""

    __slots__ = (
        "call_id",
        "local",
        "local_cseq",
        "next_hop",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "request_uri",
        "route_set",
        "routes",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        remote: str,
        remote_tag: str | None,
        remote_target: str,
        route_set: Iterable[NameAddr],
        local_cseq: int,
        remote_cseq: int | None,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.route_set = tuple(route_set)
        self._set_target(remote_target)

    @classmethod
    def from_request(cls, invite: Request, local_tag: str) -> Dialog:
        """The dialog of a request we answer (section 12.1.1): Record-Route in order, no CSeq of ours yet."""
        contact = invite.contact
        if contact is None:
            raise RemoteError(400, "Missing Contact")
        return cls(
            call_id=invite.call_id,
            local=f"{invite.headers.get('To')};tag={local_tag}",
            remote=invite.headers.get("From") or "",
            remote_tag=invite.from_.tag,
            remote_target=contact.uri,
            route_set=invite.record_routes,
            local_cseq=0,
            remote_cseq=invite.cseq.number,
        )

    @classmethod
    def from_response(cls, response: Response, fallback_target: str) -> Dialog:
        """The dialog of a 1xx or 2xx to our request (section 12.1.2): Record-Route reversed.

        `fallback_target` is used when a peer forgets its Contact: better an ACK to where the INVITE went than
        none.
        """
        contact = response.contact
        return cls(
            call_id=response.call_id,
            local=response.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to.tag,
            remote_target=fallback_target if contact is None else contact.uri,
            route_set=reversed(response.record_routes),
            local_cseq=response.cseq.number,
            remote_cseq=None,
        )

    def request(
        self,
        method: str,
        *,
        via: str,
        contact: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
        cseq: int | None = None,
    ) -> Request:
        """A request inside the dialog (section 12.2.1.1); the CSeq rises by one unless given, as ACK does."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        lines = [("Via", via)]
        lines.extend([("Route", route) for route in self.routes])
        lines += (
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        )
        if contact:
            lines.append(("Contact", contact))
        lines.extend(headers)
        lines += body_headers(body, content_type)
        return Request(method, self.request_uri, lines, body)

    def accept(self, request: Request) -> bool:
        """Note the CSeq of a request received in the dialog; False when it is out of order (section 12.2.2).

        Repetitions never get here: their transaction absorbs them. An equal number is let through, since
        peers that restart or script their CSeq must still be able to hang up; for an INVITE it is not, since
        the number is what tells the ACKs apart.
        """
        number = request.cseq.number
        if self.remote_cseq is not None:
            lowest = self.remote_cseq + (request.method == "INVITE")
            if number < lowest:
                return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> bool:
        """Take the Contact of a target refresh request or of the 2xx to one; True when the target changed."""
        contact = message.contact
        if contact is None or contact.uri == self.remote_target or message.cseq.method not in TARGET_REFRESH:
            return False
        self._set_target(contact.uri)
        return True

    def _set_target(self, uri: str) -> None:
        """Work out Request-URI, Route lines and next hop once per target (section 12.2.1.1)."""
        self.remote_target = uri
        self.request_uri = self.next_hop = uri
        self.routes: tuple[str, ...] = tuple(map(str, self.route_set))
        if not self.route_set:
            return
        first = self.route_set[0].parsed_uri
        self.next_hop = self.route_set[0].uri
        if isinstance(first, SipUri) and not first.has_param("lr"):
            # A strict router (RFC 2543): it is the Request-URI, and the target closes the Route.
            self.request_uri = str(first.without_params("method").with_headers(()))
            self.routes = (*self.routes[1:], f"<{uri}>")
