"""A leg: one SIP dialog of a call with its media, and the translation between SIP and the call's words.

Legs are objects, not tasks. The stack delivers SIP events to `deliver`; what the call must know goes to its inbox.
SIP headers and session descriptions end here: the call sees statuses, outcomes and facts.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from b2bua.call import cause, events
from b2bua.call.record import JsonObject, LegRecord
from b2bua.sdp_bridge import LegDescription
from sip_stack import events as sip
from sip_stack.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from media.engine import MediaLeg
    from sip_stack.dialog.session import Session
    from sip_stack.message import Request
    from sip_stack.transaction import ServerTransaction
    from sip_stack.transport import Flow


class Leg:
    """What both directions have in common: re-offers, the peer's hang-up, ours, and the statistics."""

    def __init__(self, call: Call, role: str, media: MediaLeg, description: LegDescription) -> None:
        self.call = call
        self.role = role
        self.media = media
        self.description = description
        self.record: LegRecord
        self._media_timeout: float | None = None
        self.over = False
        """Nothing more will be heard from or said to the far end: it left, or we hung up."""

    @property
    def session(self) -> Session:
        """The SIP side."""
        raise NotImplementedError

    def now(self) -> float:
        """Loop time, seconds."""
        return self.call.services.now()

    def flush(self) -> None:
        """Send what the session wants sent; follows every command to it."""
        self.call.services.stack.flush()

    def tell(self, event: events.LegEvent) -> None:
        """Put a fact into the call's inbox, unless the leg is over."""
        if not self.over:
            self.call.inbox.put(event)

    def watch_audio(self, timeout: float) -> None:
        """Report `AudioLost` after `timeout` seconds without RTP from the far end; 0 never does.

        Not while the far end holds us: it may be silent then for as long as it likes.
        """
        self._media_timeout = timeout or None
        self.media.set_media_timeout(None if self.description.held else self._media_timeout)

    def hang_up(self, outcome: cause.Outcome) -> None:
        """Let the far end go, whatever state it is in. Harmless when repeated."""
        raise NotImplementedError

    def statistics(self) -> JsonObject:
        """The media columns of the call's record."""
        counters = self.media.statistics()
        return {
            "codec": str(counters.codec) if counters.codec else None,
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "lost": counters.lost,
            "jitter_ms": round(counters.jitter_ms, 1),
            "longest_gap_ms": counters.longest_gap_ms,
        }

    def deliver(self, event: sip.SessionEvent) -> None:
        """Hear one event of the session, and tell the call what it means."""
        match event:
            case sip.ReofferReceived(_, transaction, request):
                self._answer_reoffer(transaction, request)
            case sip.Ended(_, by, _) if by != "local":
                self._ended(by)
            case _:
                self.deliver_first(event)

    def deliver_first(self, event: sip.SessionEvent) -> None:
        """Hear an event of the session's beginning, which each direction has of its own."""
        raise NotImplementedError

    def _ended(self, by: sip.EndedBy) -> None:
        self.record.end(self.role, self.now())
        outcome = cause.local("not_acknowledged" if by == "no_ack" else "normal_hangup", source=self.role)
        self.tell(events.Ended(self, outcome))
        self.over = True

    def _answer_reoffer(self, transaction: ServerTransaction, request: Request) -> None:
        """Follow a change of direction, address or port by ourselves; anything else is refused (488).

        The other leg need not know: its media ends here.
        """
        body = request.body_of_type("application/sdp")
        if not body:
            warning = ("Warning", '399 b2bua "A re-INVITE without an offer is not supported"')
            self.session.refuse(self.now(), transaction, 488, headers=[warning])
            return
        try:
            reoffer = self.description.receive_reoffer(body)
        except RemoteError as error:
            self.session.refuse(self.now(), transaction, error.status_hint, headers=error.headers)
            self.call.log.info("reoffer_refused", leg=self.role, why=error.reason)
            return
        except LocalError:
            # An offer before the first one was answered (RFC 3311 section 5.2).
            self.session.refuse(self.now(), transaction, 491)
            return
        self.session.answer_reoffer(self.now(), transaction, reoffer.answer)
        self.media.set_remote(reoffer.parameters)
        self.media.set_media_timeout(None if self.description.held else self._media_timeout)
        self.call.log.info("reoffer_answered", leg=self.role, held=self.description.held)


def deliver_to_leg(event: sip.Event) -> None:
    """Hand an event of the stack to the leg it belongs to, if it belongs to one."""
    if isinstance(event, sip.OutOfDialogReceived | sip.OutOfDialogCompleted):
        return  # nobody asked: OPTIONS is answered by the endpoint itself
    if isinstance(event.session.owner, Leg):
        event.session.owner.deliver(event)


def describe(call: Call, media: MediaLeg, flow: Flow) -> LegDescription:
    """The descriptions of a new leg whose far end is reached over `flow`."""
    configuration = call.configuration
    bound = configuration.media.address
    host = configuration.advertised_address(flow.remote[0])
    if host is None:
        # An audio address of its own is where the audio is; with the wildcard it is where the signalling is.
        host = flow.advertised[0] if bound in ("0.0.0.0", "::") else bound
    return LegDescription(
        address=(host, media.local_address[1]),
        codecs=configuration.media.codecs,
        session_id=secrets.randbits(62),
    )


def leg_record(role: str, session: Session, started: float) -> LegRecord:
    """The record of a new leg; tags are filled in as they become known."""
    flow = session.flow
    return LegRecord(
        role=role,
        sip_call_id=session.call_id,
        local_tag=session.local_tag,
        remote_tag=session.remote_tag or "",
        remote_address=f"{flow.remote[0]}:{flow.remote[1]}",
        transport=flow.transport,
        encryption="udp/rtp",
        started=started,
    )
