//! Prompts: sound from a file or made here, in both G.711 laws at 8 kHz, converted once and shared by every call.

use crate::g711::{Codec, linear_to_a, linear_to_mu};
use std::f64::consts::PI;
use std::fmt;
use std::path::Path;

/// Samples of one packet: 20 ms.
pub const FRAME: usize = 160;
/// Samples per second of G.711.
const RATE: f64 = 8_000.0;
/// Longest prompt in samples: ten minutes. Both laws of it take 9.6 MB.
const LONGEST: usize = 8_000 * 600;
/// Zero crossings of the interpolation kernel on each side.
const CROSSINGS: f64 = 16.0;
/// A little below half the lower rate, so that nothing folds over.
const CUTOFF: f64 = 0.94;

/// Why a file is no prompt.
#[derive(Debug)]
pub enum Unreadable {
    /// Not WAV, or of a kind we do not read.
    Wav(hound::Error),
    /// Nothing to play.
    Empty,
    /// Longer than ten minutes.
    TooLong,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Wav(error) => write!(f, "{error}"),
            Unreadable::Empty => write!(f, "it holds no sound"),
            Unreadable::TooLong => write!(f, "it is longer than ten minutes"),
        }
    }
}

/// A prompt, ready to be sent in either law.
#[derive(Debug)]
pub struct Prompt {
    mu: Vec<u8>,
    a: Vec<u8>,
}

impl Prompt {
    /// A prompt of samples at 8 kHz; at least one.
    pub fn from_samples(samples: &[i16]) -> Self {
        Prompt {
            mu: samples.iter().map(|&sample| linear_to_mu(sample)).collect(),
            a: samples.iter().map(|&sample| linear_to_a(sample)).collect(),
        }
    }

    /// Reads a WAV file: PCM of 8 to 32 bits or float, any number of channels, any rate.
    pub fn load(path: &Path) -> Result<Self, Unreadable> {
        let mut reader = hound::WavReader::open(path).map_err(Unreadable::Wav)?;
        let spec = reader.spec();
        if f64::from(reader.duration()) > LONGEST as f64 / RATE * f64::from(spec.sample_rate) {
            return Err(Unreadable::TooLong);
        }
        let scale = 1.0 / (1_i64 << (spec.bits_per_sample - 1)) as f64;
        let samples: Result<Vec<f64>, _> = match spec.sample_format {
            hound::SampleFormat::Int => {
                reader.samples::<i32>().map(|read| read.map(|sample| f64::from(sample) * scale)).collect()
            }
            hound::SampleFormat::Float => reader.samples::<f32>().map(|read| read.map(f64::from)).collect(),
        };
        let samples = samples.map_err(Unreadable::Wav)?;
        let channels = usize::from(spec.channels.max(1));
        let mono: Vec<f64> =
            samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f64>() / channels as f64).collect();
        if mono.is_empty() {
            return Err(Unreadable::Empty);
        }
        let converted = resample(&mono, f64::from(spec.sample_rate.max(1)));
        Ok(Prompt::from_samples(&converted.iter().map(|&sample| to_pcm(sample)).collect::<Vec<_>>()))
    }

    /// The North American ringback tone: 440 and 480 Hz, two seconds in six (ITU-T E.180).
    pub fn ringback() -> Self {
        let level = 0.1;
        let samples: Vec<i16> = (0..8_000 * 6)
            .map(|at| {
                let time = f64::from(at) / RATE;
                let tone = (2.0 * PI * 440.0 * time).sin() + (2.0 * PI * 480.0 * time).sin();
                if time < 2.0 { to_pcm(level * tone) } else { 0 }
            })
            .collect();
        Prompt::from_samples(&samples)
    }

    /// Samples in it.
    pub fn samples(&self) -> usize {
        self.mu.len()
    }

    /// Fills a frame from `position` on, around the end if `looped`, else with silence after it. Returns the next
    /// position; one beyond the end says that it is over.
    pub fn fill(&self, codec: Codec, position: usize, looped: bool, frame: &mut [u8]) -> usize {
        let sound = if codec == Codec::Pcmu { &self.mu } else { &self.a };
        let mut at = position;
        for octet in frame.iter_mut() {
            if at >= sound.len() && looped {
                at = 0;
            }
            *octet = sound.get(at).copied().unwrap_or(silence(codec));
            at += 1;
        }
        at
    }
}

