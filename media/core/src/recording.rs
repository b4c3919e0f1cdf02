//! Recording a leg: what its peer says on the left, all that its peer hears on the right, in one WAV file.
//!
//! The worker that has the leg puts each packet into a ring (`Tape`) and never waits; one thread of the engine
//! (`recorder`) takes them out, places them in time and writes. Both sides are those of one leg, so a recording goes on
//! across everything that changes whom the leg hears. Times are samples of 8 kHz since the recording began.

mod file;
pub mod recorder;
mod ring;
mod timeline;

use crate::codec::Codec;
use ring::{Packet, Ring};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Which side of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the peer of the leg says.
    Left,
    /// What it hears.
    Right,
}

/// No end yet.
const RUNNING: u64 = u64::MAX;

/// What the event loop, the worker and the recorder know of one recording.
#[derive(Debug)]
pub struct Recording {
    /// Names it in events.
    pub id: u64,
    ring: Ring,
    begun: Instant,
    /// Microseconds of the workers' clock at which it began.
    began: u64,
    /// When it ended, in samples.
    end: AtomicU64,
    paused: AtomicBool,
    /// Packets that were not written: the ring was full, or their time was over.
    dropped: AtomicU64,
}

impl Recording {
    /// Begins now; `started` is when the workers' clock began.
    pub fn begin(id: u64, started: Instant) -> Arc<Self> {
        let begun = Instant::now();
        Arc::new(Recording {
            id,
            ring: Ring::default(),
            begun,
            began: u64::try_from(begun.duration_since(started).as_micros()).unwrap_or(u64::MAX),
            end: AtomicU64::new(RUNNING),
            paused: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        })
    }

    /// Leaves out what follows, as silence, or no more.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Ends it here; the file is finished soon. Only the first counts.
    pub fn finish(&self) {
        let now = self.now();
        let _ = self.end.compare_exchange(RUNNING, now, Ordering::Release, Ordering::Relaxed);
    }

    /// Packets that were not written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros() / 125).unwrap_or(RUNNING)
    }

    /// Where it ends, once that is known. What was put on the tape before is in the ring then.
    fn end(&self) -> Option<u64> {
        Some(self.end.load(Ordering::Acquire)).filter(|&end| end != RUNNING)
    }
}

/// The leg's end of a recording, which ends with it.
#[derive(Debug)]
pub struct Tape(Arc<Recording>);

impl Tape {
    /// The one tape of a recording.
    pub fn new(recording: Arc<Recording>) -> Self {
        Tape(recording)
    }

    /// Takes a packet of audio at `now` (microseconds of the worker's clock). `epoch` counts the streams of this side.
    /// Never waits: without room the packet is silence in the file.
    #[inline]
    pub fn take(&self, side: Side, epoch: u32, timestamp: u32, payload: &[u8], codec: Codec, now: u64) {
        let recording = &*self.0;
        if recording.paused.load(Ordering::Relaxed) || recording.end.load(Ordering::Relaxed) != RUNNING {
            return;
        }
        let arrival = now.saturating_sub(recording.began) / 125;
        let packet = Packet { side, codec, epoch, timestamp, arrival: arrival as u32 };
        if !recording.ring.push(packet, payload) {
            recording.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::LARGEST;

    #[test]
    fn a_reader_that_stands_still_costs_sound_and_no_time() {
        let recording = Recording::begin(1, Instant::now());
        let tape = Tape::new(Arc::clone(&recording));
        for number in 0..500_u32 {
            let now = recording.began + u64::from(number) * 20_000;
            tape.take(Side::Left, 1, number * 160, &[7; 160], Codec::Pcmu, now);
        }
        assert!(recording.dropped() > 100, "{}", recording.dropped());
        let mut octets = [0; LARGEST];
        let kept = std::iter::from_fn(|| recording.ring.pop(&mut octets).map(|(packet, _)| packet.arrival));
        assert!(kept.enumerate().all(|(number, arrival)| arrival == 160 * number as u32));
        tape.take(Side::Left, 1, 80_000, &[7; 160], Codec::Pcmu, recording.began + 10_000_000);
        let last = recording.ring.pop(&mut octets).map(|(packet, _)| packet.arrival);
        assert_eq!(last, Some(80_000), "where it belongs");
    }

    #[test]
    fn a_tape_takes_nothing_in_a_pause_and_after_the_end() {
        let recording = Recording::begin(1, Instant::now());
        let tape = Tape::new(Arc::clone(&recording));
        let mut octets = [0; LARGEST];
        let mut takes = |tape: &Tape| {
            tape.take(Side::Right, 0, 0, &[7; 160], Codec::Pcma, recording.began);
            recording.ring.pop(&mut octets).is_some()
        };
        assert!(takes(&tape));
        recording.pause(true);
        assert!(!takes(&tape));
        recording.pause(false);
        assert!(takes(&tape));
        recording.finish();
        assert!(!takes(&tape));
        assert!(recording.end().is_some());
    }
}
