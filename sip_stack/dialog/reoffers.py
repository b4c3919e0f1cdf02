"""Offers inside a session: who may make one when, and what becomes of ours.

RFC 3261 section 14 (re-INVITE), RFC 3311 (UPDATE). One is open at a time, whoever made it: what comes in between is
glare, 491, and how long that is waited out is in `glare.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_stack.dialog.glare import retry_delay, short_delay
from sip_stack.dialog.usage import SessionState
from sip_stack.events import ReofferCompleted, ReofferReceived

if TYPE_CHECKING:
    from sip_stack.dialog.requests import DialogRequest
    from sip_stack.dialog.session import Session
    from sip_stack.message import Request, Response
    from sip_stack.transaction import ClientTransaction, ServerTransaction

REOFFER_RETRY = "re-INVITE again"
MAX_RETRIES = 4
"""How often one re-INVITE is tried again after 491: a peer may be busy with its own for a while, but not for ever."""
MAX_UNACKNOWLEDGED = 2
"""2xx of ours waiting for ACK at once; a peer that re-INVITEs on without ACKs gets 500."""


def receive_reinvite(session: Session, transaction: ServerTransaction, request: Request, now: float) -> None:
    """A re-INVITE of the peer: told the user, or refused."""
    if _offers(session):
        session.reply(now, transaction, 491)
    elif session.remote_reoffer is not None or len(session.unacknowledged) >= MAX_UNACKNOWLEDGED:
        session.reply(now, transaction, 500, headers=[("Retry-After", short_delay(session))])
    else:
        session.reply(now, transaction, 100)
        transaction.user = session
        session.remote_reoffer = transaction
        session.core.events.append(ReofferReceived(session, transaction, request))


def receive_update(session: Session, transaction: ServerTransaction, request: Request, now: float) -> None:
    """An UPDATE of the peer (RFC 3311 section 5.2): an offer is glare while another is open; without a body it only
    refreshes."""
    if not request.body:
        before = session.terms
        session.refresh_target(request)
        lines = [("Contact", session.contact), *session.answer_timer(request, now)]
        session.reply(now, transaction, 200, headers=lines)
        session.note_terms(before)
    elif _offers(session):
        session.reply(now, transaction, 491)
    elif session.remote_reoffer is not None or session.first_offer_is_open:
        session.reply(now, transaction, 500, headers=[("Retry-After", short_delay(session))])
    else:
        session.remote_reoffer = transaction
        session.core.events.append(ReofferReceived(session, transaction, request))


def reinvite_completed(
    session: Session,
    pending: DialogRequest,
    transaction: ClientTransaction,
    response: Response | None,
    now: float,
) -> None:
    """A re-INVITE of ours has its final response (None: it will have none): tried again, or told the user."""
    if response is not None and response.status < 300 and pending.request is not None:
        session.refresh_target(response)
        session.acknowledge(transaction, pending.request, response)
        if session.refreshing is not None:
            session.refreshing.answered(response, now)
    if session.state is not SessionState.CONFIRMED:
        return
    if response is not None and pending.retries < MAX_RETRIES:
        delay = retry_delay(session, response)
        if delay is not None:
            pending.retries += 1
            pending.request = None
            session.start_timer(now, delay, REOFFER_RETRY)
            return
    session.own_reoffer = None
    session.core.events.append(ReofferCompleted(session, response))
    # Section 12.2.1.2: 481, 408 or silence inside a dialog ends it.
    if response is None or response.status in (408, 481):
        is_silent = response is None or response.status == 408
        if is_silent and session.refreshing is not None and session.refreshing.timer.asks:
            session.refreshing.expire(now)
        else:  # After a 481 nothing has expired: they have hung up (RFC 5057).
            session.end_with_bye("remote", response, now)


def _offers(session: Session) -> bool:
    """Whether an offer of ours is open."""
    ours = session.own_reoffer
    return (ours is not None and ours.request is not None) or any(
        answer.offers for answer in session.unacknowledged.values()
    )
