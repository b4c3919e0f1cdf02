//! Keys that a peer sends as tones in its audio (DTMF, ITU-T Q.23, Q.24), for peers without telephone-event.
//!
//! Windows of 12.75 ms, half of each in the next. In each: one row and one column tone, neither too weak beside the
//! other. From window to window: the same key, as loud as before, both phases gone on as the two frequencies say they
//! must, and next to nothing else in the sound. Speech meets all of this now and then, and does not keep it up. A key is
//! told once, as soon as it has been held for four windows (32 ms); it is over when five windows (38 ms) were without it,
//! so that a dropout is no second key.

use super::goertzel::{Bank, Phasor};

const FREQUENCIES: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [&[u8; 4]; 4] = [b"123A", b"456B", b"789C", b"*0#D"];

/// Samples from the beginning of one window to the next, half a window.
const HOP: usize = 51;
const WINDOW: f32 = 2.0 * HOP as f32;
/// Windows in a row that make a key.
const CERTAIN: u32 = 4;
/// Windows in a row without the key that end it.
const OVER: u32 = 5;
/// Samples missing in the stream that end a key: more than a burst of loss, a pause that was not sent.
const SILENT: i32 = 800;

/// Least amplitude of each tone, of 32768: -42 dB.
const WEAKEST: f32 = 260.0;
/// Least share of both tones in the energy of all windows, and of each: what a filter hears of the other tone comes and
/// goes with their phases.
const SHARE: f32 = 0.88;
const SHARE_OF_EACH: f32 = 0.76;
/// How many times stronger than the other one of the two tones may be (9.5 dB). ITU-T Q.24 has 4 to 10 dB for a stronger
/// column, and up to 8 for a stronger row: a line takes more from high tones than from low ones.
const TWIST: f32 = 8.9;
/// Both while it is not known how far off the frequencies are: a filter hears less of a tone then.
const SHARE_AT_FIRST: f32 = 0.6;
const TWIST_AT_FIRST: f32 = 12.0;
/// How many times stronger than each other of its group a tone must be (6 dB).
const ALONE: f32 = 4.0;
/// How far a frequency may be off. ITU-T Q.24: 1.8 % must do, 3.5 % must not.
const TOLERANCE: f32 = 0.029;
/// How many times stronger or weaker than in the window before a tone may be (4 dB): the other tone is heard a little too.
const STEADY: f32 = 2.5;

/// The two tones of one window, if they are those of a key.
#[derive(Debug, Clone, Copy)]
struct Pair {
    row: usize,
    column: usize,
    tones: [Phasor; 2],
    /// What there is of sound in the window: its energy, by the measure of the tones' power.
    all: f32,
}

impl Pair {
    fn find(phasors: &[Phasor; 8], energy: f32) -> Option<Self> {
        let powers = phasors.map(Phasor::power);
        let (row, column) = (strongest(&powers[..4])?, strongest(&powers[4..])?);
        let (low, high) = (powers[row], powers[4 + column]);
        let weakest = WEAKEST * WINDOW / 2.0;
        let strong = low.min(high) >= weakest * weakest;
        let balanced = high <= low * TWIST_AT_FIRST && low <= high * TWIST_AT_FIRST;
        let all = WINDOW * energy / 2.0;
        let pure = low + high >= SHARE_AT_FIRST * all;
        let tones = [phasors[row], phasors[4 + column]];
        (strong && balanced && pure).then_some(Pair { row, column, tones, all })
    }

    /// The power of the two tones when this is the same key a hop later, at the same frequencies, as loud, and with little
    /// else in the window.
    fn following(&self, earlier: &Pair, angles: &[f32; 8]) -> Option<f32> {
        if (self.row, self.column) != (earlier.row, earlier.column) {
            return None;
        }
        let (mut found, mut before_it) = ([0.0; 2], [0.0; 2]);
        for (which, tone) in [(0, self.row), (1, 4 + self.column)] {
            let angle = HOP as f32 * angles[tone];
            let (now, before) = (self.tones[which], earlier.tones[which]);
            let drift = now.drift(before, angle);
            let (power, former) = (now.power(), before.power());
            if drift.abs() > TOLERANCE * angle || power > STEADY * former || former > STEADY * power {
                return None;
            }
            (found[which], before_it[which]) = (power / heard_at(drift), former / heard_at(drift));
        }
        let [low, high] = found;
        // The one before may be the first, of which no more was asked than can be without the drift: a tone that is too
        // short for a key begins or ends inside it.
        let pure = low + high >= SHARE_OF_EACH * self.all
            && before_it[0] + before_it[1] >= SHARE_OF_EACH * earlier.all;
        let fits = pure && high <= low * TWIST && low <= high * TWIST;
        fits.then_some(low + high)
    }

