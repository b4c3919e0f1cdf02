//! The sum of two legs, for a third that hears both: what makes a call of three.
//!
//! Each source has a line: its samples, decoded and kept by their RTP timestamp until the listener's own clock takes
//! them, 20 ms at a time. A line that ran dry begins again `DEPTH` behind the packet that ends the drought, so that
//! what a network delays is waited for; one that runs ahead (its clock is faster, or a burst came) is cut back.
//! Nothing here allocates once the mix has been made.

use crate::codec::Codec;
use crate::g711::{linear_to_a, linear_to_mu};
use crate::outgoing::Source;
use crate::prompt::FRAME;

/// Samples kept for each source; a power of two.
const ROOM: usize = 4_096;
/// Samples of silence before the first packet of a line: 20 ms. A packet may come that much late, and up to 20 ms
/// more, depending on where in the listener's clock the first one came.
const DEPTH: u32 = 160;
/// Samples that may wait in front of the newest packet: 120 ms.
const MOST: u32 = 960;
/// A timestamp that is further than this from those before it begins anew: 200 ms.
const LEAP: u32 = 1_600;

/// Two sources for one listener.
#[derive(Debug)]
pub struct Mix {
    lines: [Line; 2],
}

impl Mix {
    /// Of the legs in these slots, with these ids.
    pub fn new(sources: [(usize, u64); 2]) -> Self {
        Mix { lines: sources.map(Line::new) }
    }

    /// Slots of the legs that are still heard.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.lines.iter().filter_map(|line| line.place.map(|(slot, _)| slot))
    }

    /// The leg in this slot is gone: what it had said is heard to its end, and then the other one alone.
    pub fn forget(&mut self, slot: usize) {
        for line in &mut self.lines {
            line.place.take_if(|place| place.0 == slot);
        }
    }

    /// A packet of audio of one of the sources.
    pub fn take(&mut self, source: Source, timestamp: u32, payload: &[u8], codec: Codec) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.is_of(source.id)) {
            line.write(source, timestamp, payload, codec);
        }
    }

    /// The next 20 ms of all of them together.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8; FRAME]) {
        let mut sum = [0_i32; FRAME];
        self.lines.iter_mut().for_each(|line| line.read(&mut sum));
        for (octet, sample) in frame.iter_mut().zip(sum) {
            // Loud on both sides at once: held at the limit, never wrapped around.
            let sample = sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            *octet = if codec == Codec::Pcmu { linear_to_mu(sample) } else { linear_to_a(sample) };
        }
    }
}

#[derive(Debug)]
struct Line {
    /// Slot and id of the source.
    place: Option<(usize, u64)>,
    stream: Option<Source>,
    /// By timestamp; zero where nothing came, and where it was heard already.
    samples: [i16; ROOM],
    /// Timestamp of the next sample to be heard.
    position: u32,
    /// Timestamp after the newest sample.
    end: u32,
}

impl Line {
    fn new(place: (usize, u64)) -> Self {
        Line { place: Some(place), stream: None, samples: [0; ROOM], position: 0, end: 0 }
    }

    fn is_of(&self, id: u64) -> bool {
        self.place.is_some_and(|(_, own)| own == id)
    }

    fn at(timestamp: u32) -> usize {
        timestamp as usize % ROOM
    }

    fn write(&mut self, stream: Source, timestamp: u32, payload: &[u8], codec: Codec) {
        let Some(linear) = codec.linear() else {
            return;
        };
        let length = payload.len() as u32;
        let leap = timestamp.wrapping_sub(self.end) as i32;
        if self.position == self.end || self.stream != Some(stream) || leap.unsigned_abs() > LEAP {
            self.begin(stream, timestamp);
        }
        let end = timestamp.wrapping_add(length);
        let ahead = end.wrapping_sub(self.position) as i32;
        if ahead > (length + MOST) as i32 {
            self.skip_to(timestamp.wrapping_sub(DEPTH));
        }
        for (sample, &octet) in (0_u32..).zip(payload) {
            let at = timestamp.wrapping_add(sample);
            // What comes after its time has passed is not heard.
            if at.wrapping_sub(self.position) as i32 >= 0 {
                self.samples[Line::at(at)] = linear(octet);
            }
        }
        if end.wrapping_sub(self.end) as i32 > 0 {
            self.end = end;
        }
    }

