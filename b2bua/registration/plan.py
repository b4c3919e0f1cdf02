"""What the configuration wants registered, one by one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sip_stack.message import NO_PARAMS, SipUri, escape_user

if TYPE_CHECKING:
    from b2bua.config import Configuration, Trunk
    from b2bua.config.trunk import Outbound
    from sip_stack.auth import Credentials
    from sip_stack.transport import TlsTerms


@dataclass(frozen=True, slots=True)
class Plan:
    """One trunk at one registrar, and how."""

    trunk: str
    registrar: str
    """The Request-URI of the REGISTERs."""
    address_of_record: str
    """The URI that others call us by."""
    proxies: tuple[str, ...]
    """What the REGISTERs pass on their way."""
    contact_user: str
    """The user of our Contact: the trunk's own, which nobody else knows."""
    credentials: Credentials | None
    terms: TlsTerms | None
    expires: float
    """How long we ask to be remembered; seconds."""
    patience: float
    """Seconds that one target has to respond."""


def plans_of(configuration: Configuration, secret: bytes) -> Iterator[Plan]:
    """Everything that a configuration wants registered. `secret` makes Contacts of trunks without a password."""
    for trunk in configuration.trunks.values():
        outbound = trunk.outbound
        if outbound is None or outbound.registration is None or (user := outbound.register_user) is None:
            continue
        auth = outbound.auth
        for registrar in outbound.registrars:
            yield Plan(
                trunk=trunk.name,
                registrar=registrar,
                address_of_record=_address_of_record(outbound, user),
                proxies=() if outbound.outbound_proxy is None else (outbound.outbound_proxy,),
                contact_user=_contact_user(trunk, outbound, secret),
                credentials=None if auth is None else auth.credentials,
                terms=outbound.tls.terms if outbound.tls is not None else None,
                expires=outbound.registration.expires,
                patience=configuration.timers.connect_timeout,
            )


def _address_of_record(outbound: Outbound, user: str) -> str:
    """Of the provider's domain: without the port and the transport that lead there."""
    there = SipUri.parse(outbound.uri)
    return str(replace(there, user=escape_user(user), port=None, params=NO_PARAMS))


def _contact_user(trunk: Trunk, outbound: Outbound, secret: bytes) -> str:
    """Unguessable, since who calls it is taken for the trunk; and the same after a restart, so that the registrar
    replaces the binding of before instead of calling both.

    It tells no more of the password than the digest beside it does.
    """
    auth = outbound.auth
    key = secret if auth is None else auth.password.get_secret_value().encode("utf-8", "surrogateescape")
    return hmac.new(key, f"contact of {trunk.name}".encode(), hashlib.sha256).hexdigest()[:24]
