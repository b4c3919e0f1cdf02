"""Writes the media sections of one leg's descriptions: offers, later ones, answers (RFC 3264 sections 5, 6, 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from b2bua.sdp_bridge.audio_stream import OurSections, audio_section
from b2bua.sdp_bridge.formats import our_events
from sip_stack.sdp import refuse

if TYPE_CHECKING:
    from b2bua.sdp_bridge.audio_stream import AudioStream
    from b2bua.sdp_bridge.codec_choice import CodecChoice
    from b2bua.sdp_bridge.formats import Event, Format
    from b2bua.sdp_bridge.media_security import MediaTerms
    from sip_stack.sdp import Crypto, Direction, Session


PTIME = 20
"""Milliseconds of audio per packet, where the peer asks for nothing else (RFC 3551 section 4.2)."""


@dataclass(slots=True)
class SectionWriter:
    """What does not change from one description of a leg to the next."""

    port: int
    """Where the leg takes audio."""
    terms: MediaTerms
    choice: CodecChoice
    event_type: int | None
    """Payload type of telephone-event beside G.711 in the first offer; None for the usual one."""

    def first_offer(self, direction: Direction, *, comfort_noise: bool) -> OurSections:
        """One audio section with every codec, in order."""
        choice, terms = self.choice, self.terms
        cryptos, events = terms.offered(), our_events(choice.codecs, self.event_type)
        audio = audio_section(
            self.port,
            terms.profile,
            choice.formats,
            events,
            PTIME,
            direction,
            parameters=choice.parameters,
            comfort_noise=comfort_noise,
            cryptos=cryptos,
        )
        return OurSections((audio,), 0, direction, events, cryptos)

    def with_other_codec(
        self, ours: OurSections, stream: AudioStream, direction: Direction, *, comfort_noise: bool
    ) -> OurSections:
        """What is in force, but for the codec: what is chosen by now, and nothing else."""
        events = our_events(self.choice.codecs)
        return self._with(ours, stream, self.choice.formats, events, direction, comfort_noise)

    def with_every_codec(
        self, ours: OurSections, stream: AudioStream, direction: Direction, *, comfort_noise: bool
    ) -> OurSections:
        """What is in force, every other codec of ours behind it."""
        others = [each for each in self.choice.formats if each[1] is not stream.codec]
        formats = [stream.format, *(each for each in others if each[0] != stream.payload_type)]
        events = ours.events
        if ours.telephone_event(stream.codec) is None:
            events = tuple(each for each in our_events((stream.codec,)) if each[0] != stream.payload_type)
        return self._with(ours, stream, formats, events, direction, comfort_noise)

    def _with(
        self,
        ours: OurSections,
        stream: AudioStream,
        formats: Sequence[Format],
        events: tuple[Event, ...],
        direction: Direction,
        comfort_noise: bool,
    ) -> OurSections:
        audio = audio_section(
            self.port,
            stream.media.lines.protocol,
            formats,
            events,
            stream.media.lines.ptime or PTIME,
            direction,
            parameters=self.choice.parameters,
            comfort_noise=comfort_noise,
            rtcp_mux=ours.rtcp_mux,
            cryptos=ours.cryptos,
        )
        return ours.with_audio(audio, direction, events)

    def answer(
        self,
        remote: Session,
        stream: AudioStream,
        direction: Direction,
        key: Crypto | None,
        *,
        comfort_noise: bool,
    ) -> OurSections:
        """One section for each of theirs, in their order: the audio answered, the others refused."""
        cryptos = () if key is None else (key,)
        number, clock = stream.telephone_event, stream.codec.clock_rate
        events = () if number is None else ((number, clock),)
        if stream.off:
            audio = refuse(stream.media)
        else:
            audio = audio_section(
                self.port,
                stream.media.lines.protocol,
                [stream.format],
                events,
                stream.media.lines.ptime or PTIME,
                direction,
                parameters=self.choice.parameters,
                comfort_noise=comfort_noise and stream.comfort_noise and not stream.codec.passes_through,
                rtcp_mux=stream.rtcp_mux,
                cryptos=cryptos,
            )
        sections = tuple(
            [audio if slot == stream.slot else refuse(media) for slot, media in enumerate(remote.media)]
        )
        return OurSections(sections, stream.slot, direction, events, cryptos)
