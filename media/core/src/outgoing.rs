//! The one RTP stream a leg sends for its whole life, whoever is heard on it.
//!
//! Inside one source stream sequence numbers and timestamps are the source's plus an offset, so that loss,
//! reordering and silence stay visible to the listener. At a switch the sequence continues at the next number and
//! the timestamp at what the clock says, never before the end of what was sent; the marker bit tells the listener's
//! jitter buffer. What we leave out on purpose (an event the listener cannot take) closes up.
//! Times are microseconds of one monotonic clock; ticks are those of the stream's own, 8 a millisecond unless it is
//! told otherwise.

mod offsets;

use offsets::Offsets;

/// Milliseconds a packet usually covers: a packet is sent one frame after the audio in it began.
const FRAME: i64 = 20;
/// A source whose timestamp runs ahead of the clock by more milliseconds than this has changed its clock.
const LEAP: i64 = 2_000;
/// Milliseconds that audio may still reach into an event that is over: some send it beside their events, a frame or two
/// late.
const BESIDE: i64 = 40;
/// The most we pay back after switches that came faster than frames, in milliseconds.
const MAX_DEBT: i64 = 200;

/// Names a source stream: whose packets they are and which of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Id of the leg, or of another source.
    pub id: u64,
    /// Counts the streams of that source.
    pub epoch: u32,
}

/// What decides where a packet goes in the outgoing stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Extended sequence number in the source stream.
    pub extended: i64,
    /// Timestamp in the source stream.
    pub timestamp: u32,
    /// Ticks the payload covers; the duration so far for an event.
    pub ticks: u32,
    /// Audio carries its time; events repeat the timestamp of their start.
    pub audio: bool,
    /// Says that an event is over.
    pub ends: bool,
    /// Newest of its stream, not overtaken.
    pub newest: bool,
    /// The source's marker bit.
    pub marker: bool,
}

/// The header fields to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// The same, extended by how often it went round: what SRTP calls the index.
    pub index: u64,
    /// Timestamp.
    pub timestamp: u32,
}

#[derive(Debug)]
struct Mapping {
    source: Source,
    sequence: Offsets,
    timestamp_offset: u32,
    /// Timestamp and time of the newest audio packet.
    last: Option<(u32, u64)>,
    /// Where the newest event that is over ended, until audio has passed it.
    event_end: Option<u32>,
}

/// State of the outgoing stream of one leg.
#[derive(Debug)]
pub struct Outgoing {
    ssrc: u32,
    /// Next sequence number, extended.
    next: i64,
    /// End of the newest audio or event sent, and when it was sent. None before the first packet.
    position: Option<(u32, u64)>,
    first_timestamp: u32,
    debt: i64,
    mapping: Option<Mapping>,
    /// Ticks in a millisecond.
    per_ms: i64,
}

