"""A leg to an assistant or a destination: an INVITE of ours, from the offer to its answer or failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from b2bua.call import cause, events, telling
from b2bua.call.audio_protection import unusable
from b2bua.call.far_end import FarEnd
from b2bua.call.leg import Leg
from b2bua.call.new_leg import describe, leg_record
from b2bua.call.redirects import contacts_of
from b2bua.crossing import headers_from
from b2bua.encryption import media_protection
from b2bua.feed import LegFacts
from b2bua.headers import HOPS, P_EARLY_MEDIA, Header, mutes_early_media
from b2bua.identity import Caller, asserted_identity, outgoing_from, outgoing_to
from sip_stack import events as sip
from sip_stack.errors import RemoteError, SipError
from sip_stack.message import Request, Response, format_host_port
from sip_stack.message.session_id import SessionId

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.config import Dialled
    from media.engine import MediaLeg
    from sip_stack.dialog.uac import ClientSession
    from sip_stack.events import FailureReason
    from sip_stack.transport import Flow, Target


class DialledLeg(Leg):
    """The leg to a human or an assistant, or whatever answers where they are."""

    __slots__ = (
        "_alerted",
        "_answered",
        "_challenged",
        "_confirmed_fork",
        "_noted",
        "_offer",
        "contacts",
        "mutes_early_media",
        "picked_up_by",
        "retry_after",
        "target",
    )

    def __init__(
        self,
        call: Call,
        role: str,
        media: MediaLeg,
        place: Dialled,
        uri: str,
        target: Target,
        caller: Caller,
        headers: list[Header],
    ) -> None:
        """Send the INVITE to `target`, on behalf of `caller`. `headers` are Route and the custom headers. Raises
        `SipError` when nothing more can be sent."""
        services, configuration = call.services, call.configuration
        flow = services.stack.flow_to(target)
        credentials = None if place.auth is None else place.auth.credentials
        far_end = FarEnd(place.trunk or "", media_protection(place.encryption), credentials, place.passes)
        super().__init__(call, role, media, describe(call, media, flow, far_end.protection, place), far_end)
        self.place: Dialled = place
        self.identity = Caller.of_uri(uri)
        self.target = target
        """Where its INVITE went."""
        self.retry_after: float | None = None
        """Seconds after which a far end that has no room wants to be tried again."""
        self.contacts: tuple[str, ...] = ()
        """Whom its redirect names, the best first."""
        self.picked_up_by: Leg | None = None
        """Who has answered in its place (RFC 3891)."""
        self.timers = configuration.timers_for(place)
        self._challenged = False
        if call.caller is not None:
            self.follow(call.caller.wish)
            self.share(call.caller)
        self._offer = self.description.make_offer()
        try:
            self.session: ClientSession = self._invite(flow, uri, caller, headers)
        except SipError:
            # Nobody gets to see this leg: it would keep its call in memory.
            self.untie()
            raise
        self.record = leg_record(role, self.session, self.now())
        self.facts: LegFacts = LegFacts(
            id=self.session.call_id,
            role=role,
            destination=place.name,
            target=uri,
            from_user=place.from_user or caller.shown,
            handoff_id="" if call.handoff is None else call.handoff.id,
        )
        self.count()
        self._alerted = False
        self._answered = False
        self.mutes_early_media = False
        """What it sends before its answer is not meant to be heard, says its last response."""
        self._confirmed_fork: str | None = None
        """The tag of the fork that made an offer before any answered."""
        self._noted: Request | None = None
        self._note_ringing()
        self.flush()

    def _note_ringing(self) -> None:
        """Write the INVITE down, for whoever has to take it back after this process: again where a challenge or a 422
        made another one of it."""
        invite = self.session.invite
        if invite is not self._noted:
            self._noted = invite
            self.call.note_up()

    def _invite(self, flow: Flow, uri: str, caller: Caller, headers: list[Header]) -> ClientSession:
        """The INVITE on behalf of `caller`, with what it says beside `headers`."""
        call, place = self.call, self.place
        host = format_host_port(flow.sent_by[0], None)
        headers.append((HOPS, str(caller.hops + 1)))
        if caller.knows_early_media:
            headers.append((P_EARLY_MEDIA, "supported"))
        session_id = ""
        if call.uuid:
            session_id = str(SessionId(call.uuid if call.caller is None else call.caller.uuid))
            headers.append(("Session-ID", session_id))
        session = call.services.stack.endpoint.invite(
            self.now(),
            flow=flow,
            uri=uri,
            from_=outgoing_from(caller, place.from_user, host),
            to=outgoing_to(caller, uri, headers),
            headers=[*headers, *asserted_identity(caller, place, host, headers)],
            body=self._offer.body,
            credentials=self.far_end.credentials,
            max_forwards=caller.max_forwards,
            owner=self,
            extensions=call.configuration.extensions_for(place.trunk, place),
        )
        session.session_id = session_id
        return session

    def hang_up(self, outcome: cause.Outcome, headers: Iterable[Header] = ()) -> None:
        if self.over:
            return
        self.over = True
        self.note_end(outcome.source if self._answered else "b2bua", outcome)
        if self._answered:
            self.session.bye(self.now(), headers=[*headers, *self.parting(outcome)])
        else:
            self.session.cancel(self.now(), headers=outcome.reason_headers())
        self.flush()

    def deliver_first(self, event: sip.SessionEvent) -> None:
        if self.over:
            return
        match event:
            case sip.Progress(_, response):
                self._progress(response)
            case sip.Challenged():
                self._challenged = True
                self._note_ringing()
                self.tell(events.Challenged(self))
            case sip.Answered(_, response):
                self._answer(response)
            case sip.Rejected(_, response, auth):
                self._fail(self._rejection(response, auth))
            case sip.Failed(_, reason, detail):
                self._fail(cause.local(self._failure(reason), detail=detail or reason))

    def _hear_headers(self, response: Response) -> None:
        """Who answers is known: they and the caller, while that one talks to nobody else, hear of each other."""
        call = self.call
        self.said = headers_from(response, self.passes)
        self.learn_uuid(response)
        self.present(call.uuid if call.caller is None else call.caller.uuid)
        if call.caller is not None and call.peer is None:
            call.caller.present(self.uuid)

    def _progress(self, response: Response) -> None:
        status = response.status
        self._note_ringing()
        if status > 100:
            self._hear_headers(response)
        usable = self._take_answer(response) is None and self.description.parameters is not None
        self.mutes_early_media = mutes_early_media(response)
        early_media = usable and not self.mutes_early_media
        if early_media or status in (180, 183):
            self._note_alerted(status)
            self.tell(events.Progress(self, status, early_media))
        else:
            self.tell(events.Responded(self, status))

    def _note_alerted(self, status: int) -> None:
        if not self._alerted:
            self._alerted = True
            telling.leg_ringing(self, status)

    def _answer(self, response: Response) -> None:
        now = self.now()
        self._answered = True
        self.record.answered = now
        self.record.remote_tag = self.session.remote_tag or ""
        self._hear_headers(response)
        self.keys_by_info.learn_methods(response)
        outcome = self._take_answer(response)
        if outcome is None:
            telling.leg_answered(self)
            self.tell(events.Answered(self))
            self.reoffers.tell()
            return
        self.tell(events.Failed(self, outcome))
        self.hang_up(outcome)

    def _take_answer(self, response: Response) -> cause.Outcome | None:
        """Put the response's session description in force, if it has one; what comes of one that cannot be used."""
        try:
            body = response.body_of_type("application/sdp")
            other = self._confirmed_fork not in (None, response.to.tag)
            self.description.receive_response(self._offer, response.status, body, other_fork=other)
        except RemoteError as error:
            return unusable(error)
        self.agree()
        return None

    def confirm_early(self, request: Request) -> None:
        if not self._answered:
            self.description.confirm(self._offer)
            self._confirmed_fork = request.from_.tag

    def _rejection(self, response: Response, auth: str | None) -> cause.Outcome:
        if 500 <= response.status < 600:  # Else it is said of a person, or a request, and not of the address.
            self.retry_after = response.retry_after
        self.contacts = contacts_of(response)
        detail = "; ".join([*response.headers.get_all("Warning"), *response.headers.get_all("Reason")])
        return cause.from_response(
            response.status, response.reason, auth=auth, source=self.role, detail=detail
        )

    def _failure(self, reason: FailureReason) -> str:
        """The event of `cause.CAUSES` when no final response came."""
        if reason == "timeout":
            return "auth_timeout" if self._challenged else "network_error"
        return "network_error" if reason == "transport" else reason

    def _fail(self, outcome: cause.Outcome) -> None:
        self.note_end(self.role if outcome.sip_status else "network", outcome)
        self.tell(events.Failed(self, outcome))
        self.over = True
