"""Whether the files of `tls:` can be used, before anything depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from b2bua.certificates import Certificate, read_certificate
from b2bua.config.judge import Judge
from b2bua.config.parts import ROUTES, TRUNKS, Parts
from b2bua.config.problems import KeyPath, Problem, listing
from b2bua.config.sip import Sip
from b2bua.config.sources import Sources
from b2bua.config.tls import Tls, TlsClient
from b2bua.encryption import needs_tls
from sip_stack.aio.tls_contexts import SYSTEM, TlsFileError, check_pair, check_trusted

TLS: KeyPath = ("sip", "tls")


def check_tls(parts: Parts, sip: Sip, sources: Sources) -> tuple[Certificate, ...]:
    """Note what cannot be used, and remember what was read. Returns our certificates."""
    checks = _Files(sources)
    if sip.tls is not None:
        certificate = checks.own(parts.main, TLS, sip.tls.certificate, sip.tls.private_key)
        checks.trusted(parts.main, TLS, sip.tls.ca)
        if certificate is not None:
            _check_name(parts.main, sip.tls, certificate)
    for judge, path, client in clients(parts):
        checks.trusted(judge, path, client.ca or ())
        if client.certificate is not None and client.private_key is not None:
            checks.own(judge, path, client.certificate, client.private_key)
    return tuple(checks.certificates.values())


def tls_warnings(parts: Parts) -> Iterator[Problem]:
    """What is not verified, and what falls back from TLS to clear text: loud, since both are as good as no TLS to
    whoever attacks."""
    for judge, path, client in clients(parts):
        if not client.verify:
            message = "TLS without verification: whoever answers there is believed"
            yield judge.problem((*path, "verify"), message)
    for name, destination in parts.destinations.items():
        after = parts.destinations.get(destination.fallback or "")
        if after is None or not after.dials or not needs_tls(destination.encryption):
            continue
        if not needs_tls(after.encryption):
            message = (
                f"{after.name} is called in clear ({after.encryption}), {name} with {destination.encryption}"
            )
            yield parts.people.problem((name, "fallback"), message)


def clients(parts: Parts) -> Iterator[tuple[Judge, KeyPath, TlsClient]]:
    """Every `tls:` of a place that we dial, and where it is written."""
    for name, trunk in parts.trunks.items():
        if trunk.outbound is not None and trunk.outbound.tls is not None:
            yield parts.main, (*TRUNKS, name, "outbound", "tls"), trunk.outbound.tls
    for index, route in parts.routes.items():
        if route.assistant is not None and route.assistant.tls is not None:
            yield parts.main, (*ROUTES, index, "assistant", "tls"), route.assistant.tls
    for name, destination in parts.destinations.items():
        if destination.tls is not None:
            yield parts.people, (name, "tls"), destination.tls


def _check_name(judge: Judge, tls: Tls, certificate: Certificate) -> None:
    if tls.name is not None and not certificate.allows(tls.name):
        allowed = listing(certificate.names) or "nothing; the certificate names nobody"
        judge.note((*TLS, "name"), "not a name of the certificate", allowed=allowed, show=True)


class _Files:
    """Looks into files."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.certificates: dict[str, Certificate] = {}

    def own(self, judge: Judge, path: KeyPath, certificate: str, key: str) -> Certificate | None:
        """Note what is wrong with a certificate and its key; the certificate when nothing is."""
        for file in (certificate, key):
            self._sources.watch(Path(file))
        try:
            check_pair(certificate, key)
            found = self.certificates[certificate] = read_certificate(certificate)
        except TlsFileError as error:
            key_at_fault = "private_key" if error.file == key else "certificate"
            judge.note((*path, key_at_fault), str(error), show=True)
        except (OSError, ValueError):
            judge.note((*path, "certificate"), "no certificate in PEM", show=True)
        else:
            return found
        return None

    def trusted(self, judge: Judge, path: KeyPath, ca: Iterable[str]) -> None:
        """Note what is wrong with the files of CAs."""
        for index, file in enumerate(ca):
            if file == SYSTEM:
                continue
            self._sources.watch(Path(file))
            try:
                check_trusted(file)
            except TlsFileError as error:
                judge.note((*path, "ca", index), str(error), show=True)
