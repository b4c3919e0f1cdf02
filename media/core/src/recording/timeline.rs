//! Both sides of a recording in one time: packets go where their timestamps say, and what is missing is silence.
//!
//! A stream's first packet goes where the clock is, the others by their timestamps from there on; a stream that strays
//! from the clock (drift, a pause without a timestamp for it, a burst) is put back. Positions are samples since the
//! recording began.

use super::Side;
use super::ring::Packet;
use crate::codec::Codec;
use crate::g711::{a_to_linear, mu_to_linear};
use std::io::{self, Write};

/// Samples that are kept before they are written; a power of two.
const WINDOW: usize = 16_384;
/// How far behind the clock is written: what comes later than that is not heard. Half a second.
pub const HORIZON: u64 = 4_000;
/// How far timestamps may be from the clock: 200 ms.
const SLACK: u64 = 1_600;

#[derive(Debug, Default, Clone, Copy)]
struct Line {
    epoch: Option<u32>,
    timestamp: u32,
    position: u64,
}

impl Line {
    /// Where a packet begins.
    fn place(&mut self, packet: Packet) -> u64 {
        let clock = u64::from(packet.arrival);
        let step = i64::from(packet.timestamp.wrapping_sub(self.timestamp) as i32);
        let said = self.position.saturating_add_signed(step);
        let known = self.epoch == Some(packet.epoch) && said.abs_diff(clock) <= SLACK;
        let position = if known { said } else { clock };
        if !known || step > 0 {
            *self = Line { epoch: Some(packet.epoch), timestamp: packet.timestamp, position };
        }
        position
    }
}

/// The samples of both sides that are not written yet.
#[derive(Debug)]
pub struct Timeline {
    /// By position; zero where nothing came.
    samples: Box<[[i16; 2]]>,
    /// Position of the first sample that is not written.
    written: u64,
    /// Position after the newest sample.
    newest: u64,
    lines: [Line; 2],
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { samples: vec![[0; 2]; WINDOW].into(), written: 0, newest: 0, lines: [Line::default(); 2] }
    }
}

impl Timeline {
    /// Writes all there is, and silence up to `end`: the last packet is heard after it came.
    pub fn finish(&mut self, end: u64, out: &mut impl Write) -> io::Result<()> {
        self.write(end.max(self.newest), out)
    }

    /// Puts a packet in its place, and writes what has to make room; false when its time is over.
    pub fn take(&mut self, packet: Packet, payload: &[u8], out: &mut impl Write) -> io::Result<bool> {
        let side = usize::from(packet.side == Side::Right);
        let position = self.lines[side].place(packet);
        let end = position + payload.len() as u64;
        if end > self.written + WINDOW as u64 {
            self.write(end.saturating_sub(HORIZON), out)?;
        }
        let before = usize::try_from(self.written.saturating_sub(position)).unwrap_or(usize::MAX);
        let Some(payload) = payload.get(before..).filter(|rest| !rest.is_empty()) else {
            return Ok(false);
        };
        let start = position.max(self.written);
        self.newest = self.newest.max(end);
        for (at, &octet) in (start..).zip(payload) {
            let linear = if packet.codec == Codec::Pcmu { mu_to_linear(octet) } else { a_to_linear(octet) };
            self.samples[at as usize % WINDOW][side] = linear;
        }
        Ok(true)
    }

