"""The error families of the SIP stack.

`LocalError` is our own misuse, `RemoteError` is bad input from a peer and carries the status to answer with,
`TransportError` is the network. Nothing else leaves `sip_stack`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

LossReason = Literal["transport", "tls_untrusted", "tls_expired", "tls_name_mismatch"]
"""Why nothing can be sent: the network, or the certificate of the peer: no CA we trust, out of date, another name."""


class SipError(Exception):
    """Base of every error raised by `sip_stack`."""


class LocalError(SipError):
    """The caller of this API broke a rule: wrong state, wrong argument."""


class RemoteError(SipError):
    """The peer broke a rule.

    `status_hint` is the SIP status to answer with (RFC 3261 section 21), `reason` a short text for logs and the
    reason phrase, `headers` what the answer must carry (for example `Unsupported`).
    """

    def __init__(self, status_hint: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status_hint} {reason}")
        self.status_hint = status_hint
        self.reason = reason
        self.headers = tuple(headers)


class TransportError(SipError):
    """The network failed: unreachable, refused, unresolvable, or (`reason`) not whom it should be."""

    def __init__(self, detail: str, reason: LossReason = "transport") -> None:
        super().__init__(detail)
        self.reason = reason
