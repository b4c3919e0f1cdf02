"""What went wrong with TLS, in the words that calls end with: untrusted, out of date, another name, or the network.

Only what *we* find wrong with the *peer's* certificate has a word of its own. A peer that refuses ours, a version or
cipher that nobody shares and a connection cut in the handshake are failures of the transport.
"""

from __future__ import annotations

import ssl

from sip_stack.errors import LossReason, TransportError

_OUT_OF_DATE = frozenset({9, 10, 11, 12})
"""X509_V_ERR_CERT_NOT_YET_VALID, CERT_HAS_EXPIRED and those of CRLs (openssl/x509_vfy.h)."""


class TlsError(TransportError):
    """TLS could not be set up, or broke."""


def fault_of(error: ssl.SSLError) -> TlsError:
    """The error of OpenSSL in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason: LossReason = "tls_expired" if error.verify_code in _OUT_OF_DATE else "tls_untrusted"
        return TlsError(f"certificate not accepted: {error.verify_message}", reason)
    if isinstance(error, ssl.SSLEOFError):
        return TlsError("the peer broke TLS off")
    words = (error.reason or "failed").replace("_", " ").lower()
    return TlsError(f"TLS: {words}")
