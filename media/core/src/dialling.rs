//! Digits that we send: when each begins, as telephone-event (RFC 4733) and as tones for who has none (ITU-T Q.23).

use crate::prompt::FRAME;
use crate::resample::RATE;
use std::f64::consts::TAU;

const KEYS: [&[u8; 4]; 4] = [b"123A", b"456B", b"789C", b"*0#D"];
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// Event codes in their order.
const CODES: &[u8; 16] = b"0123456789*#ABCD";

/// Frames of a tone and of the pause after it: 100 ms each. ITU-T Q.24 asks for 40, some networks for 65.
const TONE: usize = 5;
const PAUSE: usize = 5;
/// Frames that `w` and `W` wait.
const SHORT_WAIT: usize = 25;
const LONG_WAIT: usize = 50;
/// Packets that say that an event is over (RFC 4733 section 2.5.1.4).
const ENDS: usize = 3;
/// Amplitude of a row tone, -9 dBm0; the column's is 2 dB above it, which a line takes away.
const AMPLITUDE: f64 = 8_000.0;
/// The level that events name, in dBm0 below zero.
const VOLUME: u8 = 9;
/// Longest sequence of digits and waits.
pub const MAX_DIGITS: usize = 64;

/// One digit of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    code: u8,
    /// The frame with which it begins.
    begins: usize,
}

/// A packet in which a digit stands in the place of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFrame {
    /// The four octets of RFC 4733 section 2.3.
    pub payload: [u8; 4],
    /// How many frames ago the event began.
    pub age: usize,
    /// How long it has lasted, in ticks.
    pub ticks: u32,
    /// It is over.
    pub ends: bool,
}

impl Digit {
    /// What is sent in a frame; None when this digit has nothing to do with it.
    pub fn frame(self, at: usize) -> Option<EventFrame> {
        let age = at.checked_sub(self.begins).filter(|&age| age < TONE - 1 + ENDS)?;
        let ticks = ((age + 1).min(TONE) * FRAME) as u16;
        let ends = age + 1 >= TONE;
        let [high, low] = ticks.to_be_bytes();
        let payload = [self.code, if ends { 0x80 | VOLUME } else { VOLUME }, high, low];
        Some(EventFrame { payload, age, ticks: u32::from(ticks), ends })
    }
}

/// The sound of digits and waits (`w` half a second, `W` a second), and its digits. None for anything else.
pub fn sequence(text: &str) -> Option<(Vec<i16>, Vec<Digit>)> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return None;
    }
    let (mut samples, mut digits) = (Vec::new(), Vec::new());
    for character in text.bytes() {
        let silent = match character {
            b'w' => SHORT_WAIT,
            b'W' => LONG_WAIT,
            _ => {
                let code = CODES.iter().position(|&known| known == character)?;
                digits.push(Digit { code: code as u8, begins: samples.len() / FRAME });
                samples.extend(tones(character));
                PAUSE
            }
        };
        samples.resize(samples.len() + silent * FRAME, 0);
    }
    Some((samples, digits))
}

fn tones(key: u8) -> impl Iterator<Item = i16> {
    let row = KEYS.iter().position(|keys| keys.contains(&key)).unwrap_or(0);
    let column = KEYS[row].iter().position(|&known| known == key).unwrap_or(0);
    let length = TONE * FRAME;
    (0..length).map(move |at| {
        let time = at as f64 / f64::from(RATE);
        // Swells and fades within 2 ms: no click that is heard as something else.
        let edge = (at.min(length - at) as f64 / 16.0).min(1.0);
        let sound = (TAU * ROWS[row] * time).sin() + 1.26 * (TAU * COLUMNS[column] * time).sin();
        (AMPLITUDE * edge * sound) as i16
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listening::keys::KeyTones;

    #[test]
    fn what_is_sent_as_tones_is_heard_as_keys() {
        let text = "0123456789*#ABCD";
        let (samples, digits) = sequence(text).unwrap();
        let mut ears = KeyTones::default();
        let heard: Vec<u8> =
            samples.iter().filter_map(|&sample| ears.hear(f32::from(sample))).map(|(key, _)| key).collect();
        assert_eq!(heard, text.as_bytes());
        assert_eq!(digits.iter().map(|digit| digit.code).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn waits_are_as_long_as_they_say() {
        let (samples, digits) = sequence("1w2W3").unwrap();
        assert_eq!(samples.len(), FRAME * (30 + 25 + 50));
        assert_eq!(digits.iter().map(|digit| digit.begins).collect::<Vec<_>>(), [0, 35, 95]);
    }

    #[test]
    fn an_event_grows_and_its_end_is_said_three_times() {
        let (_, digits) = sequence("w#").unwrap();
        let frames: Vec<_> = (0..60).filter_map(|at| digits[0].frame(at)).collect();
        assert_eq!(
            frames.iter().map(|it| (it.payload, it.ticks, it.ends)).collect::<Vec<_>>(),
            [
                ([11, 9, 0, 160], 160, false),
                ([11, 9, 1, 64], 320, false),
                ([11, 9, 1, 224], 480, false),
                ([11, 9, 2, 128], 640, false),
                ([11, 0x89, 3, 32], 800, true),
                ([11, 0x89, 3, 32], 800, true),
                ([11, 0x89, 3, 32], 800, true),
            ]
        );
        assert_eq!(digits[0].frame(25).map(|it| it.age), Some(0));
        assert_eq!((digits[0].frame(24), digits[0].frame(32)), (None, None));
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        for text in ["", "1x", "1 2", "é", "e", &"1".repeat(65)] {
            assert!(sequence(text).is_none(), "{text}");
        }
    }
}