    /// Writes everything before `until`, as 16-bit samples, left and right in turn.
    pub fn write(&mut self, until: u64, out: &mut impl Write) -> io::Result<()> {
        let mut octets = [0; 4 * 1_024];
        while self.written < until {
            let at = self.written as usize % WINDOW;
            let count = (until - self.written).min((WINDOW - at).min(1_024) as u64) as usize;
            let (frames, _) = octets.as_chunks_mut::<4>();
            for (frame, [left, right]) in frames.iter_mut().zip(&mut self.samples[at..at + count]) {
                let ([a, b], [c, d]) =
                    (std::mem::take(left).to_le_bytes(), std::mem::take(right).to_le_bytes());
                *frame = [a, b, c, d];
            }
            self.written += count as u64;
            out.write_all(&octets[..4 * count])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::linear_to_mu;

    fn packet(side: Side, timestamp: u32, arrival: u32) -> Packet {
        Packet { side, codec: Codec::Pcmu, epoch: 1, timestamp, arrival }
    }

    /// Left and right at some positions, after writing up to `until`.
    fn heard(timeline: &mut Timeline, until: u64, positions: &[usize]) -> Vec<[i16; 2]> {
        let mut octets = Vec::new();
        timeline.write(until, &mut octets).unwrap();
        let samples: Vec<i16> =
            octets.as_chunks::<2>().0.iter().map(|&octets| i16::from_le_bytes(octets)).collect();
        let frames = samples.as_chunks::<2>().0;
        assert_eq!(frames.len(), until as usize);
        positions.iter().map(|&position| frames[position]).collect()
    }

    fn exact(level: i16) -> i16 {
        mu_to_linear(linear_to_mu(level))
    }

    fn talk(timeline: &mut Timeline, packet: Packet, level: i16) -> bool {
        timeline.take(packet, &[linear_to_mu(level); 160], &mut io::sink()).unwrap()
    }

    #[test]
    fn each_side_is_where_it_came_and_what_did_not_come_is_silence() {
        let mut timeline = Timeline::default();
        talk(&mut timeline, packet(Side::Left, u32::MAX - 159, 100), 1_000);
        talk(&mut timeline, packet(Side::Right, 77, 180), 3_000);
        // Late by 50 ms on a network, and in time by its timestamp; the one between is lost.
        talk(&mut timeline, packet(Side::Left, 160, 820), 2_000);
        let at = heard(&mut timeline, 800, &[99, 100, 180, 259, 260, 339, 419, 420, 579, 580]);
        let (one, two, three) = (exact(1_000), exact(2_000), exact(3_000));
        let expected = [
            [0, 0],
            [one, 0],
            [one, three],
            [one, three],
            [0, three],
            [0, three],
            [0, 0],
            [two, 0],
            [two, 0],
            [0, 0],
        ];
        assert_eq!(at, expected);
    }

    #[test]
    fn packets_in_any_order_are_heard_in_theirs() {
        let mut timeline = Timeline::default();
        for (timestamp, level) in [(160, 1_000), (480, 3_000), (320, 2_000)] {
            talk(&mut timeline, packet(Side::Left, timestamp, 500), level);
        }
        let at =
            heard(&mut timeline, 1_000, &[500, 660, 820]).iter().map(|frame| frame[0]).collect::<Vec<_>>();
        assert_eq!(at, [1_000, 2_000, 3_000].map(exact));
    }

    #[test]
    fn a_stream_that_strays_from_the_clock_and_a_new_one_go_where_the_clock_is() {
        let mut timeline = Timeline::default();
        talk(&mut timeline, packet(Side::Left, 0, 0), 1_000);
        talk(&mut timeline, packet(Side::Left, 160, 2_000), 2_000);
        talk(&mut timeline, Packet { epoch: 2, ..packet(Side::Left, 320, 2_500) }, 3_000);
        talk(&mut timeline, Packet { epoch: 2, ..packet(Side::Left, 480, 2_600) }, 4_000);
        let at = heard(&mut timeline, 3_000, &[0, 160, 2_000, 2_500, 2_660])
            .iter()
            .map(|frame| frame[0])
            .collect::<Vec<_>>();
        assert_eq!(at, [exact(1_000), 0, exact(2_000), exact(3_000), exact(4_000)]);
    }

    #[test]
    fn what_comes_after_its_time_was_written_is_left_out() {
        let mut timeline = Timeline::default();
        talk(&mut timeline, packet(Side::Left, 0, 0), 1_000);
        timeline.write(1_000, &mut io::sink()).unwrap();
        assert!(!talk(&mut timeline, packet(Side::Left, 160, 170), 2_000));
        assert!(talk(&mut timeline, packet(Side::Left, 960, 990), 2_000), "half of it is in time");
        assert_eq!(timeline.written, 1_000);
        let mut rest = Vec::new();
        timeline.finish(1_010, &mut rest).unwrap();
        assert_eq!(rest.len(), 4 * 120, "to the end of the last packet");
    }

    #[test]
    fn a_long_stall_is_written_piece_by_piece() {
        let mut timeline = Timeline::default();
        let mut octets = Vec::new();
        for number in 0..1_000_u32 {
            let packet = packet(Side::Left, number * 160, number * 160);
            assert!(timeline.take(packet, &[linear_to_mu(1_000); 160], &mut octets).unwrap());
        }
        timeline.write(160_000, &mut octets).unwrap();
        assert_eq!(octets.len(), 4 * 160_000);
        assert!(octets.as_chunks::<4>().0.iter().all(|frame| frame[..2] == exact(1_000).to_le_bytes()));
    }

    #[test]
    fn a_writer_that_fails_is_told_of() {
        let mut timeline = Timeline::default();
        let mut full = [0_u8; 100];
        assert!(timeline.write(1_000, &mut &mut full[..]).is_err());
    }
}
