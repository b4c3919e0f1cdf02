"""Who a call comes from: what we learn from the caller's INVITE, and what we say about it to a destination.

Three things that providers tell apart are kept apart (pitfall 17): the account we authenticate as
(`auth.username`), the user in From (`from_user`) and the caller's number, which then goes into
P-Asserted-Identity (RFC 3325) unless the caller asked for privacy (RFC 3323).

We are the privacy service of RFC 3323: `header` and `session` cost nothing, since no Via, Contact or address of one
side reaches the other; `user` and `id` make From anonymous; what says who calls goes only to who is trusted, and then
with the caller's Privacy, for that one to keep. A signed identity (Identity, RFC 8224) is of From, To and Date as they
were: it passes where we leave those as they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from b2bua.headers import P_EARLY_MEDIA, hops_of, pass_through, received_variables
from b2bua.pass_list import DEFAULT_LIST, TRUSTED_ONLY, PassList
from media.value_class import value_class
from sip_stack.message import NameAddr, SipUri, TelUri, escape_user
from sip_stack.message.headers import header_key
from sip_stack.remembered import Remembered

if TYPE_CHECKING:
    from b2bua.config import Dialled
    from sip_stack.message import Request

Header = tuple[str, str]

ANONYMOUS = "anonymous"

WITHHOLDING = frozenset({"id", "user", "header"})
"""Values of Privacy that make a caller anonymous (RFC 3323 section 4.2, RFC 3325 section 9.3)."""

_NUMBER = re.compile(r"\+?[0-9][0-9().\-]{1,30}")
"""A user that a signature may be about, whatever its host (RFC 8224 section 8.3)."""


@value_class
class Caller:
    """The caller as the destination may come to know them."""

    user: str
    """User part of the caller's URI, or the number of a tel URI; empty when there is none."""
    display: str
    private: bool
    """They asked for their identity to be withheld (`Privacy: id`, `user` or `header`)."""
    max_forwards: int
    """For the requests made on their behalf: one less than theirs (RFC 7332)."""
    hops: int = 0
    """How often their call has come through us before."""
    knows_early_media: bool = False
    """They want to be told whether what they hear before the answer is meant to be heard (RFC 5009)."""
    headers: tuple[Header, ...] = ()
    """What of their INVITE may pass to the other side."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """`$x_...` of configured headers: the X- headers of their INVITE."""
    privacy: str = ""
    """Their Privacy, as it came."""
    dialled: str = ""
    """User part of their To."""
    date: str = ""
    """Their Date."""

    @property
    def shown(self) -> str:
        """The user part by which a destination comes to know them."""
        return ANONYMOUS if self.private or not self.user else self.user

    @staticmethod
    def of_uri(uri: str) -> Caller:
        """Somebody we called, as those may come to know them whom they are connected with."""
        return _callees[uri]

    @classmethod
    def from_invite(cls, request: Request, passes: PassList = DEFAULT_LIST) -> Caller:
        """The caller of an INVITE; `passes` is what their trunk lets go on."""
        from_, headers = request.from_, request.headers
        privacy = headers.get_all("Privacy")
        wishes = {each.strip() for line in privacy for each in line.lower().split(";")} if privacy else set()
        return cls(
            user=_user_of(from_),
            display=from_.display or "",
            private=not wishes.isdisjoint(WITHHOLDING),
            max_forwards=max((request.max_forwards if request.max_forwards is not None else 70) - 1, 0),
            hops=hops_of(request),
            knows_early_media=P_EARLY_MEDIA in headers,
            headers=tuple(pass_through(request, passes)),
            variables=received_variables(headers),
            privacy=";".join(privacy),
            dialled=_user_of(request.to),
            date=headers.get("Date") or "",
        )


def _callee(uri: str) -> Caller:
    return Caller(user=_user_of(NameAddr("", uri)), display="", private=False, max_forwards=70)


_callees = Remembered(_callee)
"""Destinations are called again and again."""


def _user_of(address: NameAddr) -> str:
    """User part of a SIP URI, the number of a tel URI, empty for any other."""
    uri = address.parsed_uri
    if isinstance(uri, SipUri):
        return uri.username or ""
    return uri.number if isinstance(uri, TelUri) else ""


def headers_to(caller: Caller, place: Dialled) -> list[Header]:
    """What of the caller's headers reaches a place: what its own pass list admits too, and no signature that would not
    hold there."""
    if not caller.headers:
        return []
    passes = place.passes
    passed = [header for header in caller.headers if passes.admits(header[0])]
    if _has(passed, "identity"):
        if not _is_verifiable(caller, place):
            return [header for header in passed if header_key(header[0]) != "identity"]
        if caller.date:
            passed.append(("Date", caller.date))
    return passed


def _is_verifiable(caller: Caller, place: Dialled) -> bool:
    """True when From and To can stay what was signed: numbers, for hosts do not cross (RFC 8224 section 8.3)."""
    if place.from_user is not None or caller.private:
        return False
    return all(_NUMBER.fullmatch(user) is not None for user in (caller.user, caller.dialled))


def outgoing_from(caller: Caller, from_user: str | None, host: str) -> NameAddr:
    """The From of an INVITE to a destination: `from_user` when configured, else the caller, at our own host."""
    if from_user is None and caller.private:
        return NameAddr("Anonymous", f"sip:{ANONYMOUS}@anonymous.invalid")
    user = escape_user(from_user or caller.user or ANONYMOUS)
    return NameAddr(caller.display if not caller.private else "", f"sip:{user}@{host}")


def outgoing_to(caller: Caller, uri: str, headers: list[Header]) -> NameAddr:
    """The To of an INVITE to `uri` with these headers: who is dialled, or who was while a signature says so."""
    if not _has(headers, "identity"):
        return NameAddr("", uri)
    return NameAddr("", str(replace(SipUri.parse(uri), user=escape_user(caller.dialled))))


def asserted_identity(caller: Caller, place: Dialled, host: str, headers: list[Header]) -> list[Header]:
    """What is said of the caller beside From and `headers`: their number in P-Asserted-Identity where `from_user` took
    its place, and their own Privacy to whom it is said although they asked for it to be withheld."""
    added: list[Header] = []
    if caller.private and not place.is_trusted:
        return added
    if place.from_user is not None and caller.user and not _has(headers, "p-asserted-identity"):
        identity = NameAddr(caller.display, f"sip:{escape_user(caller.user)}@{host}")
        added.append(("P-Asserted-Identity", str(identity)))
    if caller.privacy and (added or any(header_key(name) in TRUSTED_ONLY for name, _ in headers)):
        added.append(("Privacy", caller.privacy))
    return added


def _has(headers: list[Header], key: str) -> bool:
    return key in [header_key(name) for name, _ in headers]
