"""The 488 and its Warning: how we say that a description is understood and cannot be taken part in.

RFC 3261 sections 13.3.1.3 and 20.43.
"""

from __future__ import annotations

from sip_stack.errors import RemoteError

# Warning codes (RFC 3261 section 20.43).
WARN_ADDRESS, WARN_TRANSPORT, WARN_MEDIA, WARN_FORMAT, WARN_MULTICAST, WARN_OTHER = (
    301,
    302,
    304,
    305,
    330,
    399,
)


def not_acceptable(warning: int, text: str) -> RemoteError:
    """The 488 for a description we understand and cannot take part in. `text` is ours, never the peer's."""
    return RemoteError(488, text, [("Warning", f'{warning} b2bua "{text}"')])
