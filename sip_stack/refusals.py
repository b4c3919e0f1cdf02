"""What we refuse before anything begins: methods, schemes, extensions, body types, hops.

RFC 3261 sections 8.2.1 (405), 8.2.2.3 (420), 8.2.3 (415), 16.3 (483), 21.5.2 (501), RFC 3891 section 3. Pure
functions; limits, merged requests and whether a dialog is known are the endpoint's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sip_stack.errors import RemoteError
from sip_stack.message import Request
from sip_stack.message.methods import METHODS
from sip_stack.settings import EndpointSettings


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response >= 400 that needs no user."""

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    stateless: bool = False
    """Answer and forget (RFC 3261 section 8.2.7). Toward strangers: a refusal that is repeated until an ACK comes lets
    a spoofed source aim ten packets at somebody with one."""

    @classmethod
    def of(cls, error: RemoteError) -> Refusal:
        """The answer that an error asks for."""
        return cls(error.status_hint, error.reason, error.headers)


def refusal(request: Request, settings: EndpointSettings, *, in_dialog: bool) -> Refusal | None:
    """Why `request`, which is well-formed, cannot be served whoever the user is; None when it can.

    Never for ACK and CANCEL, which cannot be refused.
    """
    method = request.method
    if method not in METHODS and method not in settings.allow:
        return Refusal(501)
    if method not in settings.allow or (not in_dialog and not _stands_alone(method, settings)):
        return _not_allowed(method, settings)
    unsupported = [tag for tag in request.require if tag not in settings.supported]
    if unsupported:
        return Refusal(420, headers=(("Unsupported", ", ".join(unsupported)),))
    if method != "INVITE":
        # RFC 3891 section 3: it belongs into INVITE only.
        return Refusal(400, "Replaces outside INVITE") if "Replaces" in request.headers else None
    if not in_dialog and request.max_forwards == 0:
        # A B2BUA passes a new call on, so it counts hops as a proxy does.
        return Refusal(483)
    if not _usable_body(request, settings):
        return Refusal(415, headers=(("Accept", ", ".join(settings.accept)),))
    return None


def _stands_alone(method: str, settings: EndpointSettings) -> bool:
    return method in ("INVITE", "OPTIONS") or method in settings.out_of_dialog


def _not_allowed(method: str, settings: EndpointSettings) -> Refusal:
    if method in settings.allow:
        # Allowed, but only inside a dialog: BYE and the like without one are 481 (section 12.2.2).
        return Refusal(481)
    return Refusal(405, headers=(("Allow", ", ".join(settings.allow)),))


def _usable_body(request: Request, settings: EndpointSettings) -> bool:
    """True without a body, for an optional one, and when a part of it is of a type we accept."""
    if not request.body:
        return True
    disposition = (request.headers.get("Content-Disposition") or "").lower()
    if "handling=optional" in disposition.replace(" ", ""):
        return True
    encoding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if request.content_type is None or encoding != "identity":
        return False
    return any(request.body_of_type(accepted) is not None for accepted in settings.accept)


def without_session(request: Request) -> Refusal:
    """The answer to a request of a dialog that is gone: 481, but for the last word on a REFER of ours.

    An SBC tells how its transfer went after our BYE as well; told 481, some repeat it for minutes (pitfall 25).
    Other event packages nobody subscribed to (RFC 6665 section 4.1.3).
    """
    if request.method != "NOTIFY":
        return Refusal(481)
    event = request.headers.get("Event")
    if event is None:
        return Refusal(400, "Missing Event")
    if event.partition(";")[0].strip().lower() == "refer":
        return Refusal(200)
    return Refusal(489, headers=(("Allow-Events", "refer"),))
