"""A leg: one SIP dialog of a call with its media, and the translation between SIP and the call's words.

Legs are objects, not tasks. The stack delivers SIP events to `deliver`; what the call must know goes to its inbox.
SIP headers and session descriptions end here: the call sees statuses, outcomes and facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.call import cause, events, telling
from b2bua.call.audio_figures import audio_figures
from b2bua.call.dtmf import read_key_press
from b2bua.call.keys_by_info import KeysByInfo
from b2bua.call.referrals import Referrals, notify_answered, receive_notify
from b2bua.call.reoffers import Reoffers
from b2bua.config import Destination
from b2bua.crossing import headers_for, headers_from, reasons_of
from b2bua.feed import LegFacts
from b2bua.sdp_bridge import LegDescription, Wish
from sip_stack import events as sip
from sip_stack.message import Request
from sip_stack.message.session_id import NIL, SessionId, new_uuid

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.far_end import FarEnd
    from b2bua.call.joining import Origin
    from b2bua.call.record import AttemptRecord, LegRecord
    from b2bua.config import Dialled, Timers
    from b2bua.headers import Header
    from b2bua.identity import Caller
    from b2bua.pass_list import PassList
    from media.engine import LegStatistics, MediaLeg, StreamParameters
    from sip_stack.dialog.session import Session
    from sip_stack.message import Message
    from sip_stack.transaction import ServerTransaction


_TALKS = Wish()
_ENDED_BY = {"expired": "session_expired", "no_ack": "not_acknowledged", "no_prack": "not_pracked"}


class Leg:
    """What both directions have in common: hold, keys, the peer's hang-up, ours, and the statistics."""

    __slots__ = (
        "__weakref__", "_agreed", "_counts", "_hears_tones", "_media_timeout", "_permitted", "_waits_for_keys",
        "_watched", "_wish", "attempt", "call", "description", "facts", "far_end", "home", "identity", "keys_by_info",
        "keys_in_audio", "media", "notifys_open", "now", "origin", "over", "passes", "place", "record", "referrals",
        "reoffers", "role", "said", "session", "timers", "uuid",
    )  # fmt: skip

    def __init__(
        self, call: Call, role: str, media: MediaLeg, description: LegDescription, far_end: FarEnd
    ) -> None:
        self.call = call
        self.role = role
        self.media = media
        self.description = description
        self.far_end = far_end
        self.passes: PassList = far_end.passes
        """What may go from its far end to the other side, and from there to it."""
        self.session: Session
        """The SIP side."""
        self.now: Callable[[], float] = call.services.now
        """Loop time, seconds."""
        self.record: LegRecord
        self.reoffers = Reoffers(self)
        self.keys_in_audio = False
        """The far end was heard to send keys as telephone-event."""
        self._media_timeout: float | None = None
        self._watched: float | None = None
        self._agreed: StreamParameters | None = None
        self._wish = self._permitted = _TALKS
        self.keys_by_info = KeysByInfo(self)
        self._waits_for_keys = self._hears_tones = False
        self.notifys_open = 0
        """NOTIFYs of ours that are not answered yet."""
        self.referrals = Referrals(self)
        self.place: Dialled | None = None
        """Where we dialled it, or whom it came in place of; None for who called us."""
        self._counts = False
        self.facts: LegFacts | None = None
        """What the feed tells of this leg; None for who called us."""
        self.attempt: AttemptRecord | None = None
        """What ends with it, being heard: the attempt that brought it, or whom it came in place of."""
        self.timers: Timers = call.configuration.timers
        self.identity: Caller
        """As whom others come to know the far end."""
        self.said: tuple[Header, ...] = ()
        """Of its far end's last response: the headers that may go on, as far as it is concerned."""
        self.uuid = ""
        """Of its far end in Session-ID (RFC 7989), its own or one that we gave it; empty where there are none."""
        self.home: Call | None = None
        """The call that it was brought from and that lasts as long as it does."""
        self.origin: Origin | None = None
        """The handoff that has brought it, where that is not one of its call."""
        self.over = False
        """Nothing more will be heard from or said to the far end: it left, or we hung up."""

    def count(self) -> None:
        """Be one of the running calls of the destination where we dialled it, until its end. Who came in place of
        another is there as well, and no call of ours."""
        if isinstance(self.place, Destination):
            self._counts = True
            self.call.services.outgoing.enter(self.place.name)

    @property
    def may_refer(self) -> bool:
        """Whether its far end may send the caller elsewhere by REFER: the assistant, and a human where the destination
        says so."""
        if self.role != "agent":
            return self.role == "assistant"
        return isinstance(self.place, Destination) and self.place.agent_may_transfer

    def parting(self, outcome: cause.Outcome) -> list[Header]:
        """What our BYE says: what of the BYE that ended it all may go on here, and why."""
        return [*headers_for(outcome.headers, self.passes), *outcome.reason_headers()]

    def learn_uuid(self, message: Message) -> None:
        """Note the UUID that the far end has, by one of its messages; one that says none gets one, once."""
        if not self.call.uuid:
            return
        said = SessionId.parse(message.headers.get("Session-ID"))
        if said is not None and said.local != NIL:
            self.uuid = said.local
        elif not self.uuid:
            self.uuid = new_uuid(self.call.services.stack.token)
        self.record.session_id = self.uuid

    def _relearn_uuid(self, request: Request) -> None:
        """Somebody else may talk there now: the other side hears of it."""
        before, call = self.uuid, self.call
        self.learn_uuid(request)
        other = call.peer if self is call.caller else call.caller
        if self.uuid != before and other is not None:
            other.present(self.uuid)
            self.present(other.uuid)

    def present(self, uuid: str) -> None:
        """From our next message on the far end hears that it talks to whom this UUID is of."""
        if uuid:
            self.session.session_id = f"{uuid};remote={self.uuid or NIL}"

    @property
    def is_recorded(self) -> bool:
        """True when a call is to be recorded once it talks to this far end: as its destination says."""
        return isinstance(self.place, Destination) and self.place.record

    @property
    def hangs_up_on_star(self) -> bool:
        """True when the caller's `*` ends the talk with this far end."""
        return isinstance(self.place, Destination) and self.place.hangup_on_star

    def ring(self, said: Sequence[Header] = ()) -> None:
        """Tell a caller who was not answered yet that somebody is being alerted, and what that one `said`."""

    def early_media(self, said: Sequence[Header] = ()) -> None:
        """Let a caller who was not answered yet hear what there is; `said` as in `ring`."""

    @property
    def hears_early_media(self) -> bool:
        """True for a caller who hears before they are answered."""
        return False

    @property
    def answer_is_held(self) -> bool:
        """True for a caller whose 200 waits for a PRACK of theirs (RFC 3262 section 3): for them it still rings."""
        return False

    def flush(self) -> None:
        """Send what the session wants sent; follows every command to it."""
        self.call.services.stack.flush()

    def tell(self, event: events.LegEvent) -> None:
        """Put a fact into the call's inbox, unless the leg is over."""
        if not self.over:
            self.call.inbox.put(event)

    def watch_audio(self, timeout: float) -> None:
        """Report `AudioLost` after `timeout` seconds without RTP from the far end; 0 never does.

        Not while either side holds the call: who holds, and who is held, may be silent as long as they like.
        """
        self._media_timeout = timeout or None
        self._watch()

    def _watch(self) -> None:
        on_hold = self._wish.holds or self._permitted.holds
        timeout = None if on_hold else self._media_timeout
        if timeout != self._watched:
            self._watched = timeout
            self.media.set_media_timeout(timeout)

    # -- hold and resume ----------------------------------------------------------------------------------------------

    @property
    def wish(self) -> Wish:
        """What the far end wants of the audio."""
        return self._wish

    def follow(self, wish: Wish) -> None:
        """The other side of the bridge wants this: the far end is told, now or with its next answer."""
        if wish != self._permitted:
            self._permitted = wish
            self.description.permit(wish)
            self._watch()
            self.reoffers.tell()

    def share(self, other: Leg) -> None:
        """What only works when both sides have it is offered and answered if the other side has it: comfort noise, and
        codecs that are passed through."""
        self.description.comfort_noise = other.description.remote_comfort_noise
        self.description.follow_codec(other.description)

    def agree(self) -> None:
        """Put into effect what the descriptions say now, and tell the call if the far end wants something new."""
        parameters = self.description.parameters
        if parameters is not None and parameters is not self._agreed and parameters != self._agreed:
            self._agreed = parameters
            self.media.set_remote(parameters)
            self.record.has_srtp = parameters.keys is not None
            self.wait_for_keys(self._waits_for_keys)
        if self.record.answered is not None:
            self.call.note_up()
        if self.description.wish != self._wish:
            self._wish = self.description.wish
            self._watch()
            self.tell(events.Reoffered(self, self._wish))

    def change_codec(self, other: Leg) -> None:
        """Ask the far end for the codec of the other side, which is not the one that it was told. Ends the leg when it
        cannot have it."""
        if self.description.change_codec(other.description):
            self.reoffers.tell()
        else:
            self.give_up(cause.local("media_not_acceptable", source=other.role))

    def give_up(self, outcome: cause.Outcome) -> None:
        """End an answered leg that cannot go on."""
        self.tell(events.Ended(self, outcome))
        self.hang_up(outcome)

    # -- keys ---------------------------------------------------------------------------------------------------------

    @property
    def takes_events(self) -> bool:
        """True when the far end takes keys as telephone-event, where the media engine puts them."""
        return self._agreed is not None and self._agreed.telephone_event is not None

    def wait_for_keys(self, wanted: bool) -> None:
        """Somebody waits for a key of the far end, or no more: without telephone-event it may come as tones."""
        self._waits_for_keys = wanted
        tones = wanted and not self.takes_events
        if tones != self._hears_tones:
            self._hears_tones = tones
            self.media.listen_for_keys(tones)

    def _answer_info(self, transaction: ServerTransaction, request: Request) -> None:
        """200 whatever it says: a phone that is told 4xx beeps at its user, or gives up on keys."""
        self.session.respond(self.now(), transaction, 200)
        content_type = request.content_type
        key = read_key_press(content_type.name, request.body) if content_type is not None else None
        if key is not None:
            self.tell(events.Digit(self, key.digit, key.duration_ms, in_audio=False))

    def log(self, event: str, **values: object) -> None:
        """A line about this leg in the call's log."""
        self.call.log.info(event, leg=self.role, **values)

    # -- requests and the end -----------------------------------------------------------------------------------------

    def respond(self, transaction: ServerTransaction, status: int, headers: Iterable[Header] = ()) -> None:
        """Answer a request that the session passed up."""
        self.session.respond(self.now(), transaction, status, headers=headers)
        self.flush()

    def request(
        self, method: str, headers: Iterable[Header] = (), body: bytes = b"", content_type: str = ""
    ) -> None:
        """Send a request inside the dialog, unless the leg is over."""
        if not self.over:
            self.session.request(self.now(), method, headers=headers, body=body, content_type=content_type)
            self.notifys_open += method == "NOTIFY"
            self.flush()

    def hang_up(self, outcome: cause.Outcome, headers: Iterable[Header] = ()) -> None:
        """Let the far end go, whatever state it is in; `headers` go into a BYE. Harmless when repeated."""
        raise NotImplementedError

    def note_end(self, by: str, outcome: cause.Outcome) -> None:
        """Write down who ended the leg, and how its attempt ended; the first to say so stands."""
        record, call, now = self.record, self.call, self.now()
        if record.ended is None:
            if self._counts and self.place is not None:
                call.services.outgoing.leave(self.place.name)
            telling.leg_ended(self, now, by, outcome)
            if self.home is not None:
                self.home.inbox.put(events.MoveOver(self, outcome))
        record.end(by, now)
        if self.attempt is not None:
            self.attempt.close(now, outcome)
        if record.answered is not None:
            call.note_up()

    def note_statistics(self, record: LegRecord) -> LegStatistics:
        """Write down how the audio is by now, as records and the API show it. Reads counters; no media worker is
        asked."""
        counters = self.media.statistics()
        record.media = audio_figures(counters)
        return counters

    def deliver(self, event: sip.SessionEvent) -> None:
        """Hear one event of the session, and tell the call what it means."""
        match event:
            case sip.RefreshDue():
                self.reoffers.refresh()
            case sip.TermsChanged():
                self.call.note_up()
            case sip.ReofferReceived(_, transaction, request):
                self._relearn_uuid(request)
                self.reoffers.received(transaction, request)
            case sip.ReofferCompleted(_, response):
                self.reoffers.completed(response)
            case sip.Acknowledged(_, request):
                self.acknowledged(request)
            case sip.RequestReceived(_, transaction, request):
                self._receive(transaction, request)
            case sip.RequestCompleted(_, "INFO", response):
                self.keys_by_info.completed(response)
            case sip.RequestCompleted(_, "REFER", response):
                self.referrals.answered(response)
            case sip.RequestCompleted(_, "NOTIFY", response):
                self.notifys_open -= 1
                notify_answered(self, response)
            case sip.Ended(_, "local", message):
                self.call.inbox.put(events.ByeAnswered(self, getattr(message, "status", None)))
            case sip.Ended(_, by, message):
                self._ended(by, message)
            case _:
                self.deliver_first(event)

    def _receive(self, transaction: ServerTransaction, request: Request) -> None:
        """Hear a request of the far end that makes no offer."""
        match request.method:
            case "INFO":
                self._answer_info(transaction, request)
            case "NOTIFY":
                receive_notify(self, transaction, request)
            case "REFER":
                self.call.on_refer(self.call, self, transaction, request)
            case _:
                self.respond(transaction, 501)

    def confirm_early(self, request: Request) -> None:
        """The far end, which has not answered yet, makes an offer: what was agreed so far is in force."""

    def deliver_first(self, event: sip.SessionEvent) -> None:
        """Hear an event that each direction has of its own: those of the session's beginning, and answers to REFER."""
        raise NotImplementedError

    def acknowledged(self, request: Request) -> None:
        """The far end has a 2xx of ours."""
        self.reoffers.acknowledged(request)

    def let_go(self) -> None:
        """Hear nothing more of the session; see `Call.let_go`."""
        self.session.owner = self.home = None
        self.untie()

    def untie(self) -> None:
        """Part with what names the leg in circles, for good."""
        del self.reoffers, self.referrals, self.keys_by_info

    def _ended(self, by: sip.EndedBy, message: Message | None) -> None:
        event = _ENDED_BY.get(by, "normal_hangup")
        outcome = cause.local(event, source="b2bua" if by == "expired" else self.role)
        if isinstance(message, Request):
            headers, reasons = headers_from(message, self.passes), reasons_of(message)
            if headers or reasons:  # Most say nothing.
                outcome = replace(outcome, headers=headers, reasons=reasons)
        self.note_end(outcome.source, outcome)
        if self.over:
            # We had hung up, and our BYE was still waiting for its turn.
            self.call.inbox.put(events.ByeAnswered(self, None))
        self.tell(events.Ended(self, outcome))
        self.over = True


def deliver_to_leg(event: sip.Event) -> None:
    """Hand an event of the stack to the leg it belongs to, if it belongs to one."""
    if isinstance(event, (sip.OutOfDialogReceived, sip.OutOfDialogCompleted, sip.InviteRefused)):
        return  # not of a call
    if isinstance(event.session.owner, Leg):
        event.session.owner.deliver(event)
