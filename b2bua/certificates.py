"""What our own certificates say: for whom they are, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sip_stack.tls_identity import PeerCertificate, is_for, subjects

if TYPE_CHECKING:
    from cryptography import x509

WARN_DAYS = 21
"""How long ahead of its end a certificate is warned about: time enough to order one."""
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of ours. Times are POSIX seconds."""

    file: str
    names: tuple[str, ...]
    """All that it may be known by."""
    not_before: float
    not_after: float
    _as_peers_see_it: PeerCertificate = field(repr=False)

    def allows(self, name: str) -> bool:
        """True when we may call ourselves so. By a wildcard too: some peers accept it, whatever RFC 5922 says."""
        wildcard = f"*.{name.partition('.')[2]}"
        return is_for(self._as_peers_see_it, name) or is_for(self._as_peers_see_it, wildcard)

    def days_left(self, now: float) -> float:
        """Days until it is out of date; negative afterwards."""
        return (self.not_after - now) / DAY

    def warning(self, now: float) -> str | None:
        """What an operator must know about its dates; None when all is well."""
        if now < self.not_before:
            return f"not valid before {day_of(self.not_before)}"
        left = self.days_left(now)
        if left < 0:
            return f"expired on {day_of(self.not_after)}"
        if left < WARN_DAYS:
            return self.end(now)
        return None

    def end(self, now: float) -> str:
        """When it is out of date: the day, and how long that is from `now`, in hours on the last two days."""
        days = self.days_left(now)
        left = f"{int(days)} days" if days >= 2 else f"{int(days * 24)} hours"
        return f"expires on {day_of(self.not_after)}, in {left}"


def read_certificate(file: str) -> Certificate:
    """The first certificate of a PEM file. Raises OSError, and ValueError for what is none."""
    # Imported here: a configuration without TLS need not pay for it.
    from cryptography import x509

    parsed = x509.load_pem_x509_certificate(Path(file).read_bytes())
    seen = _as_peers_see_it(parsed)
    return Certificate(
        file,
        subjects(seen),
        parsed.not_valid_before_utc.timestamp(),
        parsed.not_valid_after_utc.timestamp(),
        seen,
    )


def describe(certificate: Certificate, now: float) -> str:
    """One line for people."""
    names = ", ".join(certificate.names) or "nobody"
    dates = certificate.warning(now) or certificate.end(now)
    return f"certificate {certificate.file} is for {names}; {dates}"


def day_of(moment: float) -> str:
    """The date of a POSIX time, UTC."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _as_peers_see_it(parsed: x509.Certificate) -> PeerCertificate:
    """In the words of `ssl.SSLObject.getpeercert`, so that one code judges both."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = [
        ("commonName", each.value) for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    try:
        alternatives = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {"subject": (tuple(names),)}
    return {
        "subject": (tuple(names),),
        "subjectAltName": (
            *(("DNS", name) for name in alternatives.get_values_for_type(x509.DNSName)),
            *(("URI", uri) for uri in alternatives.get_values_for_type(x509.UniformResourceIdentifier)),
            *(("IP Address", str(each)) for each in alternatives.get_values_for_type(x509.IPAddress)),
        ),
    }
