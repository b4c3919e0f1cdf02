//! The RTCP session of one leg (RFC 3550 section 6): when it reports, what it says, and what it learns.
//!
//! There are two members, us and the peer, and G.711 leaves room for far more RTCP than two reports in five seconds:
//! of the timing rules (section 6.3) the minimum interval, its randomisation and its reconsideration are what is left.
//! Times are microseconds of the worker's monotonic clock.

use crate::counters::Counters;
use crate::reception::Reception;
use crate::rtcp::{CNAME_LENGTH, Compound, Received, Sender};
use std::time::{SystemTime, UNIX_EPOCH};

/// The minimum interval between two reports of a member, on average (section 6.2).
const INTERVAL: u64 = 5_000_000;
/// Divides an interval because reconsideration makes it longer on average: e - 3/2 (section 6.3.1), in millionths.
const COMPENSATION: u64 = 1_218_282;
/// A round trip longer than this is a mistake of somebody's clock, in units of 1/65536 s.
const LONGEST_ROUND_TRIP: i32 = 10 << 16;
/// A peer that rounds its delay up may have answered a moment before we asked, in units of 1/65536 s.
const ROUNDING: i32 = 132;

/// Wall clock time as RTCP writes it: from the monotonic clock, so that setting the machine's clock makes no round
/// trip longer.
#[derive(Debug, Clone, Copy)]
pub struct NtpClock {
    /// NTP time at microsecond 0.
    start: u64,
}

impl NtpClock {
    /// A clock whose microsecond 0 is now.
    pub fn starting_now() -> Self {
        // Seconds from 1900, when NTP begins, to 1970.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since_1970.as_secs().wrapping_add(2_208_988_800);
        let fraction = u64::from(since_1970.subsec_micros()) * (1 << 32) / 1_000_000;
        NtpClock { start: (seconds << 32) + fraction }
    }

    /// The NTP timestamp of a time.
    pub fn at(&self, now: u64) -> u64 {
        let fraction = (now % 1_000_000) * (1 << 32) / 1_000_000;
        self.start.wrapping_add((now / 1_000_000) << 32).wrapping_add(fraction)
    }
}

/// The last sender report of the peer.
#[derive(Debug, Clone, Copy)]
struct Heard {
    ssrc: u32,
    middle: u32,
    at: u64,
}

/// The reports of one leg.
#[derive(Debug)]
pub struct Reporter {
    ssrc: u32,
    name: [u8; CNAME_LENGTH],
    random: u64,
    /// When the next report is due; `None` before that has begun.
    due: Option<u64>,
    reported: bool,
    /// Packets we had sent by each of the last two reports: a sender is who sent since the older (section 6.4).
    sent_by: [u64; 2],
    /// Packets and octets that were sent before this stream began.
    before: (u64, u64),
    heard: Option<Heard>,
    /// Sum in microseconds and number.
    round_trips: (u64, u64),
}

impl Reporter {
    /// The reporter of the stream with this SSRC. `random` becomes the CNAME, of this leg alone (RFC 7022), and seeds
    /// the intervals.
    pub fn new(ssrc: u32, random: &[u8; 20]) -> Self {
        let (name, seed) = random.split_at(12);
        let seed = seed.iter().fold(0, |seed, &octet| seed << 8 | u64::from(octet));
        Reporter {
            ssrc,
            name: base64(name),
            random: seed | 1,
            due: None,
            reported: false,
            sent_by: [0; 2],
            before: (0, 0),
            heard: None,
            round_trips: (0, 0),
        }
    }

    /// The stream begins anew under another SSRC.
    pub fn begin_anew(&mut self, ssrc: u32, counters: &Counters) {
        self.ssrc = ssrc;
        self.before = (counters.packets_out.get(), counters.octets_out.get());
        self.sent_by = [self.before.0; 2];
    }

    /// Reports from now on, unless that has begun. The first comes after half an interval (6.3.1).
    pub fn begin(&mut self, now: u64) {
        if self.due.is_none() {
            self.due = Some(now + self.interval(INTERVAL / 2));
        }
    }