impl Outgoing {
    /// A stream with the given SSRC, first sequence number and first timestamp; all should be random
    /// (RFC 3550 section 5.1). The sequence starts below 2^15 so that SRTP cannot wrap early (RFC 3711 3.3.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Outgoing {
            ssrc,
            next: i64::from(sequence & 0x7fff),
            position: None,
            first_timestamp: timestamp,
            debt: 0,
            mapping: None,
            per_ms: 8,
        }
    }

    /// The stream has another clock from now on, with so many ticks in a millisecond (RFC 7160): the next packet counts
    /// as a switch.
    pub fn set_clock(&mut self, per_ms: u32) {
        if self.per_ms != i64::from(per_ms) {
            self.per_ms = per_ms.into();
            self.interrupt();
        }
    }

    /// Ticks since a time.
    fn elapsed(&self, since: u64, now: u64) -> i64 {
        let micros = i64::try_from(now.saturating_sub(since)).unwrap_or(i64::MAX);
        micros.saturating_mul(self.per_ms) / 1_000
    }

    /// Begins a new stream where the one before is in time: another SSRC, a sequence of its own. For a new SRTP key of ours,
    /// whose packets must not look like those under the old one. The listener is told by the marker bit.
    pub fn begin_anew(&mut self, ssrc: u32, sequence: u16) {
        self.ssrc = ssrc;
        self.next = i64::from(sequence & 0x7fff);
        self.interrupt();
    }

    /// The SSRC, the same for the leg's whole life unless its key changes.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// True while packets of that source continue what was sent last.
    pub fn follows(&self, source: Source) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.source == source)
    }

    /// Where the stream is now, in its own ticks; `None` before the first packet.
    pub fn timestamp_at(&self, now: u64) -> Option<u32> {
        // The end of a packet is when it was sent: it cannot leave before it is full.
        self.position.map(|(end, sent)| end.wrapping_add(self.elapsed(sent, now) as u32))
    }

    /// When the newest packet was sent; None before the first.
    pub fn last_sent(&self) -> Option<u64> {
        self.position.map(|(_, sent)| sent)
    }

    /// Gives a source's packet its place, or `None` when it comes too late to have one.
    pub fn place(&mut self, source: Source, packet: Packet, now: u64) -> Option<Sent> {
        let goes_on = |known: &Mapping| known.source == source && !self.leaps(known, packet, now);
        let known = if self.mapping.as_ref().is_some_and(goes_on) { self.mapping.take() } else { None };
        let (mut mapping, switched) = match known {
            Some(mapping) => (mapping, false),
            // A switch begins with the newest packet: what was overtaken before it belongs to the past.
            None if !packet.newest => return None,
            None => (self.switch(source, packet, now), true),
        };
        let extended = mapping.sequence.of(packet.extended);
        let timestamp = packet.timestamp.wrapping_add(mapping.timestamp_offset);
        if packet.newest && packet.audio {
            mapping.last = Some((packet.timestamp, now));
            mapping.event_end = None;
        } else if packet.ends {
            mapping.event_end = Some(packet.timestamp.wrapping_add(packet.ticks));
        }
        self.mapping = Some(mapping);
        let extended = extended?;
        self.next = self.next.max(extended + 1);
        self.advance(timestamp.wrapping_add(packet.ticks), now);
        Some(Sent {
            marker: packet.marker || switched,
            sequence: extended as u16,
            index: extended as u64,
            timestamp,
        })
    }

    /// Closes the gap that a packet left out on purpose would leave. Only the newest packet can be closed up.
    pub fn leave_out(&mut self, source: Source, extended: i64) {
        let Some(mapping) = self.mapping.as_mut().filter(|mapping| mapping.source == source) else {
            return;
        };
        mapping.sequence.leave_out(extended, self.next);
    }

    /// The next packet counts as a switch: sending stopped, or the source changed and may come back.
    pub fn interrupt(&mut self) {
        self.mapping = None;
    }

    fn switch(&mut self, source: Source, packet: Packet, now: u64) -> Mapping {
        let start = match self.position {
            None => self.first_timestamp,
            Some((end, sent)) => {
                let due = self.elapsed(sent, now) - FRAME * self.per_ms - self.debt;
                self.debt = (-due).clamp(0, MAX_DEBT * self.per_ms);
                end.wrapping_add(due.max(0) as u32)
            }
        };
        Mapping {
            source,
            sequence: Offsets::new(packet.extended, self.next),
            timestamp_offset: start.wrapping_sub(packet.timestamp),
            last: None,
            event_end: None,
        }
    }

    /// True when the source's clock jumped, or stood still during an event: the listener must not see it.
    fn leaps(&self, mapping: &Mapping, packet: Packet, now: u64) -> bool {
        if let Some(end) = mapping.event_end.filter(|_| packet.audio && packet.newest)
            && i64::from(packet.timestamp.wrapping_sub(end) as i32) < -BESIDE * self.per_ms
        {
            return true;
        }
        let Some((timestamp, at)) = mapping.last.filter(|_| packet.audio && packet.newest) else {
            return false;
        };
        let step = i64::from(packet.timestamp.wrapping_sub(timestamp) as i32);
        step < 0 || step > self.elapsed(at, now).saturating_add(LEAP * self.per_ms)
    }

    fn advance(&mut self, end: u32, now: u64) {
        match self.position {
            Some((known, _)) if (end.wrapping_sub(known) as i32) < 0 => {}
            _ => self.position = Some((end, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Source = Source { id: 1, epoch: 1 };
    const B: Source = Source { id: 2, epoch: 1 };

    fn audio(extended: i64, timestamp: u32) -> Packet {
        Packet { extended, timestamp, ticks: 160, audio: true, ends: false, newest: true, marker: false }
    }

    fn stream() -> Outgoing {
        Outgoing::new(7, 100, 5_000)
    }

    fn place(out: &mut Outgoing, source: Source, packet: Packet, ms: u64) -> (u16, u32, bool) {
        let sent = out.place(source, packet, ms * 1_000).unwrap();
        (sent.sequence, sent.timestamp, sent.marker)
    }

    #[test]
    fn loss_and_reordering_of_the_source_stay_visible() {
        let mut out = stream();
        assert_eq!(place(&mut out, A, audio(40, 0), 0), (100, 5_000, true));
        assert_eq!(place(&mut out, A, audio(43, 480), 60), (103, 5_480, false));
        let late = Packet { newest: false, ..audio(42, 320) };
        assert_eq!(place(&mut out, A, late, 61), (102, 5_320, false));
        assert_eq!(place(&mut out, A, audio(44, 640), 80), (104, 5_640, false));
    }

    #[test]
    fn a_switch_continues_the_sequence_and_follows_the_clock() {
        let mut out = stream();
        place(&mut out, A, audio(40, 0), 0);
        assert_eq!(place(&mut out, B, audio(9_000, 77), 1_000), (101, 5_000 + 8_000, true));
        assert_eq!(place(&mut out, B, audio(9_001, 77 + 160), 1_020), (102, 5_000 + 8_160, false));
        assert_eq!(place(&mut out, A, audio(91, 8_320), 1_040), (103, 5_000 + 8_320, true));
    }

    #[test]
    fn quick_switches_never_overlap_and_pay_their_lead_back() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        assert_eq!(
            place(&mut out, B, audio(1, 0), 5),
            (101, 5_160, true),
            "15 ms early: after the last frame"
        );
        assert_eq!(place(&mut out, A, audio(9, 0), 105), (102, 5_000 + 105 * 8, true), "back on the clock");
    }

    #[test]
    fn latecomers_from_before_a_switch_have_no_place() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        place(&mut out, B, audio(500, 0), 20);
        let late = Packet { newest: false, ..audio(499, 0) };
        assert_eq!(out.place(B, late, 21_000), None);
        assert_eq!(out.place(A, late, 22_000), None, "nor does one begin a switch");
        assert_eq!(place(&mut out, B, audio(501, 160), 40), (102, 5_320, false));
    }

    #[test]
    fn what_is_left_out_closes_up() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        out.leave_out(A, 3);
        assert_eq!(
            place(&mut out, A, audio(4, 480), 60),
            (102, 5_480, false),
            "1 _ (3) 4: only 2 is missing"
        );
        let late = Packet { newest: false, ..audio(2, 160) };
        assert_eq!(place(&mut out, A, late, 61), (101, 5_160, false));
        out.leave_out(A, 2);
        assert_eq!(place(&mut out, A, audio(5, 640), 80), (103, 5_640, false), "a late one changes nothing");
        out.leave_out(B, 6);
        assert_eq!(place(&mut out, A, audio(6, 800), 100), (104, 5_800, false), "nor does another source");
    }

    #[test]
    fn a_whole_event_left_out_leaves_no_gap() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        (2..9).for_each(|extended| out.leave_out(A, extended));
        assert_eq!(place(&mut out, A, audio(9, 1_280), 160), (101, 6_280, false));
        let late = Packet { newest: false, ..audio(3, 0) };
        assert_eq!(out.place(A, late, 161_000), None);
    }

    #[test]
    fn a_source_that_changes_its_clock_is_taken_as_a_switch() {
        let mut out = stream();
        place(&mut out, A, audio(1, 1_000_000), 0);
        assert_eq!(place(&mut out, A, audio(2, 500), 20), (101, 5_160, true), "backwards");
        assert_eq!(place(&mut out, A, audio(3, 900_000), 40), (102, 5_320, true), "far ahead");
        assert_eq!(place(&mut out, A, audio(4, 908_000), 1_040), (103, 13_320, false), "silence is no jump");
    }

    #[test]
    fn an_event_keeps_one_timestamp_and_audio_goes_on_after_it() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        let event = Packet { audio: false, ..audio(2, 160) };
        assert_eq!(place(&mut out, A, Packet { marker: true, ..event }, 40).1, 5_160);
        let end = Packet { extended: 3, ticks: 800, ..event };
        assert_eq!(place(&mut out, A, end, 140), (102, 5_160, false));
        assert_eq!(place(&mut out, B, audio(7, 0), 145), (103, 5_960, true), "not inside the event");
    }

    #[test]
    fn audio_of_a_source_whose_clock_stood_still_during_an_event_goes_on_after_it() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        let end = Packet { ticks: 800, audio: false, ends: true, ..audio(2, 160) };
        place(&mut out, A, end, 120);
        assert_eq!(place(&mut out, A, audio(3, 160), 140), (102, 5_960, true));
        assert_eq!(place(&mut out, A, audio(4, 320), 160), (103, 6_120, false));
    }

    #[test]
    fn audio_beside_an_event_keeps_its_place() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        let event = Packet { ticks: 800, audio: false, ..audio(2, 160) };
        place(&mut out, A, event, 100);
        assert_eq!(place(&mut out, A, audio(3, 640), 100), (102, 5_640, false));
        place(&mut out, A, Packet { ends: true, ..Packet { extended: 4, ..event } }, 120);
        assert_eq!(place(&mut out, A, audio(5, 800), 120), (104, 5_800, false));
    }

    #[test]
    fn the_stream_has_a_time_between_its_packets() {
        let mut out = stream();
        assert_eq!(out.timestamp_at(0), None);
        place(&mut out, A, audio(1, 0), 100);
        assert_eq!(out.timestamp_at(110_000), Some(5_160 + 80));
    }

    #[test]
    fn an_interruption_ends_in_a_switch() {
        let mut out = stream();
        place(&mut out, A, audio(1, 0), 0);
        out.interrupt();
        assert_eq!(place(&mut out, A, audio(51, 8_000), 1_000), (101, 13_000, true));
    }
}
