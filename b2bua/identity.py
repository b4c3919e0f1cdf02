"""Who a call comes from: what we learn from the caller's INVITE, and what we say about it to a destination.

Three things that providers tell apart are kept apart (pitfall 17): the account we authenticate as
(`auth.username`), the user in From (`from_user`) and the caller's number, which then goes into
P-Asserted-Identity (RFC 3325) unless the caller asked for privacy (RFC 3323).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from b2bua.headers import P_EARLY_MEDIA, pass_through, received_variables
from sip_stack.message import NameAddr, SipUri, TelUri, escape_user

if TYPE_CHECKING:
    from sip_stack.message import Request

Header = tuple[str, str]

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller as the destination may come to know them."""

    user: str
    """User part of the caller's URI, or the number of a tel URI; empty when there is none."""
    display: str
    private: bool
    """They asked for their identity to be withheld (`Privacy: id`, `user` or `header`)."""
    max_forwards: int
    """For the requests made on their behalf: one less than theirs (RFC 7332)."""
    knows_early_media: bool = False
    """They want to be told whether what they hear before the answer is meant to be heard (RFC 5009)."""
    headers: tuple[Header, ...] = ()
    """What of their INVITE may pass to the other side."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """`$x_...` of configured headers: the X- headers of their INVITE."""

    @property
    def shown(self) -> str:
        """The user part by which a destination comes to know them."""
        return ANONYMOUS if self.private or not self.user else self.user

    @classmethod
    def of_uri(cls, uri: str) -> Caller:
        """Somebody we called, as those may come to know them whom they are connected with."""
        return cls(user=_user_of(NameAddr("", uri)), display="", private=False, max_forwards=70)

    @classmethod
    def from_invite(cls, request: Request) -> Caller:
        """The caller of an INVITE."""
        from_ = request.from_
        privacy = ";".join(request.headers.get_all("Privacy")).lower()
        return cls(
            user=_user_of(from_),
            display=from_.display or "",
            private=any(level in privacy for level in ("id", "user", "header")),
            max_forwards=max((request.max_forwards if request.max_forwards is not None else 70) - 1, 0),
            knows_early_media=P_EARLY_MEDIA in request.headers,
            headers=tuple(pass_through(request)),
            variables=received_variables(request.headers),
        )


def _user_of(address: NameAddr) -> str:
    """User part of a SIP URI, the number of a tel URI, empty for any other."""
    uri = address.parsed_uri
    if isinstance(uri, SipUri):
        return uri.username or ""
    return uri.number if isinstance(uri, TelUri) else ""


def outgoing_from(caller: Caller, from_user: str | None, host: str) -> NameAddr:
    """The From of an INVITE to a destination: `from_user` when configured, else the caller, at our own host."""
    if from_user is None and caller.private:
        return NameAddr("Anonymous", f"sip:{ANONYMOUS}@anonymous.invalid")
    user = escape_user(from_user or caller.user or ANONYMOUS)
    return NameAddr(caller.display if not caller.private else "", f"sip:{user}@{host}")


def asserted_identity(caller: Caller, from_user: str | None, host: str) -> list[Header]:
    """P-Asserted-Identity with the caller's number where `from_user` took its place in From."""
    if from_user is None or not caller.user or caller.private:
        return []
    return [("P-Asserted-Identity", str(NameAddr(caller.display, f"sip:{escape_user(caller.user)}@{host}")))]
