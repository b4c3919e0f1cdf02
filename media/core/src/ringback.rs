//! The ringing tones of a few countries (ITU-T E.180 and its supplement 2).

use crate::resample::RATE;
use std::f64::consts::{PI, TAU};

/// One country's: which tones together, and for how many milliseconds they are heard and not heard in turn.
#[derive(Debug)]
pub struct Cadence {
    /// As in the configuration.
    pub name: &'static str,
    hertz: &'static [f64],
    turns: &'static [u32],
}

/// All that are known.
pub const CADENCES: &[Cadence] = &[
    Cadence { name: "us", hertz: &[440.0, 480.0], turns: &[2_000, 4_000] },
    Cadence { name: "uk", hertz: &[400.0, 450.0], turns: &[400, 200, 400, 2_000] },
    // The tone that ETSI and CEPT recommend, of most of Europe.
    Cadence { name: "eu", hertz: &[425.0], turns: &[1_000, 4_000] },
    Cadence { name: "de", hertz: &[425.0], turns: &[1_000, 4_000] },
    Cadence { name: "es", hertz: &[425.0], turns: &[1_500, 3_000] },
    Cadence { name: "fr", hertz: &[440.0], turns: &[1_500, 3_500] },
    Cadence { name: "it", hertz: &[425.0], turns: &[1_000, 4_000] },
    Cadence { name: "se", hertz: &[425.0], turns: &[1_000, 5_000] },
];

/// Amplitude of all tones together, of 32768: about -14 dBm0.
const AMPLITUDE: f64 = 6_554.0;
/// Seconds in which a tone swells and fades: no click at either end.
const EDGE: f64 = 0.005;

impl Cadence {
    /// By its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CADENCES.iter().find(|cadence| cadence.name == name)
    }

    /// One round of it, at 8 kHz.
    pub fn samples(&self) -> Vec<i16> {
        let mut samples = Vec::new();
        for (turn, &milliseconds) in self.turns.iter().enumerate() {
            let length = (milliseconds * RATE / 1_000) as usize;
            match turn % 2 {
                0 => samples.extend((0..length).map(|at| self.tone(at, length))),
                _ => samples.resize(samples.len() + length, 0),
            }
        }
        samples
    }

    fn tone(&self, at: usize, length: usize) -> i16 {
        let [time, rest] = [at, length - at].map(|samples| samples as f64 / f64::from(RATE));
        let edge = (time.min(rest) / EDGE).min(1.0);
        let sum: f64 = self.hertz.iter().map(|hertz| (TAU * hertz * time).sin()).sum();
        let loud = AMPLITUDE / self.hertz.len() as f64;
        (loud * sum * (0.5 - 0.5 * (PI * edge).cos())).round() as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_as_long_as_its_turns_and_silent_in_every_other() {
        for cadence in CADENCES {
            let samples = cadence.samples();
            let mut at = 0;
            for (turn, &milliseconds) in cadence.turns.iter().enumerate() {
                let part = &samples[at..at + milliseconds as usize * 8];
                let loudest = part.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
                assert_eq!(loudest > 6_000, turn % 2 == 0, "{} {turn}", cadence.name);
                at += part.len();
            }
            assert_eq!(at, samples.len());
        }
    }
}
