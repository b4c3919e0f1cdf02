"""The TLS contexts in force: our certificate, whom we trust, and the rules; built anew when files change.

TLS 1.2 and 1.3 (RFC 8996 ended what was before). The ciphers are those of Python, which are OpenSSL's without the
weak ones. The names in certificates are compared by `tls_identity`, not by OpenSSL, which knows nothing of SIP.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from sip_stack.errors import TransportError
from sip_stack.transport import DEFAULT_TERMS, TlsTerms

SYSTEM = "system"
"""In place of a file: the CAs of this machine."""


class TlsFileError(TransportError):
    """A file of certificates or keys cannot be used; `file` is which, the text says why."""

    def __init__(self, file: str, detail: str) -> None:
        super().__init__(detail)
        self.file = file


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Our side of TLS. Files are PEM."""

    certificate: str
    """Our certificate, and the intermediate ones up to the CA."""
    private_key: str
    """Without a password."""
    ca: tuple[str, ...] = (SYSTEM,)
    """Whom we trust, toward servers and clients: files, and `SYSTEM`."""
    name: str = ""
    """What Via and Contact say in place of our address; a name of the certificate."""
    asks_clients: bool = False
    """Clients are asked for a certificate. They need not have one; one that they show must be good."""


class TlsContexts:
    """The contexts of one state of the files. Making it reads them: not for the event loop."""

    def __init__(self, settings: TlsSettings, terms: Iterable[TlsTerms] = ()) -> None:
        """`terms` are those that connections will be made on. Raises TlsFileError."""
        self._settings = settings
        self.server = server_context(settings)
        """For connections that are accepted."""
        self._clients = {each: client_context(settings, each) for each in {DEFAULT_TERMS, *terms}}

    @property
    def name(self) -> str:
        """What Via and Contact say; "" for our address."""
        return self._settings.name

    def client(self, terms: TlsTerms) -> ssl.SSLContext:
        """For connections that are made on these terms. Raises TlsFileError."""
        context = self._clients.get(terms)
        if context is None:
            # Of a call that began before a reload, and dials now what it knew then: worth the wait for a file.
            context = self._clients[terms] = client_context(self._settings, terms)
        return context


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """What accepted connections use. Raises TlsFileError."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    load_own(context, settings.certificate, settings.private_key)
    if settings.asks_clients:
        load_trusted(context, settings.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(settings: TlsSettings, terms: TlsTerms) -> ssl.SSLContext:
    """What connections made on these terms use. Raises TlsFileError."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # `tls_identity` does, by the rules of SIP
    if terms.verify:
        load_trusted(context, terms.ca or settings.ca)
    else:
        context.verify_mode = ssl.CERT_NONE
    if terms.certificate:
        load_own(context, terms.certificate, terms.private_key)
    else:
        load_own(context, settings.certificate, settings.private_key)
    return context


def load_own(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Load a certificate with its key. Raises TlsFileError."""
    for file in (certificate, private_key):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise TlsFileError(file, f"cannot be read: {error.strerror}") from error
    try:
        # A password is never asked for: nobody sits at the terminal.
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except ssl.SSLError as error:
        raise _own_fault(error, certificate, private_key) from error
    except _PasswordNeeded:
        raise TlsFileError(private_key, "the key is protected by a password") from None


def load_trusted(context: ssl.SSLContext, ca: Iterable[str]) -> None:
    """Trust these CAs. Raises TlsFileError."""
    for file in ca:
        if file == SYSTEM:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            continue
        try:
            context.load_verify_locations(cafile=file)
        except ssl.SSLError as error:
            raise TlsFileError(file, "no certificate in PEM") from error
        except OSError as error:
            raise TlsFileError(file, f"cannot be read: {error.strerror}") from error


def check_pair(certificate: str, private_key: str) -> None:
    """See whether a certificate and its key can be used. Raises TlsFileError."""
    load_own(_context(ssl.PROTOCOL_TLS_SERVER), certificate, private_key)


def check_trusted(file: str) -> None:
    """See whether a file has CAs in it. Raises TlsFileError."""
    load_trusted(_context(ssl.PROTOCOL_TLS_CLIENT), (file,))


class _PasswordNeeded(Exception):
    """The key is encrypted."""


def _no_password() -> str:
    raise _PasswordNeeded


def _own_fault(error: ssl.SSLError, certificate: str, private_key: str) -> TlsFileError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return TlsFileError(private_key, "not the key of the certificate")
    scratch = _context(ssl.PROTOCOL_TLS_CLIENT)
    try:
        scratch.load_verify_locations(cafile=certificate)
    except ssl.SSLError:
        return TlsFileError(certificate, "no certificate in PEM")
    words = (error.reason or "not usable").replace("_", " ").lower()
    return TlsFileError(private_key, f"no private key in PEM that fits the certificate ({words})")


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # A certificate that was given as trusted is, whoever issued it: that is how a PBX is pinned.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context