    /// When to report next, once that has begun.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Puts off what is due at `now` for an interval; false when nothing is.
    pub fn take_turn(&mut self, now: u64) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = Some(now + self.interval(INTERVAL));
        }
        due
    }

    /// True when there is somebody to say goodbye to (section 6.3.7).
    pub fn has_spoken(&self, counters: &Counters) -> bool {
        self.reported || counters.packets_out.get() > 0
    }

    /// A report of now. `timestamp` is where the stream we send is now, `None` when nothing was ever sent.
    pub fn report(
        &mut self,
        timestamp: Option<u32>,
        reception: &mut Reception,
        counters: &Counters,
        now: u64,
        clock: NtpClock,
    ) -> Compound {
        let sent = counters.packets_out.get();
        let sends = sent > self.sent_by[0];
        self.sent_by = [self.sent_by[1], sent];
        self.reported = true;
        // The counts are 32 bits on the wire and wrap.
        let sender = timestamp.filter(|_| sends).map(|timestamp| Sender {
            ntp: clock.at(now),
            timestamp,
            packets: (sent - self.before.0) as u32,
            octets: (counters.octets_out.get() - self.before.1) as u32,
        });
        let mut block = reception.report();
        if let Some(block) = &mut block
            && let Some(heard) = self.heard.filter(|heard| heard.ssrc == block.ssrc)
        {
            block.last_report = heard.middle;
            block.delay = u32::try_from((now - heard.at) * 65_536 / 1_000_000).unwrap_or(u32::MAX);
        }
        Compound::new(self.ssrc, sender, block, &self.name)
    }

    /// Learns from a report of the peer.
    pub fn hear(&mut self, received: &Received, counters: &Counters, now: u64, clock: NtpClock) {
        if let Some((ssrc, middle)) = received.sender {
            self.heard = Some(Heard { ssrc, middle, at: now });
        }
        let Some(block) = received.block else {
            return;
        };
        counters.remote_reports.bump();
        counters.remote_lost.set(u64::try_from(block.lost).unwrap_or(0));
        counters.remote_jitter.set(u64::from(block.jitter));
        if block.last_report != 0 {
            let middle = (clock.at(now) >> 16) as u32;
            let took = middle.wrapping_sub(block.last_report).wrapping_sub(block.delay) as i32;
            if (-ROUNDING..=LONGEST_ROUND_TRIP).contains(&took) {
                let (sum, number) = &mut self.round_trips;
                *sum += took.max(0) as u64 * 1_000_000 / 65_536;
                *number += 1;
                counters.round_trip.set(*sum / *number);
                counters.round_trips.set(*number);
            }
        }
    }

    /// The time until a report. When it is over another is drawn, and it lasts until that one is over if it is longer
    /// (section 6.3.6). What it depends on does not change meanwhile with two members, so all are drawn now.
    fn interval(&mut self, average: u64) -> u64 {
        let mut interval = self.draw(average);
        loop {
            let another = self.draw(average);
            if another <= interval {
                return interval;
            }
            interval = another;
        }
    }

    /// Between half and one and a half times `average`, with the compensation of section 6.3.1.
    fn draw(&mut self, average: u64) -> u64 {
        // Xorshift: nothing here needs to be unpredictable, only different from leg to leg.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        average * (500_000 + self.random % 1_000_001) / COMPENSATION
    }
}

