"""Where a 3xx leads: whom it names, who of them may be dialled, and as whom.

RFC 3261 sections 8.1.3.4 and 21.3. A redirect is a stranger's word: the `policy` that holds for URIs from outside holds
for what it names, nothing is tried twice, and no credentials go to another host than they are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from b2bua.config import Assistant, Destination
from b2bua.config.dial_uri import check_route
from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr, SipUri, parse_uri

if TYPE_CHECKING:
    from b2bua.config import Dialled, Policy
    from sip_stack.message import Response

FOLLOWED = frozenset({300, 301, 302})
"""Not 305 and 380: another proxy and another service are the operator's to choose."""
MAX_REDIRECTS = 5
"""Contacts that are dialled in one attempt, however many responses name them."""


def contacts_of(response: Response) -> tuple[str, ...]:
    """The URIs that a 3xx names, the best first (`q`, section 20.10); of equal ones the one named first."""
    if response.status not in FOLLOWED:
        return ()
    try:
        named = [(_quality(contact), contact.parsed_uri) for contact in response.contacts]
    except RemoteError:
        return ()
    named.sort(key=lambda each: -each[0])
    return tuple(_dialled(uri) for _, uri in named if isinstance(uri, SipUri))[:MAX_REDIRECTS]


def _quality(contact: NameAddr) -> float:
    text = contact.params.get("q") or "1"
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _dialled(uri: SipUri) -> str:
    """The URI without what is not for a Request-URI of ours (RFC 3261 section 19.1.1)."""
    return str(uri.without_params("method").with_headers(()))


class Detour:
    """The contacts that the 3xx of one attempt have named."""

    def __init__(self, place: Dialled, uri: str) -> None:
        """`uri` of `place` is where the attempt begins."""
        self._place = place
        self._seen = {uri}
        self._waiting: list[str] = []

    def add(self, contacts: tuple[str, ...], policy: Policy) -> None:
        """Take those that may be dialled, before the others that wait."""
        if self._place.redirects == "follow":
            new = [
                uri
                for uri in dict.fromkeys(contacts)
                if uri not in self._seen and self._may_dial(uri, policy)
            ]
            new = new[: MAX_REDIRECTS + 1 - len(self._seen)]
            self._seen.update(new)
            self._waiting[:0] = new

    def next(self) -> tuple[Dialled, str] | None:
        """The next one to dial, and as what; None when there is none left."""
        if not self._waiting:
            return None
        uri = self._waiting.pop(0)
        return self._place_at(uri), uri

    def _may_dial(self, uri: str, policy: Policy) -> bool:
        """True when `policy` permits a URI, and the place's encryption can have it."""
        if not policy.allows(uri):
            return False
        try:
            check_route(uri, self._place.encryption)
        except PydanticCustomError:
            return False
        return True

    def _place_at(self, uri: str) -> Dialled:
        """The place with another host in its place: without the credentials and the trust that are for its own."""
        place = self._place
        if _host(uri) in {_host(each) for each in place.route} or not isinstance(
            place, Destination | Assistant
        ):
            return place
        return place.model_copy(update={"auth": None, "trusted": False})


def _host(uri: str) -> str:
    parsed = parse_uri(uri)
    return parsed.host.lower() if isinstance(parsed, SipUri) else ""
