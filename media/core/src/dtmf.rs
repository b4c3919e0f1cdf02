//! Telephone-events (RFC 4733): one report per digit, whatever the packets repeat, lose or swap.

/// A finished digit: its character and how long it lasted in ticks of 1/8000 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    /// One of `0-9*#ABCD`.
    pub character: u8,
    /// In ticks of 1/8000 s.
    pub duration: u32,
}

/// The four octets of an event payload (RFC 4733 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event code; 0..=15 are the digits.
    pub code: u8,
    /// The E bit: the event is over.
    pub end: bool,
    /// In ticks since the timestamp of the packet.
    pub duration: u16,
}

/// Reads the first event block of a payload.
pub fn parse(payload: &[u8]) -> Option<Event> {
    let block: &[u8; 4] = payload.first_chunk()?;
    Some(Event {
        code: block[0],
        end: block[1] & 0x80 != 0,
        duration: u16::from_be_bytes([block[2], block[3]]),
    })
}

/// Audio this much later than an unfinished event means that all its end packets were lost.
const LOST_END: i32 = 800;

#[derive(Debug)]
struct Current {
    code: u8,
    timestamp: u32,
    /// Ticks of earlier segments of a long event (RFC 4733 section 2.5.1.3).
    before: u32,
    duration: u32,
    reported: bool,
}

impl Current {
    fn report(&mut self) -> Option<Digit> {
        let character = *b"0123456789*#ABCD".get(usize::from(self.code))?;
        if std::mem::replace(&mut self.reported, true) {
            return None;
        }
        Some(Digit { character, duration: self.before.saturating_add(self.duration) })
    }
}

/// Follows the events of one received stream. The timestamp names the event, not the marker bit: it may be lost.
#[derive(Debug, Default)]
pub struct Detector {
    current: Option<Current>,
}

impl Detector {
    /// True for the first packet that came of an event, whatever its marker bit says.
    pub fn begins(&self, event: Event, timestamp: u32) -> bool {
        self.current.as_ref().is_none_or(|current| {
            let behind = timestamp.wrapping_sub(current.timestamp) as i32;
            behind > 0 && !current.continues(event, behind)
        })
    }

    /// Takes an event packet; returns the digits that are now known to be over, the earlier one first.
    pub fn event(&mut self, event: Event, timestamp: u32) -> [Option<Digit>; 2] {
        let mut finished = [None, None];
        let mut before = 0;
        if let Some(current) = &mut self.current {
            let behind = timestamp.wrapping_sub(current.timestamp) as i32;
            if behind < 0 {
                return finished; // a late packet of an event that is over
            }
            if behind == 0 {
                current.duration = current.duration.max(u32::from(event.duration));
                if event.end {
                    finished[0] = current.report();
                }
                return finished;
            }
            if current.continues(event, behind) {
                before = current.before.saturating_add(current.duration);
            } else {
                finished[0] = current.report();
            }
        }
        let mut next = Current {
            code: event.code,
            timestamp,
            before,
            duration: u32::from(event.duration),
            reported: false,
        };
        if event.end {
            finished[1] = next.report();
        }
        self.current = Some(next);
        finished
    }

    /// Takes note of audio at a timestamp; returns a digit whose end packets must have been lost.
    pub fn audio(&mut self, timestamp: u32) -> Option<Digit> {
        let current = self.current.as_mut().filter(|current| !current.reported)?;
        let end = current.timestamp.wrapping_add(current.duration);
        if (timestamp.wrapping_sub(end) as i32) < LOST_END {
            return None;
        }
        current.report()
    }

    /// Forgets the events of a stream that was replaced by another.
    pub fn reset(&mut self) {
        self.current = None;
    }
}

impl Current {
    /// A segment ends at the largest duration and the next begins right after it, with the same code.
    fn continues(&self, event: Event, behind: i32) -> bool {
        !self.reported && self.code == event.code && self.duration == 0xffff && behind == 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: u8, end: bool, duration: u16) -> Event {
        Event { code, end, duration }
    }

    fn digits(detector: &mut Detector, packets: &[(u8, bool, u16, u32)]) -> Vec<(char, u32)> {
        packets
            .iter()
            .flat_map(|&(code, end, duration, timestamp)| {
                detector.event(event(code, end, duration), timestamp)
            })
            .flatten()
            .map(|digit| (char::from(digit.character), digit.duration))
            .collect()
    }

    #[test]
    fn a_digit_is_told_once_at_its_first_end_packet() {
        let packets = [
            (5, false, 160, 1000),
            (5, false, 320, 1000),
            (5, true, 480, 1000),
            (5, true, 480, 1000),
            (5, true, 480, 1000),
        ];
        assert_eq!(digits(&mut Detector::default(), &packets), [('5', 480)]);
    }

    #[test]
    fn the_same_digit_twice_is_two_digits() {
        let packets = [(11, true, 400, 1000), (11, true, 400, 1000), (11, true, 400, 9000)];
        assert_eq!(digits(&mut Detector::default(), &packets), [('#', 400), ('#', 400)]);
    }

    #[test]
    fn a_digit_without_end_packets_ends_with_the_next_or_with_later_audio() {
        let mut detector = Detector::default();
        let packets = [(1, false, 160, 1000), (2, false, 160, 5000)];
        assert_eq!(digits(&mut detector, &packets), [('1', 160)]);
        assert_eq!(detector.audio(5160), None, "audio may run beside the event");
        assert_eq!(detector.audio(5960).map(|digit| digit.character), Some(b'2'));
        assert_eq!(detector.audio(9999), None);
    }

    #[test]
    fn late_packets_of_an_older_event_are_nothing_new() {
        let packets =
            [(1, true, 160, 1000), (2, false, 160, 5000), (1, true, 160, 1000), (2, true, 320, 5000)];
        assert_eq!(digits(&mut Detector::default(), &packets), [('1', 160), ('2', 320)]);
    }

    #[test]
    fn a_long_event_in_segments_is_one_digit() {
        let packets =
            [(3, false, 0xffff, 1000), (3, false, 160, 1000 + 0xffff), (3, true, 320, 1000 + 0xffff)];
        assert_eq!(digits(&mut Detector::default(), &packets), [('3', 0xffff + 320)]);
    }

    #[test]
    fn an_event_begins_once_whatever_the_marker_bit_says() {
        let mut detector = Detector::default();
        let packets = [
            (3, false, 160, 1000, true),
            (3, false, 0xffff, 1000, false),
            (3, false, 160, 1000 + 0xffff, false),
            (3, true, 320, 1000 + 0xffff, false),
            (3, false, 160, 90_000, true),
            (3, true, 0xffff, 1000, false),
        ];
        for (code, end, duration, timestamp, begins) in packets {
            let event = event(code, end, duration);
            assert_eq!(detector.begins(event, timestamp), begins, "{timestamp} {duration}");
            detector.event(event, timestamp);
        }
    }

    #[test]
    fn other_events_are_no_digits() {
        assert_eq!(digits(&mut Detector::default(), &[(16, true, 160, 1000)]), []);
        assert_eq!(parse(&[1, 2, 3]), None);
    }
}
