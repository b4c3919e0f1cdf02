"""Both descriptions of one leg, ours and its peer's, through every offer and answer.

Media is anchored here, so every leg negotiates on its own (RFC 3264): our address and port, our o= line, one audio
stream with the configured codecs, telephone-event beside it (RFC 4733). What the other side of the bridge wants enters
as one `Wish`, and what this peer wants comes out as another: hold crosses, codecs and addresses do not.

Not here: DTLS-SRTP, ICE, video. Nothing here sends or opens anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from b2bua.sdp_bridge.agreed import Agreed, Offered
from b2bua.sdp_bridge.audio_stream import AudioStream, OurSections, stream_parameters
from b2bua.sdp_bridge.codec_choice import CodecChoice
from b2bua.sdp_bridge.formats import Parameters
from b2bua.sdp_bridge.hold import Hold
from b2bua.sdp_bridge.media_security import MediaTerms, admit_answer, admit_offer
from b2bua.sdp_bridge.offers import LocalOffer, RemoteOffer, Reoffer, change_of
from b2bua.sdp_bridge.section_writer import SectionWriter
from b2bua.sdp_bridge.wish import Wish
from media.engine import Address, Codec, StreamParameters
from sip_stack.errors import LocalError, RemoteError
from sip_stack.sdp import (
    WARN_OTHER,
    BodyRole,
    Crypto,
    LocalDescription,
    Negotiation,
    OfferToken,
    Session,
    State,
    body_role,
    check_slots,
    not_acceptable,
    parse,
)


class LegDescription:
    """What one leg says, hears and agreed to.

    `address` is what peers are told: the advertised host and the leg's RTP port. `codecs` is what we take, in
    order of preference, `terms` how the audio is protected. `session_id` is a number below 2**63 that no other leg
    has. Bad SDP raises `RemoteError` (400 malformed, 488 with a Warning when we cannot take part, `SrtpRequired`
    among those) and leaves everything as it was; calls out of turn raise `LocalError`, `Glare` and `StaleOffer` among
    them.
    """

    def __init__(
        self,
        *,
        address: Address,
        codecs: Sequence[Codec],
        session_id: int,
        terms: MediaTerms = MediaTerms(),  # noqa: B008 - frozen
        parameters: Parameters | None = None,
        event_type: int | None = None,
    ) -> None:
        if not codecs:
            raise LocalError("a leg needs a codec")
        self._local = LocalDescription(address, session_id)
        self._choice = CodecChoice(
            codecs, parameters or {}, ipv6=":" in address[0], protection=terms.protection
        )
        self._changes_codec = False
        self._terms = terms
        self._writer = SectionWriter(address[1], terms, self._choice, event_type)
        self._negotiation = Negotiation()
        self._first_offer: tuple[OfferToken, Session] | None = None
        self._ours: OurSections | None = None
        self._stream: AudioStream | None = None
        self._previewed: OfferToken | None = None
        self._confirmed: OfferToken | None = None
        self._hold = Hold()
        self._key: Crypto | None = None
        """Our line in force, None for plain RTP."""
        self.parameters: StreamParameters | None = None
        """What is agreed, for `MediaLeg.set_remote`; None before there is anything."""
        self.body = b""
        """Our description in force, empty before the first."""
        self.comfort_noise = False
        """The other side of the bridge has comfort noise: only then do we offer it, or answer that we have it."""

    @property
    def is_encrypted(self) -> bool:
        """True when SRTP is agreed on."""
        return self.parameters is not None and self.parameters.keys is not None

    @property
    def remote_comfort_noise(self) -> bool:
        """True when the peer has comfort noise, by the last it said."""
        return self._stream is not None and self._stream.comfort_noise

    @property
    def codec(self) -> Codec | None:
        """What is agreed on, or would be by the peer's offer; None before there is anything."""
        return None if self._stream is None else self._stream.codec

    @property
    def is_settled(self) -> bool:
        """True once the peer was told, or told us, which codec it is."""
        return bool(self.body)

    @property
    def offered(self) -> tuple[Codec, ...]:
        """The codecs of the peer's description that the leg might have had as well, in its order."""
        return () if self._stream is None else self._choice.said(self._stream)

    @property
    def format_parameters(self) -> Parameters:
        """What the peer wants to hear, of codecs that are passed through."""
        return {} if self._stream is None else self._stream.parameters

    def follow_codec(self, other: LegDescription) -> None:
        """Answer the peer's first offer with the codec of the other side, if that is passed through, else with G.711.
        Nothing once it is answered."""
        if self._first_offer is None or self.is_settled or self._stream is None or not self._choice.passes:
            return
        self._stream = self._choice.follow(self._stream, other.codec, other.format_parameters)

    def change_codec(self, other: LegDescription) -> bool:
        """The peer was told another codec, by a preview, than the other side has by its answer: our next offer wants
        that one. False when the peer has never said that it has it."""
        _, stream = self._agreed()
        self._changes_codec = self._choice.change(stream, other.codec, other.format_parameters)
        return self._changes_codec

    @property
    def changes_codec(self) -> bool:
        """True from `change_codec` until the peer has agreed to it."""
        return self._changes_codec

    def _keep_codec(self) -> None:
        self._changes_codec = False
        if self._ours is not None and self._stream is not None:
            self._ours = self._choice.keep(self._ours, self._stream)

    @property
    def wish(self) -> Wish:
        """What the peer wants by its own will: what our own hold makes it say is not counted."""
        return self._hold.wish

    def permit(self, other: Wish) -> None:
        """What the other side of the bridge wants is what this leg offers and answers from now on."""
        self._hold.permit(other)

    @property
    def must_tell(self) -> bool:
        """True when the peer does not know what `permit` said, and an offer may be made to tell it."""
        settled = self._stream is not None and self._negotiation.state is State.STABLE
        untold = self._changes_codec or self._hold.is_untold
        return settled and untold and self._ours is not None and not self._ours.off

    # From one process to the next

    def agreed(self) -> Agreed | None:
        """What is in force, for a later process; None before there is anything."""
        if self._ours is None or self._stream is None or self.parameters is None:
            return None
        return Agreed.of(
            self._ours,
            self._stream,
            self.parameters,
            self._key,
            self.body,
            self._local.version,
            self._hold.directions,
            comfort_noise=self.comfort_noise,
        )

    def resume(self, agreed: Agreed) -> None:
        """Go on with what an earlier process has agreed on. Raises `LocalError` unless that was said of this leg's
        address, and `RemoteError` when it cannot be read."""
        body = self._resume(agreed.said, agreed.slot, agreed.body, agreed.version)
        self._ours, self._stream, self._key = agreed.ours, agreed.stream, agreed.key
        self.parameters, self.body = agreed.parameters, body
        self._hold.directions = agreed.intent, agreed.told, agreed.wish, agreed.refused
        self.comfort_noise = agreed.comfort_noise

    def open_offer(self, offer: LocalOffer) -> Offered:
        """Our first offer, which is open, for a later process."""
        return Offered.of(offer, self._hold.intent, comfort_noise=self.comfort_noise)

    def resume_offer(self, offered: Offered) -> LocalOffer:
        """Wait for the answer to an offer that an earlier process has made. Raises as `resume`."""
        said = offered.said
        body = self._resume(said, offered.slot, offered.body, int(said.origin.version))
        self._hold.intent, self.comfort_noise = offered.intent, offered.comfort_noise
        return LocalOffer(self._negotiation.offer_locally(), body, offered.ours, first=True)

    def _resume(self, said: Session, slot: int, text: str, version: int) -> bytes:
        self._expect_nothing_agreed()
        body = text.encode("latin-1")
        self._local.resume(said, slot, body, version)
        return body

    # Offers of ours

    def make_offer(self) -> LocalOffer:
        """Our first offer: every codec, in order. For our INVITE, or for the 2xx to one without an offer."""
        self._expect_nothing_agreed()
        return self._open(self._writer.first_offer(self._hold.intent, comfort_noise=self.comfort_noise))

    def make_reoffer(self) -> LocalOffer:
        """What is in force with the direction that `permit` asks for, and the codec that `change_codec` does: the least
        an offer can change."""
        ours, stream = self._agreed()
        intent = self._hold.intent
        if ours.off:
            raise LocalError("the peer switched the stream off")
        if not self._changes_codec:
            return self._open(ours.turned_to(intent))
        other = self._writer.with_other_codec(ours, stream, intent, comfort_noise=self.comfort_noise)
        return self._open(other)

    def make_refresh(self) -> LocalOffer:
        """What is in force, a stream that is off included: the octets said last, unless a hold has to be told as well.
        Raises `Glare` while an offer is open."""
        ours, _ = self._agreed()
        return self._open(ours if ours.off else ours.turned_to(self._hold.intent))

    def make_full_reoffer(self) -> LocalOffer:
        """For a re-INVITE without an offer: what is in force, every other codec of ours behind it.

        It says what we want and not what their hold made of it, so that the peer may resume by it (RFC 3261
        section 14.2, RFC 6337 section 5.2.5).
        """
        every = self._writer.with_every_codec(
            *self._agreed(), self._hold.intent, comfort_noise=self.comfort_noise
        )
        return self._open(every)

    def withdraw(self, offer: LocalOffer, *, heard: bool) -> None:
        """An offer came to nothing; what was in force still is. `heard`: the peer knows what we wanted, and
        refused; it is not asked again until `permit` says something else. Raises `StaleOffer`."""
        self._negotiation.withdraw(offer.token)
        if heard:
            self._hold.refused = offer.ours.direction

    def receive_response(
        self, offer: LocalOffer, status: int, body: bytes | None, *, other_fork: bool = False
    ) -> None:
        """Takes what a 1xx or 2xx to our INVITE says about our offer.

        A 1xx is a preview, which the 2xx may correct: it may come from another phone. A 2xx without a
        description confirms the preview. Raises `RemoteError` for what cannot be used, and for a 2xx when
        there is nothing at all. After `confirm` only the answer of an `other_fork` than the confirmed one is news.
        """
        if self._confirmed == offer.token:
            if other_fork and status >= 200 and body:
                self._read_answer(offer, body)
            return
        self._negotiation.check(offer.token)
        role = body_role("INVITE", status, False, self._negotiation.state)
        if role is BodyRole.ANSWER:
            self._answered(offer, body)
        elif role is BodyRole.PREVIEW and body:
            self._read_answer(offer, body)

    def confirm(self, offer: LocalOffer) -> None:
        """A provisional response was the answer (RFC 3262 section 5): the peer goes on from what it said, and what a
        2xx repeats of it is nothing new. Nothing without a preview."""
        if self._previewed == offer.token and self._negotiation.state is State.LOCAL_OFFER:
            self._negotiation.settle(offer.token)
            self._confirmed = offer.token

    def receive_acknowledgement(self, offer: LocalOffer, body: bytes | None) -> None:
        """Takes the answer in the ACK to our offer in a 2xx. Raises `RemoteError` when missing or unusable."""
        self._negotiation.check(offer.token)
        if body_role("ACK", None, True, self._negotiation.state) is BodyRole.ANSWER:
            self._answered(offer, body)

    # Offers of theirs

    def receive_offer(self, offer: RemoteOffer) -> None:
        """Takes the peer's first offer and chooses its first codec that is also ours."""
        self._expect_nothing_agreed()
        remote = offer.session
        stream = self._choice.reader.find(remote, admit_offer(self._terms, None, None))
        self._first_offer = self._negotiation.offer_remotely(), remote
        self._stream = stream
        self._hold.wanted = stream.direction
        self._key = self._answering_key(stream)
        self.parameters = stream_parameters(
            stream, self._hold.answer_to(stream.direction), rtcp_mux=True, crypto=self._key
        )

    def preview_answer(self) -> bytes:
        """The answer to `receive_offer` for a provisional response, which may get lost; it stays as it is."""
        if self._first_offer is None or self._stream is None:
            raise LocalError("there is no offer to answer")
        if not self.body:
            self._take_answer(self._answer(self._first_offer[1], self._stream), self._stream)
            self._hold.told = self._hold.intent
        return self.body

    def make_answer(self) -> bytes:
        """The answer to `receive_offer` for the 2xx: what was previewed, to the octet (RFC 3261 section 13.2.1)."""
        body = self.preview_answer()
        if self._first_offer is not None:
            self._negotiation.settle(self._first_offer[0])
            self._first_offer = None
            self._keep_codec()
        return body

    def receive_reoffer(self, body: bytes) -> Reoffer:
        """Reads an offer of the peer in a running session and answers it at once.

        Followed: another direction, address, port or codec of ours; port 0 (the stream is off, and may come back); new
        media beside the audio, refused one by one. 488 and nothing changes: no codec in common, another profile,
        another kind of media in place of the audio. Raises `Glare` while an offer is open.
        """
        ours, before = self._agreed()
        remote = parse(body)
        check_slots(ours.sections, remote, before.slot)
        stream = self._choice.reader.follow(
            remote, before, admit_offer(self._terms, before.media, before.agreement.theirs)
        )
        token = self._negotiation.offer_remotely()
        try:
            answer = self._answer(remote, stream)
        except RemoteError:
            self._negotiation.withdraw(token)
            raise
        self._hold.was_offered(stream.direction, answer.direction)
        self._take_answer(answer, stream)
        self._changes_codec = False
        self._negotiation.settle(token)
        return Reoffer(change_of(before, stream), self.body)

    # How it is done

    def _open(self, ours: OurSections) -> LocalOffer:
        token = self._negotiation.offer_locally()
        return LocalOffer(token, self._local.say(ours.sections), ours, first=self._stream is None)

    def _answered(self, offer: LocalOffer, body: bytes | None) -> None:
        if body:
            self._read_answer(offer, body)
        elif self._previewed != offer.token:
            raise not_acceptable(WARN_OTHER, "No session description in the answer")
        self._negotiation.settle(offer.token)
        self._keep_codec()

    def _read_answer(self, offer: LocalOffer, body: bytes) -> None:
        """Put an answer in force; nothing changes when it is unusable."""
        remote = parse(body)
        said = offer.ours
        may_decline = offer.first and self._terms.protection == "preferred"
        admit = admit_answer(said.sections[said.slot], said.cryptos, may_decline=may_decline)
        if offer.first or self._stream is None:
            stream = self._choice.reader.find(remote, admit, len(said.sections))
        else:
            stream = self._choice.reader.follow(remote, self._stream, admit)
        self._previewed = offer.token
        self._key = stream.agreement.ours
        ours = said.with_key(self._key)
        self._hold.was_answered(ours.direction, stream.direction)
        self._take(ours, stream, offer.body, ours.telephone_event(stream.codec))

    def _answer(self, remote: Session, stream: AudioStream) -> OurSections:
        """Our media sections: one for each of theirs, in their order (RFC 3264 section 6)."""
        direction = self._hold.answer_to(stream.direction)
        if not stream.off:
            self._key = self._answering_key(stream)
        return self._writer.answer(remote, stream, direction, self._key, comfort_noise=self.comfort_noise)

    def _answering_key(self, stream: AudioStream) -> Crypto | None:
        """Our line for the offer that `stream` stands in."""
        theirs = stream.agreement.theirs
        return None if theirs is None else self._terms.answered(theirs, self._key)

    def _take_answer(self, ours: OurSections, stream: AudioStream) -> None:
        """Put an answer of ours in force, with the offer it is for."""
        self._take(ours, stream, self._local.say(ours.sections))

    def _take(
        self, ours: OurSections, stream: AudioStream, body: bytes, our_event: int | None = None
    ) -> None:
        """Put both descriptions in force; `our_event` as `stream_parameters` takes it."""
        self._ours, self._stream, self.body = ours, stream, body
        self.parameters = stream_parameters(
            stream,
            ours.direction,
            our_event,
            comfort_noise=ours.comfort_noise,
            rtcp_mux=ours.rtcp_mux,
            crypto=self._key,
        )

    def _expect_nothing_agreed(self) -> None:
        if self._stream is not None:
            raise LocalError("the leg has agreed on something already")

    def _agreed(self) -> tuple[OurSections, AudioStream]:
        if self._ours is None or self._stream is None:
            raise LocalError("there is no session to change yet")
        return self._ours, self._stream
