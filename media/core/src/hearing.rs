//! What a leg hears: another leg, a prompt, silence in time, or nobody; and what it waits for.
//!
//! Slots are places in the worker's table of legs. Times are microseconds of the worker's monotonic clock.

use crate::codec::Codec;
use crate::dialling::EventFrame;
use crate::mix::Mix;
use crate::prompt::{FRAME, Prompt, silence};
use std::sync::Arc;

/// The source of what a leg's peer hears.
#[derive(Debug, Default)]
pub enum Hearing {
    /// No packet is sent.
    #[default]
    Nobody,
    /// The peer of the leg in this slot.
    Leg(usize),
    /// Packets of silence, so that the listener's stream goes on.
    Silence,
    /// A prompt from `position` on.
    Prompt {
        /// What is played.
        prompt: Arc<Prompt>,
        /// The next sample.
        position: usize,
        /// Whether it begins again at its end.
        looped: bool,
    },
    /// The peers of two other legs together.
    Mix(Box<Mix>),
}

impl Hearing {
    /// True for what we make ourselves, every 20 ms.
    pub fn is_made_here(&self) -> bool {
        matches!(self, Hearing::Silence | Hearing::Prompt { .. } | Hearing::Mix(_))
    }

    /// Slots of the legs that are heard.
    pub fn sources(&self) -> [Option<usize>; 2] {
        match self {
            Hearing::Leg(slot) => [Some(*slot), None],
            Hearing::Mix(mix) => {
                let mut slots = mix.slots();
                [slots.next(), slots.next()]
            }
            _ => [None; 2],
        }
    }

    /// True when it is the leg in this slot.
    pub fn is_leg(&self, slot: usize) -> bool {
        matches!(self, Hearing::Leg(source) if *source == slot)
    }

    /// True for silence in time.
    pub fn is_silence(&self) -> bool {
        matches!(self, Hearing::Silence)
    }

    /// The digit that the next frame is part of.
    pub fn event(&self) -> Option<EventFrame> {
        match self {
            Hearing::Prompt { prompt, position, .. } => prompt.event(*position),
            _ => None,
        }
    }

    /// Fills the next frame; true when a prompt ended with it.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8; FRAME]) -> bool {
        match self {
            Hearing::Prompt { prompt, position, looped } => {
                *position = prompt.fill(codec, *position, *looped, frame);
                *position >= prompt.samples() && !*looped
            }
            Hearing::Mix(mix) => {
                mix.fill(codec, frame);
                false
            }
            _ => {
                frame.fill(silence(codec));
                false
            }
        }
    }
}

/// A leg waits for another to be heard.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Slot of the leg that is waited for.
    pub source: usize,
    /// When the old source is given up.
    pub deadline: u64,
    /// That has happened.
    pub expired: bool,
}

/// How many legs may hear one: the one it talks to, and those that listen in on the way from one to another.
const MOST: usize = 4;

/// The slots of those who hear a leg.
#[derive(Debug, Default, Clone, Copy)]
#[repr(C)]
pub struct Listeners {
    // First: with the one listener that most have it is in one cache line.
    count: usize,
    slots: [usize; MOST],
}

impl Listeners {
    /// The slots.
    pub fn slots(&self) -> &[usize] {
        &self.slots[..self.count]
    }

    /// One more; false when there are too many.
    pub fn add(&mut self, slot: usize) -> bool {
        if self.count == MOST || self.slots().contains(&slot) {
            return self.slots().contains(&slot);
        }
        self.slots[self.count] = slot;
        self.count += 1;
        true
    }

    /// One less.
    pub fn remove(&mut self, slot: usize) {
        if let Some(at) = self.slots().iter().position(|&known| known == slot) {
            self.count -= 1;
            self.slots[at] = self.slots[self.count];
        }
    }
}

/// Tells when a peer has stopped talking.
#[derive(Debug, Clone, Copy)]
pub struct QuietWatch {
    limit: u64,
    last_sound: u64,
}

/// Mean of the samples' magnitude below which a packet counts as silence: about -42 dB of full scale.
const LOUD: i64 = 256;
/// Of what is passed through, only what says that nothing is sent counts as silence (opus DTX, RFC 7587 section 3.1.3).
const INAUDIBLE: usize = 3;

impl QuietWatch {
    /// Watches from `now` on.
    pub fn new(limit: u64, now: u64) -> Self {
        QuietWatch { limit, last_sound: now }
    }

    /// Counts from here.
    pub fn begin(&mut self, now: u64) {
        self.last_sound = now;
    }

    /// A packet of audio came.
    pub fn hear(&mut self, payload: &[u8], codec: Codec, now: u64) {
        let loud = match codec.linear() {
            None => payload.len() > INAUDIBLE,
            Some(linear) => {
                let sum: i64 = payload.iter().map(|&octet| i64::from(linear(octet)).abs()).sum();
                sum > LOUD * payload.len() as i64
            }
        };
        if loud {
            self.last_sound = now;
        }
    }

    /// True once it has been quiet for long enough.
    pub fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.last_sound) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::linear_to_mu;

    #[test]
    fn listeners_come_and_go() {
        let mut listeners = Listeners::default();
        assert!(listeners.add(3) && listeners.add(5) && listeners.add(3));
        assert_eq!(listeners.slots(), [3, 5]);
        listeners.remove(3);
        listeners.remove(9);
        assert_eq!(listeners.slots(), [5]);
        assert!((10..13).all(|slot| listeners.add(slot)));
        assert!(!listeners.add(13), "no fifth");
    }

    #[test]
    fn talk_resets_the_watch_and_hiss_does_not() {
        let mut watch = QuietWatch::new(400_000, 0);
        let (talk, hiss) = ([linear_to_mu(4_000); 160], [linear_to_mu(40); 160]);
        watch.hear(&talk, Codec::Pcmu, 300_000);
        watch.hear(&hiss, Codec::Pcmu, 500_000);
        assert!(!watch.is_over(699_999));
        assert!(watch.is_over(700_000));
    }
}
