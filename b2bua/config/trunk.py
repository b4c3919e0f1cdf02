"""`trunks:` the peers that may send us calls, and whom we send calls through."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator

from b2bua.config.addresses import IpNetwork
from b2bua.config.auth import Auth, Login, Word
from b2bua.config.dial_uri import FromUser, OutboundUri
from b2bua.config.durations import PingInterval
from b2bua.config.proxies import ProxyKeys
from b2bua.config.register import RegisterOrFlag
from b2bua.config.section import NamedSection, Section, one_or_list, refusal
from b2bua.config.session_timers import SessionTimersOrUse
from b2bua.config.tls import TlsClient
from b2bua.config.trust import TrustKeys
from b2bua.encryption import MediaProtection
from media.engine import Latching
from sip_stack.extensions import Use

Method = Literal["refer", "invite", "bye"]
METHODS: tuple[Method, ...] = ("refer", "invite", "bye")

Subject = Annotated[Word, AfterValidator(str.lower)]
"""As `sip_stack.tls_identity.subjects` writes them."""

CallLimit = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
CallsPerHour = Annotated[StrictInt, Field(ge=1, le=100_000)]
CallRate = Annotated[StrictInt, Field(ge=1, le=100_000)]


class Accept(Section):
    """What a peer must show to be this trunk: all that is set."""

    addresses: Annotated[tuple[IpNetwork, ...], Field(min_length=1), one_or_list()] = ()
    """Networks it sends from; where trunks overlap the longest prefix wins."""
    tls_subject: Annotated[tuple[Subject, ...], Field(min_length=1), one_or_list()] = ()
    """One of the names (DNS, SIP URI or common name) in the certificate that it shows over TLS."""
    auth: Login | None = None
    """The credentials it answers our challenge with. Without `addresses`: from wherever no other trunk is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.addresses and not self.tls_subject and self.auth is None:
            raise refusal("anybody would be this trunk", allowed="addresses, tls_subject, auth, or several")
        return self

    def may_come_from(self, address: str) -> bool:
        """True when this IP address is one of its own; any is when it names none."""
        return not self.addresses or any(ip_address(address) in network for network in self.addresses)

    def has_shown(self, subjects: Iterable[str]) -> bool:
        """True when these names of a verified certificate are enough."""
        return not self.tls_subject or not set(self.tls_subject).isdisjoint(subjects)


class Outbound(ProxyKeys):
    """Where and as whom we call it."""

    uri: OutboundUri
    """A SIP URI without a user: `sip:gw.acme.example`."""
    auth: Auth | None = None
    from_user: FromUser | None = None
    """The user in From of what is dialled through it; the caller's when it is missing."""
    ping: PingInterval = 0.0
    """How often it is asked by OPTIONS whether it is there; 0 never asks."""
    tls: TlsClient | None = None
    """On what terms it is called over TLS, where a destination has no `tls` of its own."""
    # Last, since it is judged by what stands above; and named so, since pydantic's classes have a `register`.
    registration: RegisterOrFlag = Field(default=None, alias="register")
    """We register there, so that it can call us; `true`, or a mapping that says how."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.registration is not None and self.register_user is None:
            allowed = "auth, from_user, or register: {user: …}"
            raise refusal("register does not say whom we register", allowed=allowed)
        return self

    @property
    def register_user(self) -> str | None:
        """The user of our address-of-record there."""
        own = None if self.registration is None else self.registration.user
        return own or (self.auth.username if self.auth is not None else None) or self.from_user

    @property
    def registrars(self) -> tuple[str, ...]:
        """Where we register; none when we do not."""
        if self.registration is None:
            return ()
        return self.registration.registrar or (self.uri,)


class Trunk(NamedSection, TrustKeys):
    """One peer."""

    accept: Accept | None = None
    outbound: Outbound | None = None
    allowed_methods: Annotated[
        tuple[Method, ...], Field(min_length=1), one_or_list(Method | list[Method])
    ] = METHODS
    """The handoff methods its integration permits."""
    max_calls: CallLimit | None = None
    """Calls from it at once; more are answered 503."""
    max_calls_per_second: CallRate | None = None
    """New calls from it per second; more are answered 503. Instead of the one in `limits`."""
    srtp: MediaProtection = "preferred"
    """Whether the audio of its calls is encrypted: `required`, an offer without SRTP is refused (11010); `preferred`,
    as it offers; `disabled`, never. Over signalling that is not TLS, `preferred` means `disabled`; see `media.srtp`."""
    session_timers: SessionTimersOrUse | None = None
    """As in `sip`, for its calls and for those dialled through it."""
    reliable_provisionals: Use | None = Field(default=None, alias="100rel")
    """As in `sip`, for its calls and for those dialled through it."""
    latching: Latching | None = None
    """As in `media`, for the audio of its calls and of those dialled through it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.accept is None and self.outbound is None:
            raise refusal("neither accepts calls nor takes them", allowed="accept, outbound or both")
        return self

    @property
    def registers(self) -> bool:
        """True when we register there, and it then calls the Contact that we gave."""
        return self.outbound is not None and self.outbound.registration is not None

    @property
    def auth(self) -> Auth | None:
        """As whom we answer its challenges, to a REFER or a BYE within its own calls too."""
        return self.outbound.auth if self.outbound is not None else None
