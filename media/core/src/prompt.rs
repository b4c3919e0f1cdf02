//! Prompts: sound from a file or made here, in both G.711 laws at 8 kHz, converted once and shared by every call.

use crate::codec::Codec;
use crate::dialling::{Digit, EventFrame, sequence};
use crate::g711::{linear_to_a, linear_to_mu};
use crate::resample::to_8khz;
use crate::wav::{self, Unreadable};
use std::path::Path;

/// Samples of one packet: 20 ms.
pub const FRAME: usize = 160;
/// Longest prompt in seconds. Both laws of it take 9.6 MB.
const LONGEST: usize = 600;
/// The largest file in octets: ten minutes of 48 kHz, stereo, 32 bits.
const LARGEST: u64 = 256 << 20;

/// A prompt, ready to be sent in either law.
#[derive(Debug)]
pub struct Prompt {
    mu: Law,
    a: Law,
    /// What of it goes as telephone-event to who takes that.
    digits: Vec<Digit>,
}

/// A prompt in one law.
#[derive(Debug)]
struct Law {
    sound: Vec<u8>,
    /// What a loop plays instead of the last samples: they fade over into the first ones, and the loop goes on after
    /// those. Empty when the end meets the beginning anyway.
    seam: Vec<u8>,
}

impl Law {
    fn of(sound: &[i16], seam: &[i16], encode: fn(i16) -> u8) -> Self {
        let octets = |samples: &[i16]| samples.iter().map(|&sample| encode(sample)).collect();
        Law { sound: octets(sound), seam: octets(seam) }
    }

    /// What is played from a position on without a break, and where it goes on. None at the end.
    fn piece(&self, position: usize, looped: bool) -> Option<(&[u8], usize)> {
        let length = self.sound.len();
        let body = if looped { length - self.seam.len() } else { length };
        match position {
            _ if position < body => Some((&self.sound[position..body], body)),
            _ if position < length => Some((&self.seam[position - body..], length)),
            _ if looped => self.piece(self.seam.len(), true),
            _ => None,
        }
    }
}

impl Prompt {
    /// A prompt of samples at 8 kHz; at least one.
    pub fn from_samples(samples: &[i16]) -> Self {
        let seam = seam(samples);
        let (mu, a) = (Law::of(samples, &seam, linear_to_mu), Law::of(samples, &seam, linear_to_a));
        Prompt { mu, a, digits: Vec::new() }
    }

    /// Digits and waits, see `dialling::sequence`.
    pub fn digits(text: &str) -> Option<Self> {
        let (samples, digits) = sequence(text)?;
        Some(Prompt { digits, ..Prompt::from_samples(&samples) })
    }

    /// The digit that the frame at `position` is part of.
    pub fn event(&self, position: usize) -> Option<EventFrame> {
        self.digits.iter().find_map(|digit| digit.frame(position / FRAME))
    }

    /// Reads a WAV file.
    pub fn load(path: &Path) -> Result<Self, Unreadable> {
        if std::fs::metadata(path).map_err(Unreadable::File)?.len() > LARGEST {
            return Err(Unreadable::TooLong);
        }
        let sound = wav::read(&std::fs::read(path).map_err(Unreadable::File)?, LONGEST)?;
        let samples: Vec<i16> = to_8khz(&sound.samples, sound.rate).into_iter().map(to_pcm).collect();
        Ok(Prompt::from_samples(&samples))
    }

    /// All of it in mu-law; `looped`: one round of its loop, whose end meets its beginning.
    pub fn mu_law(&self, looped: bool) -> Vec<u8> {
        let Law { sound, seam } = &self.mu;
        if !looped {
            return sound.clone();
        }
        [&sound[seam.len()..sound.len() - seam.len()], seam].concat()
    }

    /// Samples in it.
    pub fn samples(&self) -> usize {
        self.mu.sound.len()
    }

    /// Fills a frame from `position` on, around the end if `looped`, else with silence after it. Returns the next
    /// position; one at or beyond the end says that a prompt played once is over.
    pub fn fill(&self, codec: Codec, position: usize, looped: bool, frame: &mut [u8]) -> usize {
        let law = if codec == Codec::Pcmu { &self.mu } else { &self.a };
        let (mut at, mut rest) = (position, frame);
        while !rest.is_empty() {
            let Some((piece, next)) = law.piece(at, looped) else {
                rest.fill(silence(codec));
                break;
            };
            let count = piece.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&piece[..count]);
            at = next - (piece.len() - count);
            rest = later;
        }
        at
    }
}

/// The octet of a silent sample.
pub const fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcma => 0xd5,
        // Of what is passed through nothing is made.
        _ => 0xff,
    }
}

