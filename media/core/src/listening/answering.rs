//! Who answered, a person or a machine: a heuristic on how long somebody talks, or on a beep. It cannot know.
//!
//! A person says a word or two and waits. A voicemail box talks for long, and then beeps. Times are microseconds of the
//! worker's clock. What it gets wrong, and how often, is in docs/acceptance.md, by `examples/listening.rs`.

use super::goertzel::{Bank, Phasor};
use std::f32::consts::TAU;

/// What gives a machine away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A steady tone.
    Beep,
    /// Somebody who talks on and on.
    LongSpeech,
}

impl Sign {
    /// By its name in the configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "beep" => Some(Sign::Beep),
            "long_speech" => Some(Sign::LongSpeech),
            _ => None,
        }
    }
}

/// Who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// Or so it seems.
    Person,
    /// Almost certainly.
    Machine,
}

/// Sound so long without a pause of `PAUSE` is more than a greeting of a person.
const LONG: u64 = 2_000_000;
/// Silence after speech: whoever spoke waits for an answer.
const PAUSE: u64 = 1_200_000;
/// The same after long speech, while a beep may follow.
const LONG_PAUSE: u64 = 3_000_000;
/// Nobody said anything: a person who waits for us to begin.
const SAYS_NOTHING: u64 = 4_000_000;

/// Mean magnitude of the samples of speech at least, of 32768: -36 dB.
const LOUD: f32 = 500.0;
/// And how many times louder than the noise behind it.
const ABOVE_NOISE: f32 = 3.0;
/// By how much the noise is believed to grow with each packet until one is quieter.
const RISE: f32 = 1.01;

/// Listens to one peer from its answer on.
#[derive(Debug)]
pub struct AnswerJudge {
    sign: Sign,
    begun: u64,
    noise: f32,
    /// Sound since the last long pause.
    speech: u64,
    last_loud: Option<u64>,
    beep: Beep,
}

impl AnswerJudge {
    /// Listens from `now` on.
    pub fn new(sign: Sign, now: u64) -> Self {
        AnswerJudge { sign, begun: now, noise: LOUD, speech: 0, last_loud: None, beep: Beep::default() }
    }

    /// Takes a packet of audio.
    pub fn hear(&mut self, samples: impl ExactSizeIterator<Item = f32>, now: u64) -> Option<Answerer> {
        let count = samples.len();
        let (mut sum, mut beeps) = (0.0, false);
        for sample in samples {
            sum += sample.abs();
            beeps |= self.sign == Sign::Beep && self.beep.hear(sample);
        }
        let level = sum / count as f32;
        self.noise = level.min(self.noise * RISE);
        if level > LOUD.max(ABOVE_NOISE * self.noise) {
            self.last_loud = Some(now);
            self.speech += count as u64 * 125;
        }
        let machine = match self.sign {
            Sign::Beep => beeps,
            Sign::LongSpeech => self.speech >= LONG,
        };
        if machine { Some(Answerer::Machine) } else { self.wait(now) }
    }

    /// Takes note that time has passed.
    pub fn wait(&self, now: u64) -> Option<Answerer> {
        let (since, patience) = match self.last_loud {
            None => (self.begun, SAYS_NOTHING),
            Some(last) if self.speech >= LONG => (last, LONG_PAUSE),
            Some(last) => (last, PAUSE),
        };
        (now.saturating_sub(since) >= patience).then_some(Answerer::Person)
    }
}

/// Frequencies from 400 to 2350 Hz. In 20 ms each goes on by whole turns, so a phase that stands still is on one of them.
const LOWEST: f64 = 400.0;
const STEP: f64 = 50.0;
const COUNT: usize = 40;
const WINDOW: usize = 160;
/// Windows in a row that make a beep: 160 ms.
const CERTAIN: u32 = 8;
/// Least amplitude, of 32768: -35 dB.
const WEAKEST: f32 = 580.0;
/// Least share of the tone in the energy of a window. One between two of the frequencies has 0.81 in those two.
const SHARE: f32 = 0.7;
/// Turns of the phase in a window that may be more or less than in the window before: 6 Hz.
const UNSTEADY: f32 = 0.12;

/// A tone that stays where it is.
#[derive(Debug)]
struct Beep {
    bank: Bank<COUNT>,
    filled: usize,
    before: [Phasor; COUNT],
    tone: Option<(usize, f32)>,
    hits: u32,
}

impl Default for Beep {
    fn default() -> Self {
        Beep {
            bank: Bank::new(std::array::from_fn(|at| LOWEST + STEP * at as f64)),
            filled: 0,
            before: [Phasor::default(); COUNT],
            tone: None,
            hits: 0,
        }
    }
}

impl Beep {
    /// Takes one sample; true when it has beeped for long enough.
    #[inline]
    fn hear(&mut self, sample: f32) -> bool {
        self.bank.hear(sample);
        self.filled += 1;
        if self.filled < WINDOW {
            return false;
        }
        self.filled = 0;
        let energy = self.bank.energy();
        let phasors = self.bank.take();
        let tone = self.find(&phasors, energy);
        let steady = tone.zip(self.tone).is_some_and(|((at, turns), (earlier, before))| {
            let change = turns - before;
            at.abs_diff(earlier) <= 1 && (change - change.round()).abs() <= UNSTEADY
        });
        self.hits = if steady { self.hits + 1 } else { 0 };
        (self.before, self.tone) = (phasors, tone);
        self.hits + 1 >= CERTAIN
    }

