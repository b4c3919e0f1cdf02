//! What a receiver knows of a stream (RFC 3550 appendix A): order, loss and jitter.
//!
//! A peer's packets are read as a row of streams: a new SSRC, or a sequence number far from the last that is
//! confirmed by its successor, begins the next one. Times are microseconds of one monotonic clock.

use crate::rtcp::Block;

/// A jump ahead of this or more is not loss (RFC 3550 A.1).
const MAX_DROPOUT: i32 = 3000;
/// Reordering we can tell from duplication: the width of the window.
const WINDOW: i32 = 64;
/// How long packets of the stream before may still trail in, in microseconds.
const TRAILING: u64 = 500_000;

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first packet of a stream. `extended` counts on from its own sequence number.
    Begins {
        /// Sequence number extended by the cycles.
        extended: i64,
    },
    /// The newest packet so far.
    Newest {
        /// Sequence number extended by the cycles.
        extended: i64,
    },
    /// Overtaken by newer ones, not seen before.
    Late {
        /// Sequence number extended by the cycles.
        extended: i64,
    },
    /// Seen before.
    Duplicate,
    /// Too late to tell, of the stream before, or a jump nobody has confirmed yet.
    Useless,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    first: i64,
    newest: i64,
    received: u64,
    /// Bit n is set when `newest - n` was received.
    window: u64,
    /// The sequence number that would confirm a restart.
    suspect: Option<u16>,
    /// Expected and received by the last report.
    reported: (u64, u64),
}

impl Stream {
    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    fn expected(&self) -> u64 {
        (self.newest - self.first + 1) as u64
    }
}

/// The receiving side of one leg.
#[derive(Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    /// Counts streams; two packets with the same value share their sequence and timestamp space.
    pub epoch: u32,
    previous: Option<(u32, u64)>,
    lost_before: u64,
    transit: Option<u32>,
    jitter_16: u32,
    /// A jump of the sequence is no loss: the peer was told not to send.
    resumed: bool,
}

impl Reception {
    /// The peer may send again. What lies between is not lost, whatever its numbers say: a relay that stopped passing
    /// packets on goes on with the numbers of their source (Asterisk's native bridge does).
    pub fn resume(&mut self) {
        self.resumed = true;
    }

    /// Places a packet and counts it.
    pub fn packet(&mut self, ssrc: u32, sequence: u16, now: u64) -> Arrival {
        let Some(stream) = self.stream.as_mut() else {
            return self.begin(ssrc, sequence);
        };
        if stream.ssrc != ssrc {
            if self.previous.is_some_and(|(old, until)| old == ssrc && now < until) {
                return Arrival::Useless;
            }
            self.previous = Some((stream.ssrc, now + TRAILING));
            return self.begin(ssrc, sequence);
        }
        let ahead = i32::from(sequence.wrapping_sub(stream.newest as u16) as i16);
        match ahead {
            2..MAX_DROPOUT if self.resumed => self.begin(ssrc, sequence),
            1..MAX_DROPOUT => {
                self.resumed = false;
                stream.newest += i64::from(ahead);
                stream.window = stream.window.checked_shl(ahead as u32).unwrap_or(0) | 1;
                stream.received += 1;
                stream.suspect = None;
                Arrival::Newest { extended: stream.newest }
            }
            _ if -WINDOW < ahead && ahead <= 0 => {
                let bit = 1 << -ahead;
                if stream.window & bit != 0 {
                    return Arrival::Duplicate;
                }
                stream.window |= bit;
                stream.received += 1;
                let extended = stream.newest + i64::from(ahead);
                stream.first = stream.first.min(extended);
                Arrival::Late { extended }
            }
            _ if stream.suspect == Some(sequence) => self.begin(ssrc, sequence),
            _ => {
                stream.suspect = Some(sequence.wrapping_add(1));
                Arrival::Useless
            }
        }
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        self.lost_before = self.lost();
        let extended = i64::from(sequence);
        self.stream = Some(Stream {
            ssrc,
            first: extended,
            newest: extended,
            received: 1,
            window: 1,
            suspect: None,
            reported: (0, 0),
        });
        self.epoch = self.epoch.wrapping_add(1);
        self.resumed = false;
        self.transit = None;
        Arrival::Begins { extended }
    }

    /// Takes the timing of an audio packet (RFC 3550 A.8). Events repeat their timestamp and do not belong here.
    /// `per_ms` are the ticks of its clock in a millisecond.
    pub fn timing(&mut self, timestamp: u32, now: u64, per_ms: u32) {
        let transit = ((now * u64::from(per_ms) / 1_000) as u32).wrapping_sub(timestamp);
        if let Some(previous) = self.transit.replace(transit) {
            // A minute of difference is a source that changed its clock, not jitter.
            let difference = (transit.wrapping_sub(previous) as i32).unsigned_abs().min(480_000);
            self.jitter_16 = (self.jitter_16 + difference).saturating_sub((self.jitter_16 + 8) >> 4);
        }
    }

