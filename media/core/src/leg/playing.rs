//! What a leg sends without a packet from anyone, and how it listens for silence: prompts, silence in time, `Quiet`.

use super::{Accepted, Events, Leg};
use crate::content::Content;
use crate::g711::Codec;
use crate::hearing::{Hearing, QuietWatch};
use crate::mailbox::Event;
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
}

impl Leg {
    /// Hears something else from now on.
    pub fn set_hearing(&mut self, hearing: Hearing, now: u64) {
        if hearing.is_made_here() {
            let epoch = self.playing.epoch.wrapping_add(1);
            // What replaces sound made here keeps its turn.
            let earliest = if self.hearing.is_made_here() { 0 } else { self.next_due(now) };
            self.playing = Playing { epoch, earliest, begun: None, frames: 0 };
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
        self.hearing.is_made_here() || self.quiet.is_some() || self.waiting.is_some_and(|wait| !wait.expired)
    }

    /// Sends the next 20 ms of what is made here, due `at`; true when a prompt ended with it.
    pub fn play(&mut self, at: u64) -> bool {
        if !self.hearing.is_made_here() || at < self.playing.earliest {
            return false;
        }
        let codec = self.parameters.as_ref().map_or(Codec::Pcmu, |parameters| parameters.codec);
        let mut packet = [0; rtp::HEADER + FRAME + MAX_TRAILER];
        let ended =
            packet[rtp::HEADER..].first_chunk_mut().is_some_and(|frame| self.hearing.fill(codec, frame));
        let begun = *self.playing.begun.get_or_insert(at);
        let place = Packet {
            extended: self.playing.frames,
            // By the clock and not by the frames: what a long stall left out is missing in time.
            timestamp: ((at - begun) / 125) as u32,
            ticks: FRAME as u32,
            audio: true,
            ends: false,
            newest: true,
            marker: false,
        };
        self.playing.frames += 1;
        let Some(parameters) = self.may_send() else {
            self.outgoing.interrupt();
            return ended;
        };
        // No leg has this id: what is made here is a source of its own.
        let source = Source { id: u64::MAX, epoch: self.playing.epoch };
        let payload_type = parameters.payload_type;
        if let Some(sent) = self.outgoing.place(source, place, at) {
            self.transmit(&mut packet, rtp::HEADER..rtp::HEADER + FRAME, payload_type, sent);
        }
        ended
    }

    /// Reports once that the peer has been silent for `limit`; None stops watching.
    pub fn watch_silence(&mut self, limit: Option<u64>, now: u64) {
        self.quiet = limit.map(|limit| QuietWatch::new(limit, now));
    }

    /// Listens to what the peer says, while somebody wants to know when it is silent.
    pub fn note_sound(&mut self, accepted: &Accepted, data: &[u8], now: u64) {
        if let (Some(watch), Content::Audio(codec)) = (&mut self.quiet, accepted.content) {
            watch.hear(&data[accepted.header.payload.clone()], codec, now);
        }
    }

    /// Reports a silence that has lasted long enough. While the peer is asked not to send, silence means nothing.
    pub fn check_quiet(&mut self, now: u64, events: &Events) {
        let listens = self.listens();
        let Some(watch) = &mut self.quiet else {
            return;
        };
        if !listens {
            watch.begin(now);
        } else if watch.is_over(now) {
            self.quiet = None;
            events.post(Event::Quiet { leg: self.id }, usize::MAX);
        }
    }
}