/// Full scale is 32768, so that 16-bit files and G.711 files come through unchanged.
fn to_pcm(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// What a loop plays instead of the last samples; empty when nothing needs to be done.
fn seam(sound: &[i16]) -> Vec<i16> {
    let (shortest, longest) = (FRAME.min(sound.len() / 4), (3 * FRAME).min(sound.len() / 2));
    if shortest < 8 || meets(sound) {
        return Vec::new();
    }
    // The overlap at which both ends are most alike: a tone goes on in phase.
    let likeness = |&length: &usize| {
        let (tail, head) = (&sound[sound.len() - length..], &sound[..length]);
        let product = |a: &[i16], b: &[i16]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        product(tail, head) / (product(tail, tail) * product(head, head)).sqrt().max(1.0)
    };
    let length = (shortest..=longest).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(shortest);
    let tail = &sound[sound.len() - length..];
    tail.iter()
        .zip(sound)
        .enumerate()
        .map(|(at, (&old, &new))| {
            let share = (at as f64 + 0.5) / length as f64;
            (f64::from(old) * (1.0 - share) + f64::from(new) * share).round() as i16
        })
        .collect()
}

/// True when the first sample may follow the last: the curve bends no more there than it does anyway around both ends.
fn meets(sound: &[i16]) -> bool {
    let bend = |a: i16, b: i16, c: i16| (i32::from(a) - 2 * i32::from(b) + i32::from(c)).abs();
    let sharpest = |part: &[i16]| part.windows(3).map(|three| bend(three[0], three[1], three[2])).max();
    let count = sound.len();
    let around = FRAME.min(count);
    let usual = sharpest(&sound[..around]).max(sharpest(&sound[count - around..])).unwrap_or(0);
    let [before, last] = [sound[count - 2], sound[count - 1]];
    // 64 is the finest step of either law at a low volume, and nobody hears it.
    bend(before, last, sound[0]).max(bend(last, sound[0], sound[1])) <= usual + usual / 8 + 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::mu_to_linear;
    use crate::resample::RATE;
    use std::f64::consts::PI;

    fn tone(hertz: f64, samples: usize) -> Vec<i16> {
        let angle = 2.0 * PI * hertz / f64::from(RATE);
        (0..samples).map(|at| (12_000.0 * (angle * at as f64).sin()) as i16).collect()
    }

    /// Plays so many frames in mu-law.
    fn play(prompt: &Prompt, frames: usize, looped: bool) -> Vec<i16> {
        let mut sound = vec![0; frames * FRAME];
        let mut position = 0;
        for frame in sound.chunks_mut(FRAME) {
            position = prompt.fill(Codec::Pcmu, position, looped, frame);
        }
        sound.into_iter().map(mu_to_linear).collect()
    }

    fn sharpest_bend(sound: &[i16]) -> i32 {
        sound
            .windows(3)
            .map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs())
            .max()
            .unwrap()
    }

    #[test]
    fn a_loop_that_fits_is_left_alone() {
        let prompt = Prompt::from_samples(&tone(200.0, 400));
        assert!(prompt.mu.seam.is_empty());
        let sound = play(&prompt, 5, true);
        assert_eq!(sound[..400], sound[400..]);
    }

    #[test]
    fn a_loop_that_does_not_fit_goes_over_without_a_click() {
        let plain = sharpest_bend(&play(&Prompt::from_samples(&tone(200.0, 400)), 2, true));
        for more in 1..40 {
            let prompt = Prompt::from_samples(&tone(200.0, 4_000 + more));
            assert!(sharpest_bend(&play(&prompt, 80, true)) <= plain * 3 / 2, "{more}");
        }
    }

    #[test]
    fn a_round_can_be_taken_out_and_repeated() {
        let prompt = Prompt::from_samples(&tone(333.0, 4_000));
        let (round, skipped) = (prompt.mu_law(true), prompt.mu.seam.len());
        let mut played = vec![0; 4 * FRAME];
        prompt.fill(Codec::Pcmu, skipped, true, &mut played);
        assert!(skipped > 0 && round.len() == 4_000 - skipped);
        assert_eq!(played, round[..4 * FRAME]);
        prompt.fill(Codec::Pcmu, 4_000 - FRAME, true, &mut played);
        assert_eq!(played[FRAME..2 * FRAME], round[..FRAME]);
        assert_eq!(prompt.mu_law(false).len(), 4_000);
    }

    #[test]
    fn unlike_ends_fade_into_each_other() {
        let sound: Vec<i16> = (0..4_000).map(|at| if at < 2_000 { 8_000 } else { -8_000 }).collect();
        let prompt = Prompt::from_samples(&sound);
        let seam = &prompt.mu.seam;
        assert!(seam.len() >= FRAME);
        let around: Vec<i16> = seam.iter().map(|&octet| mu_to_linear(octet)).collect();
        assert!(around[0] < -7_500 && around[around.len() - 1] > 7_500);
        assert!(around.windows(2).all(|two| two[0] <= two[1]));
    }

    #[test]
    fn every_length_can_be_looped() {
        for length in 1..700 {
            let prompt = Prompt::from_samples(&tone(333.0, length));
            assert_eq!(play(&prompt, 20, true).len(), 20 * FRAME);
        }
    }

    #[test]
    fn once_means_all_of_it_and_silence_after_the_end() {
        let sound = tone(333.0, 300);
        let prompt = Prompt::from_samples(&sound);
        let heard = play(&prompt, 3, false);
        assert!(heard[..300].iter().zip(&sound).all(|(a, b)| (a - b).abs() <= 256), "the seam is for loops");
        assert!(heard[300..].iter().all(|&sample| sample == 0));
        let mut frame = [0; FRAME];
        assert!(prompt.fill(Codec::Pcma, 160, false, &mut frame) >= prompt.samples());
        assert_eq!(frame[140..], [silence(Codec::Pcma); 20]);
    }

    #[test]
    fn ringing_tones_go_round_as_they_are() {
        for cadence in crate::ringback::CADENCES {
            let samples = cadence.samples();
            let prompt = Prompt::from_samples(&samples);
            assert_eq!(prompt.samples(), samples.len());
            assert!(prompt.mu.seam.is_empty(), "{}", cadence.name);
        }
    }
}