    /// What we tell the sender of the stream about it (RFC 3550 A.3); `None` when nothing came since the last report.
    pub fn report(&mut self) -> Option<Block> {
        let jitter = self.jitter_16 >> 4;
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let before = std::mem::replace(&mut stream.reported, (expected, stream.received));
        let (expected_now, received_now) = (expected - before.0, stream.received - before.1);
        if received_now == 0 {
            return None;
        }
        // Latecomers of an interval that was reported already can outnumber its losses.
        let lost_now = expected_now.saturating_sub(received_now);
        Some(Block {
            ssrc: stream.ssrc,
            fraction: (lost_now * 256 / expected_now.max(1)).min(255) as u8,
            lost: i32::try_from(stream.lost()).unwrap_or(i32::MAX),
            highest: stream.newest as u32,
            jitter,
            last_report: 0,
            delay: 0,
        })
    }

    /// True when the packet's SSRC is that of the stream being received.
    pub fn is_current(&self, ssrc: u32) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ssrc == ssrc)
    }

    /// Packets expected and not received, over all streams.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.stream.as_ref().map_or(0, Stream::lost)
    }

    /// Interarrival jitter in timestamp ticks, times 16.
    pub fn jitter_16(&self) -> u32 {
        self.jitter_16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reception: &mut Reception, sequences: &[u16]) -> Vec<Arrival> {
        sequences.iter().map(|&sequence| reception.packet(1, sequence, 0)).collect()
    }

    #[test]
    fn order_loss_and_duplicates() {
        let mut reception = Reception::default();
        let arrivals = feed(&mut reception, &[10, 11, 14, 13, 13, 11]);
        assert_eq!(
            arrivals,
            [
                Arrival::Begins { extended: 10 },
                Arrival::Newest { extended: 11 },
                Arrival::Newest { extended: 14 },
                Arrival::Late { extended: 13 },
                Arrival::Duplicate,
                Arrival::Duplicate,
            ]
        );
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn the_sequence_number_wraps() {
        let mut reception = Reception::default();
        let arrivals = feed(&mut reception, &[65_535, 0, 65_534]);
        assert_eq!(arrivals[1], Arrival::Newest { extended: 65_536 });
        assert_eq!(arrivals[2], Arrival::Late { extended: 65_534 });
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn a_stray_number_changes_nothing_and_a_confirmed_one_begins_a_stream() {
        let mut reception = Reception::default();
        let arrivals = feed(&mut reception, &[10, 30_000, 11, 40_000, 40_001, 40_002]);
        assert_eq!(arrivals[1], Arrival::Useless);
        assert_eq!(arrivals[2], Arrival::Newest { extended: 11 });
        assert_eq!(arrivals[4], Arrival::Begins { extended: 40_001 });
        assert_eq!(arrivals[5], Arrival::Newest { extended: 40_002 });
        assert_eq!((reception.epoch, reception.lost()), (2, 0));
    }

    #[test]
    fn what_was_not_sent_on_hold_is_not_lost() {
        let mut reception = Reception::default();
        feed(&mut reception, &[10, 12]);
        reception.resume();
        let arrivals = feed(&mut reception, &[11, 42, 44]);
        assert_eq!(
            arrivals,
            [
                Arrival::Late { extended: 11 },
                Arrival::Begins { extended: 42 },
                Arrival::Newest { extended: 44 },
            ]
        );
        assert_eq!(reception.lost(), 1, "after it as before");
    }

    #[test]
    fn a_new_ssrc_begins_a_stream_and_the_old_one_trails_off() {
        let mut reception = Reception::default();
        reception.packet(1, 10, 0);
        reception.packet(1, 12, 0);
        assert_eq!(reception.packet(2, 500, 1_000), Arrival::Begins { extended: 500 });
        assert_eq!(reception.packet(1, 11, 2_000), Arrival::Useless);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.packet(1, 13, 600_000), Arrival::Begins { extended: 13 });
    }

    #[test]
    fn a_report_tells_the_loss_in_all_and_since_the_one_before() {
        let mut reception = Reception::default();
        assert_eq!(reception.report(), None);
        feed(&mut reception, &[65_534, 65_535, 1]);
        let block = reception.report().unwrap();
        assert_eq!((block.ssrc, block.lost, block.fraction, block.highest), (1, 1, 64, 65_537));
        assert_eq!(reception.report(), None, "nothing came since");
        feed(&mut reception, &[2, 3, 4, 5]);
        let block = reception.report().unwrap();
        assert_eq!((block.lost, block.fraction, block.highest), (1, 0, 65_541));
        feed(&mut reception, &[0]);
        let block = reception.report().unwrap();
        assert_eq!((block.lost, block.fraction), (0, 0), "a latecomer was no loss after all");
    }

    #[test]
    fn a_stream_that_begins_anew_is_reported_from_its_beginning() {
        let mut reception = Reception::default();
        feed(&mut reception, &[10, 12]);
        reception.report();
        reception.packet(2, 500, 0);
        let block = reception.report().unwrap();
        assert_eq!((block.ssrc, block.lost, block.highest), (2, 0, 500));
    }

    #[test]
    fn jitter_follows_the_formula_of_the_rfc() {
        let mut reception = Reception::default();
        // 20 ms apart on both clocks: no jitter. Then one packet 10 ms (80 ticks) late: 80/16 = 5 ticks.
        reception.timing(0, 1_000_000, 8);
        reception.timing(160, 1_020_000, 8);
        assert_eq!(reception.jitter_16(), 0);
        reception.timing(320, 1_050_000, 8);
        assert_eq!(reception.jitter_16(), 80);
    }
}