    fn begin(&mut self, stream: Source, timestamp: u32) {
        self.skip_to(self.end);
        self.stream = Some(stream);
        self.position = timestamp.wrapping_sub(DEPTH);
        self.end = timestamp;
    }

    /// Leaves out what has not been heard before `timestamp`.
    fn skip_to(&mut self, timestamp: u32) {
        while self.position != self.end && self.position != timestamp {
            self.samples[Line::at(self.position)] = 0;
            self.position = self.position.wrapping_add(1);
        }
        self.position = timestamp;
    }

    /// Adds the next samples, as far as there are any.
    fn read(&mut self, sum: &mut [i32; FRAME]) {
        for total in sum {
            if self.position == self.end {
                return;
            }
            *total += i32::from(std::mem::take(&mut self.samples[Line::at(self.position)]));
            self.position = self.position.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::mu_to_linear;

    const ONE: Source = Source { id: 11, epoch: 1 };
    const OTHER: Source = Source { id: 12, epoch: 1 };

    fn mix() -> Mix {
        Mix::new([(1, 11), (2, 12)])
    }

    fn talk(mix: &mut Mix, source: Source, timestamp: u32, level: i16) {
        mix.take(source, timestamp, &[linear_to_mu(level); FRAME], Codec::Pcmu);
    }

    /// The next frame's samples, all of which must be the same.
    fn level(mix: &mut Mix) -> i16 {
        let mut frame = [0; FRAME];
        mix.fill(Codec::Pcmu, &mut frame);
        assert!(frame.iter().all(|&octet| octet == frame[0]), "{frame:?}");
        mu_to_linear(frame[0])
    }

    /// A level that mu-law has.
    fn exact(level: i16) -> i16 {
        mu_to_linear(linear_to_mu(level))
    }

    #[test]
    fn two_are_heard_as_their_sum() {
        let mut mix = mix();
        for packet in 0..3 {
            talk(&mut mix, ONE, 4_000_000_000 + packet * 160, 1_000);
            talk(&mut mix, OTHER, 77 + packet * 160, -3_000);
        }
        assert_eq!(level(&mut mix), 0, "the first waits");
        let expected = exact(exact(1_000) + exact(-3_000));
        assert_eq!([(); 3].map(|()| level(&mut mix)), [expected; 3]);
        assert_eq!(level(&mut mix), 0, "and then nothing");
    }

    #[test]
    fn what_is_too_loud_is_held_at_the_limit() {
        for loud in [30_000, -30_000] {
            let mut mix = mix();
            talk(&mut mix, ONE, 0, loud);
            talk(&mut mix, OTHER, 0, loud);
            level(&mut mix);
            assert_eq!(level(&mut mix), exact(if loud > 0 { i16::MAX } else { i16::MIN }));
        }
    }

    #[test]
    fn each_law_is_read_and_written() {
        let mut mix = mix();
        mix.take(ONE, 0, &[linear_to_a(1_000); FRAME], Codec::Pcma);
        let mut frame = [0; FRAME];
        mix.fill(Codec::Pcma, &mut frame);
        mix.fill(Codec::Pcma, &mut frame);
        assert_eq!(frame, [linear_to_a(1_000); FRAME]);
    }

    #[test]
    fn order_and_jitter_do_not_matter_within_what_waits() {
        let mut mix = mix();
        talk(&mut mix, ONE, u32::MAX - 159, 1_000);
        assert_eq!(level(&mut mix), 0);
        talk(&mut mix, ONE, 320, 3_000);
        talk(&mut mix, ONE, 0, 1_000);
        assert_eq!(level(&mut mix), exact(1_000));
        talk(&mut mix, ONE, 160, 2_000);
        assert_eq!(level(&mut mix), exact(1_000));
        assert_eq!(level(&mut mix), exact(2_000));
        assert_eq!(level(&mut mix), exact(3_000));
    }

    #[test]
    fn a_lost_packet_is_silent_for_its_time() {
        let mut mix = mix();
        talk(&mut mix, ONE, 0, 1_000);
        talk(&mut mix, ONE, 320, 1_000);
        let heard = [(); 4].map(|()| level(&mut mix));
        assert_eq!(heard, [0, exact(1_000), 0, exact(1_000)]);
    }

    #[test]
    fn a_line_that_ran_dry_begins_again_behind_the_next_packet() {
        let mut mix = mix();
        talk(&mut mix, ONE, 0, 1_000);
        let heard = [(); 4].map(|()| level(&mut mix));
        assert_eq!(heard, [0, exact(1_000), 0, 0]);
        talk(&mut mix, ONE, 160, 2_000);
        let heard = [(); 3].map(|()| level(&mut mix));
        assert_eq!(heard, [0, exact(2_000), 0]);
    }

    #[test]
    fn a_burst_is_cut_back() {
        let mut mix = mix();
        for packet in 0..12 {
            talk(&mut mix, ONE, packet * 160, 1_000 + 100 * packet as i16);
        }
        let waiting = (0..20).map(|_| level(&mut mix)).filter(|&level| level != 0).count();
        assert!((2..=7).contains(&waiting), "{waiting} of twelve packets");
        talk(&mut mix, ONE, 12 * 160, 500);
        assert_eq!(level(&mut mix), 0);
        assert_eq!(level(&mut mix), exact(500), "nothing of the burst is left over");
    }

    #[test]
    fn a_new_stream_and_a_leap_of_the_clock_begin_anew() {
        let mut mix = mix();
        talk(&mut mix, ONE, 0, 1_000);
        talk(&mut mix, Source { epoch: 2, ..ONE }, 50, 2_000);
        let heard = [(); 3].map(|()| level(&mut mix));
        assert_eq!(heard, [0, exact(2_000), 0]);
        talk(&mut mix, Source { epoch: 2, ..ONE }, 3_000_000_000, 1_500);
        talk(&mut mix, Source { epoch: 2, ..ONE }, 5_000, 2_500);
        let heard = [(); 3].map(|()| level(&mut mix));
        assert_eq!(heard, [0, exact(2_500), 0]);
    }

    #[test]
    fn who_is_gone_is_not_heard_and_the_other_is() {
        let mut mix = mix();
        assert_eq!(mix.slots().collect::<Vec<_>>(), [1, 2]);
        mix.forget(1);
        assert_eq!(mix.slots().collect::<Vec<_>>(), [2]);
        talk(&mut mix, ONE, 0, 1_000);
        talk(&mut mix, OTHER, 0, 2_000);
        level(&mut mix);
        assert_eq!(level(&mut mix), exact(2_000));
    }

    #[test]
    fn packets_of_any_plausible_length_fit() {
        for length in [8, 80, 240, 1_600] {
            let mut mix = mix();
            let mut heard = 0;
            let mut sent = 0_u32;
            for frame in 1..=100_u32 {
                while sent < frame * FRAME as u32 {
                    mix.take(ONE, sent, &vec![linear_to_mu(1_000); length], Codec::Pcmu);
                    sent += length as u32;
                }
                let mut octets = [0; FRAME];
                mix.fill(Codec::Pcmu, &mut octets);
                heard += octets.iter().filter(|&&octet| octet == linear_to_mu(1_000)).count();
            }
            assert!(heard >= 99 * FRAME, "{length}: {heard}");
        }
    }
}
