"""How long to wait after a peer had no time for a request: 491, and 500 with Retry-After.

RFC 3261 sections 14.1 and 14.2. Who waits for what is in `session.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_stack.message import Response

if TYPE_CHECKING:
    from sip_stack.dialog.session import Session


def retry_delay(session: Session, response: Response) -> float | None:
    """Seconds until a refused re-INVITE is worth another try; None: never. 500 with Retry-After is what a peer
    says that is in the middle of an INVITE of ours or of its own (section 14.2). 500 is also what the peer says to
    a re-INVITE that a later request of ours has overtaken on the way (section 12.2.2). A 422 is worth it at once
    when it asks for more than before (RFC 4028 section 7.3)."""
    if response.status == 491:
        return session.glare_delay()
    if response.status == 422:
        follows = session.refreshing is not None and session.refreshing.timer.raise_minimum(response)
        return 0.0 if follows else None
    if response.status != 500:
        return None
    wanted = response.retry_after
    if wanted is not None and wanted < 100:
        return max(wanted, session.glare_delay())
    overtaken = session.dialog is not None and response.cseq.number < session.dialog.local_cseq
    return 0.0 if overtaken else None


def short_delay(session: Session) -> str:
    """A Retry-After of 0 to 10 seconds (section 14.2)."""
    return str(session.draw(11))