/// The octet of a silent sample.
pub const fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0xff,
        Codec::Pcma => 0xd5,
    }
}

fn to_pcm(sample: f64) -> i16 {
    (sample.clamp(-1.0, 1.0) * f64::from(i16::MAX)) as i16
}

/// To 8 kHz, by a windowed sinc; the ends are taken to meet, so that a loop has no seam the original had not.
fn resample(sound: &[f64], rate: f64) -> Vec<f64> {
    if (rate - RATE).abs() < 0.5 {
        return sound.to_vec();
    }
    let step = rate / RATE;
    let band = CUTOFF * (1.0 / step).min(1.0);
    let reach = CROSSINGS / band;
    let length = sound.len() as i64;
    let outputs = ((sound.len() as f64 / step).round() as usize).max(1);
    (0..outputs)
        .map(|output| {
            let centre = output as f64 * step;
            let (first, last) = ((centre - reach).ceil() as i64, (centre + reach).floor() as i64);
            (first..=last)
                .map(|at| {
                    let distance = centre - at as f64;
                    let window = 0.5 + 0.5 * (PI * distance / reach).cos();
                    sound[at.rem_euclid(length) as usize] * band * sinc(distance * band) * window
                })
                .sum()
        })
        .collect()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::mu_to_linear;

    fn tone(hertz: f64, rate: f64, seconds: f64) -> Vec<f64> {
        (0..(rate * seconds) as usize).map(|at| 0.5 * (2.0 * PI * hertz * at as f64 / rate).sin()).collect()
    }

    fn amplitude(sound: &[f64], hertz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (at, sample) in sound.iter().enumerate() {
            let angle = 2.0 * PI * hertz * at as f64 / RATE;
            re += sample * angle.cos();
            im += sample * angle.sin();
        }
        2.0 * re.hypot(im) / sound.len() as f64
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level_from_every_usual_rate() {
        for rate in [11_025.0, 16_000.0, 22_050.0, 32_000.0, 44_100.0, 48_000.0] {
            let converted = resample(&tone(660.0, rate, 1.0), rate);
            assert!((converted.len() as i64 - 8_000).abs() <= 1, "{rate}");
            assert!((amplitude(&converted, 660.0) - 0.5).abs() < 0.01, "{rate}");
        }
    }

    #[test]
    fn what_eight_kilohertz_cannot_carry_does_not_fold_over() {
        let converted = resample(&tone(6_000.0, 48_000.0, 0.5), 48_000.0);
        assert!(amplitude(&converted, 2_000.0) < 0.01);
    }

    #[test]
    fn a_loop_goes_round_without_a_gap() {
        let sound: Vec<i16> = (0..100).map(|at| at * 100).collect();
        let prompt = Prompt::from_samples(&sound);
        let mut frame = [0; FRAME];
        let next = prompt.fill(Codec::Pcmu, 0, true, &mut frame);
        assert_eq!(next, 60);
        assert_eq!(frame[100], frame[0]);
        assert_eq!(mu_to_linear(frame[159]) / 100, mu_to_linear(prompt.mu[59]) / 100);
    }

    #[test]
    fn once_means_silence_after_the_end() {
        let prompt = Prompt::from_samples(&[1_000; 100]);
        let mut frame = [0; FRAME];
        assert!(prompt.fill(Codec::Pcma, 0, false, &mut frame) > prompt.samples());
        assert_eq!(frame[100..], [silence(Codec::Pcma); 60]);
    }

    #[test]
    fn ringback_rings_two_seconds_in_six() {
        let prompt = Prompt::ringback();
        assert_eq!(prompt.samples(), 48_000);
        assert!(prompt.mu[16_001..].iter().all(|&octet| mu_to_linear(octet).abs() < 8));
        assert!(prompt.mu[..16_000].iter().any(|&octet| mu_to_linear(octet) > 3_000));
    }
}