    fn key(&self) -> u8 {
        KEYS[self.row][self.column]
    }
}

/// How much of the power of a tone a filter hears whose phase drifts so far in a hop, which is half a window.
fn heard_at(drift: f32) -> f32 {
    let share = if drift == 0.0 { 1.0 } else { drift.sin() / drift };
    share * share
}

/// The strongest of a group, if it stands alone.
fn strongest(powers: &[f32]) -> Option<usize> {
    let (best, &most) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let alone = powers.iter().enumerate().all(|(at, &power)| at == best || power * ALONE <= most);
    alone.then_some(best)
}

/// Listens to one received stream.
#[derive(Debug)]
pub struct KeyTones {
    /// Each window takes in two hops; one of the two is complete after each.
    windows: [Bank<8>; 2],
    /// Samples of the present hop.
    filled: usize,
    completes: usize,
    last: Option<Pair>,
    /// Windows in a row with the same key, and what of their energy was in its tones.
    hits: u32,
    tones: f32,
    all: f32,
    /// The key that was told and is not over, and the windows without it.
    held: Option<u8>,
    misses: u32,
    expected: Option<u32>,
}

impl Default for KeyTones {
    fn default() -> Self {
        KeyTones {
            windows: [Bank::new(FREQUENCIES), Bank::new(FREQUENCIES)],
            filled: 0,
            completes: 0,
            last: None,
            hits: 0,
            tones: 0.0,
            all: 0.0,
            held: None,
            misses: 0,
            expected: None,
        }
    }
}

impl KeyTones {
    /// Takes note of where a packet of so many samples belongs in time: a long silence that was not sent ends a key.
    pub fn arrive(&mut self, timestamp: u32, samples: usize) {
        let missing = self.expected.map_or(0, |expected| timestamp.wrapping_sub(expected) as i32);
        if !(-SILENT..SILENT).contains(&missing) {
            (self.last, self.hits, self.held) = (None, 0, None);
        }
        self.expected = Some(timestamp.wrapping_add(samples as u32));
    }

    /// Takes one sample; returns a key that is now certain, and the ticks of it that were heard.
    #[inline]
    pub fn hear(&mut self, sample: f32) -> Option<(u8, u32)> {
        self.windows[0].hear(sample);
        self.windows[1].hear(sample);
        self.filled += 1;
        if self.filled < HOP {
            return None;
        }
        self.filled = 0;
        self.completes ^= 1;
        self.judge()
    }