    /// The one tone of a window: the nearest of the frequencies, and how many turns its phase went beyond that since
    /// the last window. None when there is more than a tone, or less.
    fn find(&self, phasors: &[Phasor; COUNT], energy: f32) -> Option<(usize, f32)> {
        let powers = phasors.map(Phasor::power);
        let (best, &most) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        // A tone between two of them is in both.
        let below = if best > 0 { powers[best - 1] } else { 0.0 };
        let above = powers.get(best + 1).copied().unwrap_or(0.0);
        let near = most + below.max(above);
        let weakest = WEAKEST * WINDOW as f32 / 2.0;
        if near < weakest * weakest || 2.0 * near < SHARE * WINDOW as f32 * energy {
            return None;
        }
        Some((best, phasors[best].drift(self.before[best], 0.0) / TAU))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 20_000;

    fn tone(hertz: f32, amplitude: f32, packets: usize) -> Vec<f32> {
        (0..packets * 160).map(|at| amplitude * (TAU * hertz * at as f32 / 8_000.0).sin()).collect()
    }

    /// Noise as loud as speech, in syllables.
    fn speech(packets: usize) -> Vec<f32> {
        let mut seed = 7_u32;
        (0..packets * 160)
            .map(|at| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let syllable = (at / 800) % 3 != 2;
                ((seed >> 16) as f32 - 32_768.0) * if syllable { 0.15 } else { 0.001 }
            })
            .collect()
    }

    fn silence(packets: usize) -> Vec<f32> {
        vec![0.0; packets * 160]
    }

    /// The verdict, and after how many milliseconds it came.
    fn judged(sign: Sign, parts: &[Vec<f32>]) -> Option<(Answerer, u64)> {
        let mut judge = AnswerJudge::new(sign, 0);
        let mut now = 0;
        for packet in parts.concat().chunks(160) {
            now += PACKET;
            if let Some(answerer) = judge.hear(packet.iter().copied(), now) {
                return Some((answerer, now / 1_000));
            }
        }
        None
    }

    #[test]
    fn a_word_and_a_pause_is_a_person() {
        for sign in [Sign::Beep, Sign::LongSpeech] {
            let (who, after) = judged(sign, &[silence(20), speech(40), silence(100)]).unwrap();
            assert_eq!(who, Answerer::Person);
            assert!((2_200..2_500).contains(&after), "{after}");
        }
    }

    #[test]
    fn somebody_who_talks_on_is_a_machine_for_one_sign_and_may_beep_for_the_other() {
        let greeting = [silence(20), speech(300), silence(40), tone(1_000.0, 6_000.0, 20), silence(400)];
        let (who, after) = judged(Sign::LongSpeech, &greeting).unwrap();
        assert_eq!(who, Answerer::Machine);
        assert!(after < 4_500, "{after}");
        let (who, after) = judged(Sign::Beep, &greeting).unwrap();
        assert_eq!(who, Answerer::Machine);
        assert!((7_340..7_500).contains(&after), "{after}: at the beep");
        let (who, _) = judged(Sign::Beep, &[speech(300), silence(200)]).unwrap();
        assert_eq!(who, Answerer::Person, "no beep followed");
    }

    #[test]
    fn who_says_nothing_is_a_person_even_without_a_packet() {
        assert_eq!(judged(Sign::LongSpeech, &[silence(300)]), Some((Answerer::Person, 4_000)));
        let judge = AnswerJudge::new(Sign::Beep, 1_000_000);
        assert_eq!(judge.wait(4_999_999), None);
        assert_eq!(judge.wait(5_000_000), Some(Answerer::Person));
    }

    #[test]
    fn a_beep_may_have_any_frequency_and_be_short_and_not_loud() {
        for hertz in [425.0, 440.0, 963.0, 1_000.0, 1_025.0, 1_400.0, 2_000.0] {
            for amplitude in [1_000.0, 12_000.0] {
                let parts = [silence(7), speech(30), silence(20), tone(hertz, amplitude, 11)];
                assert_eq!(judged(Sign::Beep, &parts).map(|it| it.0), Some(Answerer::Machine), "{hertz}");
            }
        }
    }

    #[test]
    fn two_tones_a_sliding_one_and_a_short_one_are_no_beep() {
        let double = tone(697.0, 4_000.0, 40).into_iter().zip(tone(1_209.0, 4_000.0, 40)).map(|(a, b)| a + b);
        assert_eq!(judged(Sign::Beep, &[double.collect()]), None);
        let sliding: Vec<f32> =
            (0..8_000).map(|at| 6_000.0 * (TAU * at as f32 * (0.1 + at as f32 * 3e-6)).sin()).collect();
        assert_eq!(judged(Sign::Beep, &[sliding]), None);
        assert_eq!(judged(Sign::Beep, &[tone(1_000.0, 6_000.0, 6), silence(10)]), None);
    }
}