fn base64(random: &[u8]) -> [u8; CNAME_LENGTH] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'A'; CNAME_LENGTH];
    for (triple, quad) in random.chunks_exact(3).zip(text.chunks_exact_mut(4)) {
        let bits = triple.iter().fold(0, |bits, &octet| bits << 8 | usize::from(octet));
        for (place, digit) in quad.iter_mut().rev().enumerate() {
            *digit = DIGITS[bits >> (6 * place) & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{self, Block};

    const CLOCK: NtpClock = NtpClock { start: 0x1000_0000_0000_0000 };

    fn reporter() -> Reporter {
        Reporter::new(7, &[3; 20])
    }

    fn about_us(compound: &Compound) -> Received {
        rtcp::read(compound.octets(), 7).unwrap()
    }

    #[test]
    fn the_first_report_comes_early_and_the_others_five_seconds_apart_on_average() {
        let mut reporter = reporter();
        assert!(reporter.due().is_none() && !reporter.take_turn(0));
        reporter.begin(0);
        let first = reporter.due().unwrap();
        assert!((1_026_000..=3_079_000).contains(&first), "{first}");
        reporter.begin(77);
        assert_eq!(reporter.due(), Some(first), "begun already");
        assert!(!reporter.take_turn(first - 1));
        let mut now = first;
        let mut next = || {
            assert!(reporter.take_turn(now));
            let before = std::mem::replace(&mut now, reporter.due().unwrap());
            now - before
        };
        let intervals: Vec<_> = (0..2_000).map(|_| next()).collect();
        assert!(intervals.iter().all(|each| (2_052_000..=6_157_000).contains(each)));
        let average = intervals.iter().sum::<u64>() / 2_000;
        assert!((4_900_000..=5_100_000).contains(&average), "{average}");
    }

    #[test]
    fn who_sent_since_the_report_before_the_last_is_a_sender() {
        let (mut reporter, counters) = (reporter(), Counters::default());
        let mut reception = Reception::default();
        let mut report =
            |counters: &Counters| reporter.report(Some(99), &mut reception, counters, 0, CLOCK).octets()[1];
        assert_eq!(report(&counters), 201, "nothing sent");
        counters.packets_out.bump();
        assert_eq!([report(&counters), report(&counters), report(&counters)], [200, 200, 201]);
    }

    #[test]
    fn a_round_trip_is_what_neither_side_waited() {
        let (mut near, counters) = (reporter(), Counters::default());
        let mut far_reception = Reception::default();
        far_reception.packet(7, 1, 0);
        let mut far = Reporter::new(8, &[4; 20]);
        counters.packets_out.bump();
        let asked = near.report(Some(0), &mut Reception::default(), &counters, 1_000_000, CLOCK);
        // 30 ms to get there, 2 s until the far end reports, 30 ms back. Its clock is another.
        let far_clock = NtpClock { start: 77 << 40 };
        let heard = rtcp::read(asked.octets(), 8).unwrap();
        far.hear(&heard, &Counters::default(), 1_030_000, far_clock);
        let answer = far.report(None, &mut far_reception, &Counters::default(), 3_030_000, far_clock);
        near.hear(&about_us(&answer), &counters, 3_060_000, CLOCK);
        assert_eq!(counters.round_trips.get(), 1);
        assert!(counters.round_trip.get().abs_diff(60_000) < 50, "{}", counters.round_trip.get());
    }

    #[test]
    fn impossible_round_trips_do_not_count_and_small_ones_are_none() {
        let (mut reporter, counters) = (reporter(), Counters::default());
        let now = (CLOCK.at(20_000_000) >> 16) as u32;
        for (last_report, delay) in [(0, 0), (now, 66_000), (now - (11 << 16), 0)] {
            let block = Block { ssrc: 7, last_report, delay, ..Block::default() };
            reporter.hear(&Received { sender: None, block: Some(block) }, &counters, 20_000_000, CLOCK);
        }
        assert_eq!((counters.remote_reports.get(), counters.round_trips.get()), (3, 0));
        let block = Block { ssrc: 7, last_report: now, delay: 60, ..Block::default() };
        reporter.hear(&Received { sender: None, block: Some(block) }, &counters, 20_000_000, CLOCK);
        assert_eq!((counters.round_trips.get(), counters.round_trip.get()), (1, 0));
    }

    #[test]
    fn a_report_of_another_sender_is_not_taken_for_the_streams() {
        let (mut reporter, counters) = (reporter(), Counters::default());
        let mut reception = Reception::default();
        reception.packet(5, 1, 0);
        reporter.hear(&Received { sender: Some((6, 1234)), block: None }, &counters, 0, CLOCK);
        let compound = reporter.report(None, &mut reception, &counters, 1, CLOCK);
        assert_eq!(rtcp::read(compound.octets(), 5).unwrap().block.unwrap().last_report, 0);
    }

    #[test]
    fn names_are_base64_of_twelve_octets() {
        assert_eq!(&base64(&[0; 12]), b"AAAAAAAAAAAAAAAA");
        assert_eq!(&base64(b"hello, world"), b"aGVsbG8sIHdvcmxk");
    }

    #[test]
    fn the_clock_runs_in_ntp_units() {
        assert_eq!(CLOCK.at(1_500_000), 0x1000_0001_8000_0000);
        let now = NtpClock::starting_now().at(0) >> 32;
        assert!(now > 3_900_000_000, "after 2023");
    }
}