    fn judge(&mut self) -> Option<(u8, u32)> {
        let window = &mut self.windows[self.completes];
        let energy = window.energy();
        let phasors = window.take();
        let pair = Pair::find(&phasors, energy);
        let following = pair
            .zip(self.last)
            .and_then(|(pair, last)| Some((pair.following(&last, window.angles())?, pair.all)));
        if let Some((tones, all)) = following {
            self.hits += 1;
            self.tones += tones;
            self.all += all;
        } else {
            (self.hits, self.tones, self.all) = (u32::from(pair.is_some()), 0.0, 0.0);
        }
        self.last = pair;
        let key = pair.map(|pair| pair.key());
        if key.is_some() && key == self.held {
            self.misses = 0;
            return None;
        }
        self.misses += 1;
        if self.misses >= OVER {
            self.held = None;
        }
        let certain = key.filter(|_| self.hits >= CERTAIN && self.tones >= SHARE * self.all)?;
        (self.held, self.misses) = (Some(certain), 0);
        Some((certain, (CERTAIN + 1) * HOP as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// One key: how loud its tones are, how far off, for how many samples, with how many of silence after it.
    #[derive(Clone, Copy)]
    struct Press {
        key: u8,
        row: f64,
        column: f64,
        off: f64,
        tone: usize,
        pause: usize,
    }

    fn press(key: u8, tone: usize, pause: usize) -> Press {
        Press { key, row: 4_000.0, column: 4_000.0, off: 1.0, tone, pause }
    }

    fn sound(presses: &[Press]) -> Vec<f32> {
        let mut samples = vec![0.0; 333];
        for press in presses {
            let (row, keys) = KEYS.iter().enumerate().find(|(_, keys)| keys.contains(&press.key)).unwrap();
            let column = 4 + keys.iter().position(|&key| key == press.key).unwrap();
            samples.extend((0..press.tone).map(|at| {
                let angle = 2.0 * PI * press.off * at as f64 / 8_000.0;
                (press.row * (angle * FREQUENCIES[row]).sin()
                    + press.column * (angle * FREQUENCIES[column] + 1.0).sin()) as f32
            }));
            samples.extend(std::iter::repeat_n(0.0, press.pause));
        }
        samples
    }

    fn told(samples: impl IntoIterator<Item = f32>) -> String {
        let mut ears = KeyTones::default();
        samples.into_iter().filter_map(|sample| ears.hear(sample)).map(|(key, _)| char::from(key)).collect()
    }

    #[test]
    fn every_key_is_told_once_however_long_it_is_held() {
        for tone in [320, 800, 16_000] {
            let presses: Vec<_> = b"0123456789*#ABCD".iter().map(|&key| press(key, tone, 320)).collect();
            assert_eq!(told(sound(&presses)), "0123456789*#ABCD", "{tone}");
        }
    }

    #[test]
    fn the_same_key_after_a_pause_is_told_again_and_after_a_dropout_is_not() {
        assert_eq!(told(sound(&[press(b'7', 400, 320), press(b'7', 400, 320)])), "77");
        let mut samples = sound(&[press(b'7', 1_600, 400)]);
        samples[1_000..1_080].fill(0.0);
        assert_eq!(told(samples), "7", "10 ms are missing");
    }

    #[test]
    fn another_key_without_a_pause_is_another_key() {
        assert_eq!(told(sound(&[press(b'1', 800, 0), press(b'2', 800, 0), press(b'5', 800, 400)])), "125");
    }

    #[test]
    fn what_is_too_short_is_no_key() {
        assert_eq!(told(sound(&[press(b'5', 184, 400)])), "", "23 ms");
    }

    #[test]
    fn levels_and_twist_as_in_q_24() {
        let with = |row: f64, column: f64| told(sound(&[Press { row, column, ..press(b'9', 400, 400) }]));
        assert_eq!(with(14_000.0, 14_000.0), "9");
        assert_eq!(with(300.0, 300.0), "9");
        assert_eq!(with(150.0, 150.0), "", "too weak");
        assert_eq!(with(2_000.0, 2_000.0 * 2.5), "9", "8 dB");
        assert_eq!(with(2_000.0, 2_000.0 * 3.6), "", "11 dB");
        assert_eq!(with(2_000.0 * 2.5, 2_000.0), "9", "8 dB");
        assert_eq!(with(2_000.0 * 3.6, 2_000.0), "", "11 dB");
    }

    #[test]
    fn frequencies_may_be_a_little_off_and_no_more() {
        for key in *b"159D0" {
            let off = |off: f64| told(sound(&[Press { off, ..press(key, 480, 400) }]));
            for near in [0.982, 0.99, 1.01, 1.018] {
                assert_eq!(off(near), String::from(char::from(key)), "{near}");
            }
            for far in [0.965, 1.035] {
                assert_eq!(off(far), "", "{far}");
            }
        }
    }

    #[test]
    fn keys_are_heard_through_noise() {
        let mut seed = 1_u32;
        let samples = sound(&[press(b'3', 400, 400), press(b'#', 400, 400)]).into_iter().map(|sample| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sample + ((seed >> 16) as f32 / 65_536.0 - 0.5) * 4_000.0
        });
        assert_eq!(told(samples), "3#", "about 14 dB");
    }

    #[test]
    fn one_tone_alone_is_no_key_nor_are_three() {
        let alone = Press { column: 0.0, ..press(b'1', 1_600, 400) };
        assert_eq!(told(sound(&[alone])), "");
        let pair = sound(&[press(b'1', 1_600, 400)]);
        let more = sound(&[Press { row: 0.0, ..press(b'3', 1_600, 400) }]);
        assert_eq!(told(pair.into_iter().zip(more).map(|(a, b)| a + b)), "");
    }

    #[test]
    fn a_pause_that_was_not_sent_ends_a_key_and_a_lost_packet_does_not() {
        for (missing, expected) in [(160, "8"), (1_600, "88")] {
            let samples = sound(&[press(b'8', 1_600, 0)]);
            let (mut ears, mut heard, mut timestamp) = (KeyTones::default(), String::new(), 5_u32);
            for (at, packet) in samples.chunks(160).enumerate() {
                timestamp = timestamp.wrapping_add(if at == 6 { missing } else { 0 });
                ears.arrive(timestamp, packet.len());
                timestamp = timestamp.wrapping_add(packet.len() as u32);
                let keys = packet.iter().filter_map(|&sample| ears.hear(sample));
                heard.extend(keys.map(|(key, _)| char::from(key)));
            }
            assert_eq!(heard, expected, "{missing}");
        }
    }
}
