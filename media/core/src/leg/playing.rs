//! What a leg sends without a packet from anyone: prompts, digits, silence in time.

use super::{Accepted, Leg};
use crate::codec::Codec;
use crate::content::Content;
use crate::dialling::EventFrame;
use crate::hearing::Hearing;
use crate::outgoing::{Packet, Source};
use crate::pacer::PERIOD;
use crate::prompt::FRAME;
use crate::rtp;
use crate::srtp::MAX_TRAILER;

/// How far the sound made here has come.
#[derive(Debug, Default)]
pub struct Playing {
    /// Counts what was played: each is a source of its own.
    epoch: u32,
    /// The first frame is not sent before.
    earliest: u64,
    /// When the first frame was due.
    begun: Option<u64>,
    frames: i64,
    /// Timestamp at which the digit that is being sent began.
    digit_began: u32,
}

impl Leg {
    /// Hears something else from now on.
    pub fn set_hearing(&mut self, hearing: Hearing, now: u64) {
        if hearing.is_made_here() {
            let epoch = self.playing.epoch.wrapping_add(1);
            // What replaces sound made here keeps its turn.
            let earliest = if self.hearing.is_made_here() { 0 } else { self.next_due(now) };
            self.playing = Playing { epoch, earliest, begun: None, frames: 0, digit_began: 0 };
        }
        self.hearing = hearing;
        self.outgoing.interrupt();
    }

    /// Keeps a packet of one of several sources until its turn; false where there is only one.
    pub fn mixes(&mut self, accepted: &Accepted, data: &[u8]) -> bool {
        let Hearing::Mix(mix) = &mut self.hearing else {
            return false;
        };
        if let Content::Audio(codec) = accepted.content {
            let payload = &data[accepted.header.payload.clone()];
            mix.take(accepted.source, accepted.header.timestamp, payload, codec);
        }
        true
    }

    /// When the next packet is due if it continues in time after the last one.
    pub fn next_due(&self, now: u64) -> u64 {
        self.outgoing.last_sent().map_or(now, |sent| now.max(sent + PERIOD)).min(now + PERIOD)
    }

    /// True while something is to happen on this leg without a packet from its peer.
    pub fn needs_pace(&self) -> bool {
        let waits = self.waiting.is_some_and(|wait| !wait.expired);
        self.hearing.is_made_here() || waits || self.quiet.is_some() || self.ears.answer.is_some()
    }

    /// Sends the next 20 ms of what is made here, due `at`; true when a prompt ended with it.
    pub fn play(&mut self, at: u64) -> bool {
        if !self.hearing.is_made_here() || at < self.playing.earliest {
            return false;
        }
        let codec = self.agreed.map_or(Codec::Pcmu, |agreed| agreed.codec);
        let send_event = self.agreed.and_then(|agreed| agreed.send_event);
        let event = send_event.and_then(|payload_type| Some((payload_type, self.hearing.event()?)));
        let mut packet = [0; rtp::HEADER + FRAME + MAX_TRAILER];
        let ended =
            packet[rtp::HEADER..].first_chunk_mut().is_some_and(|frame| self.hearing.fill(codec, frame));
        let begun = *self.playing.begun.get_or_insert(at);
        // By the clock and not by the frames: what a long stall left out is missing in time.
        let place = self.place(((at - begun) / 125) as u32, event.map(|(_, event)| event));
        self.playing.frames += 1;
        // What is passed through cannot be made here: the peer hears nothing meanwhile.
        let Some(agreed) = self.may_send().filter(|agreed| agreed.codec.is_g711()) else {
            self.outgoing.interrupt();
            return ended;
        };
        // No leg has this id: what is made here is a source of its own.
        let source = Source { id: u64::MAX, epoch: self.playing.epoch };
        let (payload_type, length) = match event {
            Some((payload_type, event)) => {
                packet[rtp::HEADER..][..4].copy_from_slice(&event.payload);
                (payload_type, 4)
            }
            None => (agreed.payload_type, FRAME),
        };
        if let Some(sent) = self.outgoing.place(source, place, at) {
            if event.is_none() {
                self.tape_said(sent.timestamp, &packet[rtp::HEADER..rtp::HEADER + FRAME], codec, at);
            }
            self.transmit(&mut packet, rtp::HEADER..rtp::HEADER + length, payload_type, sent);
        }
        ended
    }

    /// Where a frame made here goes: audio at its time, all packets of a digit at the time it began.
    fn place(&mut self, timestamp: u32, event: Option<EventFrame>) -> Packet {
        if event.is_some_and(|event| event.age == 0) {
            self.playing.digit_began = timestamp;
        }
        Packet {
            extended: self.playing.frames,
            timestamp: if event.is_some() { self.playing.digit_began } else { timestamp },
            ticks: event.map_or(FRAME as u32, |event| event.ticks),
            audio: event.is_none(),
            ends: event.is_some_and(|event| event.ends),
            newest: true,
            marker: event.is_some_and(|event| event.age == 0),
        }
    }
}
