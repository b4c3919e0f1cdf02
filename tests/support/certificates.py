"""A certificate authority of a test's own: made at run time, gone with the test's folder."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: str
    key: str


class Authority:
    """A CA that signs what it is asked to."""

    def __init__(self, folder: Path, name: str = "test CA") -> None:
        """Its certificate is written to `folder`."""
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = str(folder / f"{name.replace(' ', '-')}.pem")
        """PEM with the CA's certificate."""
        builder = _builder(self._name, self._name, self._key.public_key(), 3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        Path(self.file).write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        file: str,
        names: Iterable[str] = (),
        *,
        common_name: str = "somebody",
        days: float = 30,
        begins: float = -1,
        password: str = "",
    ) -> Pair:
        """A certificate for these names, good for `days` from now on, or expired `-days` ago; it began a day ago.

        A name is a host name, an address, or a `sip:` URI; without any there is no subjectAltName.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self._name, key.public_key(), days, begins)
        alternatives = [_alternative(name) for name in names]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pair = Pair(str(self._folder / f"{file}.pem"), str(self._folder / f"{file}.key"))
        Path(pair.certificate).write_bytes(certificate.public_bytes(Encoding.PEM))
        Path(pair.key).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return pair


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float, begins: float = -1
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + (begins + min(days, 0)) * DAY)
        .not_valid_after(now + days * DAY)
    )


def _alternative(name: str) -> x509.GeneralName:
    if ":" in name and name.partition(":")[0].lower() in ("sip", "sips"):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
