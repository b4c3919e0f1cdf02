"""Whose certificate it is: SIP domain identities and how they are compared (RFC 5922 section 7).

A certificate names domains by SIP URIs; DNS names count only where there are none, and the common name only where
there is no subjectAltName at all. Names are compared whole, without wildcards. RFC 5922 does not speak of addresses:
where a peer is dialled by its address, an iPAddress of the certificate must be just that (RFC 5280 section 4.2.1.6).

The chain of trust is verified before, by OpenSSL; this is about the name alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

PeerCertificate = Mapping[str, Any]
"""A certificate as `ssl.SSLObject.getpeercert` shows it."""

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def sip_identities(certificate: PeerCertificate) -> tuple[str, ...]:
    """The domains and addresses that a certificate is for, in lower case, in the order of the certificate."""
    alternatives = certificate.get("subjectAltName", ())
    addresses = tuple(filter(None, (_address(text) for kind, text in alternatives if kind == "IP Address")))
    domains = _unique(filter(None, (_sip_domain(text) for kind, text in alternatives if kind == "URI")))
    if not domains:
        domains = _unique(_normal(text) for kind, text in alternatives if kind == "DNS")
    if not alternatives:
        domains = tuple(name for name in map(_normal, common_names(certificate)) if _DNS_NAME.fullmatch(name))
    return (*domains, *addresses)


def is_for(certificate: PeerCertificate, name: str) -> bool:
    """True when the certificate is for this host name or address (without brackets)."""
    wanted = _address(name) or _normal(name)
    return wanted in sip_identities(certificate)


def subjects(certificate: PeerCertificate) -> tuple[str, ...]:
    """All that a client's certificate may be known by: domains, addresses, SIP URIs with a user, common names.

    Wider than `sip_identities`: whoever configures one of them has chosen the CA that vouches for it, and many PBXs
    have certificates without a DNS name.
    """
    alternatives = certificate.get("subjectAltName", ())
    written = [text for kind, text in alternatives if kind in ("DNS", "URI", "email")]
    return _unique(map(_normal, (*sip_identities(certificate), *written, *common_names(certificate))))


def common_names(certificate: PeerCertificate) -> tuple[str, ...]:
    """The CNs of the subject."""
    names = certificate.get("subject", ())
    return tuple(str(value) for part in names for key, value in part if key == "commonName")


def _sip_domain(uri: str) -> str | None:
    """The host of a SIP URI without a user, else None: with one it names a person, not a domain."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "sip" or "@" in rest:
        return None
    host = re.split("[;?]", rest, maxsplit=1)[0]
    if host.startswith("["):
        return _address(host[1:].partition("]")[0])
    host = host.partition(":")[0]
    return _address(host) or _normal(host) or None


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None


def _normal(name: str) -> str:
    return name.strip().lower().removesuffix(".")


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
