//! Goertzel filters: how much of each of a few frequencies is in a stretch of sound, and at which phase.

use std::f64::consts::PI;

/// Samples per second.
const RATE: f64 = 8_000.0;

/// Strength and phase of one frequency.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phasor {
    re: f32,
    im: f32,
}

impl Phasor {
    /// The squared magnitude: (amplitude * samples / 2) squared for a sine of that frequency.
    pub fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    /// How far the phase has gone since an earlier phasor, minus `angle`: between -pi and pi.
    pub fn drift(self, earlier: Phasor, angle: f32) -> f32 {
        let (re, im) =
            (self.re * earlier.re + self.im * earlier.im, self.im * earlier.re - self.re * earlier.im);
        let (sin, cos) = angle.sin_cos();
        (im * cos - re * sin).atan2(re * cos + im * sin)
    }
}

/// Filters for `N` frequencies over the same sound, side by side so that the compiler can do several at once.
#[derive(Debug)]
pub struct Bank<const N: usize> {
    angles: [f32; N],
    doubled_cosines: [f32; N],
    last: [f32; N],
    before: [f32; N],
    energy: f32,
}

impl<const N: usize> Bank<N> {
    /// A bank for these frequencies in Hz.
    pub fn new(frequencies: [f64; N]) -> Self {
        let angles = frequencies.map(|hertz| (2.0 * PI * hertz / RATE) as f32);
        Bank {
            angles,
            doubled_cosines: angles.map(|angle| 2.0 * angle.cos()),
            last: [0.0; N],
            before: [0.0; N],
            energy: 0.0,
        }
    }

    /// Takes one sample.
    #[inline]
    pub fn hear(&mut self, sample: f32) {
        self.energy += sample * sample;
        for at in 0..N {
            let next = sample + self.doubled_cosines[at] * self.last[at] - self.before[at];
            self.before[at] = self.last[at];
            self.last[at] = next;
        }
    }

    /// The sum of the squares of what was heard since the last `take`.
    pub fn energy(&self) -> f32 {
        self.energy
    }

    /// Radians per sample of each frequency.
    pub fn angles(&self) -> &[f32; N] {
        &self.angles
    }

    /// What was heard since the last time; begins anew.
    pub fn take(&mut self) -> [Phasor; N] {
        let mut phasors = [Phasor::default(); N];
        for (at, phasor) in phasors.iter_mut().enumerate() {
            let (sin, cos) = self.angles[at].sin_cos();
            phasor.re = self.last[at] - self.before[at] * cos;
            phasor.im = self.before[at] * sin;
        }
        self.last = [0.0; N];
        self.before = [0.0; N];
        self.energy = 0.0;
        phasors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, at: usize) -> f32 {
        (1_000.0 * (2.0 * PI * hertz * at as f64 / RATE).sin()) as f32
    }

    #[test]
    fn a_sine_is_found_at_its_frequency_with_its_amplitude() {
        let mut bank = Bank::new([500.0, 700.0, 1_000.0]);
        (0..160).for_each(|at| bank.hear(sine(700.0, at)));
        assert!((bank.energy() - 160.0 * 500_000.0).abs() < 1e6);
        let [low, mid, high] = bank.take().map(|phasor| phasor.power().sqrt() / 80.0);
        assert!((mid - 1_000.0).abs() < 5.0, "{mid}");
        assert!(low < 10.0 && high < 10.0, "{low} {high}");
    }

    #[test]
    fn the_drift_of_the_phase_tells_how_far_off_a_frequency_is() {
        for off in [-8.0, 0.0, 8.0] {
            let mut bank = Bank::new([1_000.0]);
            (0..160).for_each(|at| bank.hear(sine(1_000.0 + off, at)));
            let [first] = bank.take();
            (160..320).for_each(|at| bank.hear(sine(1_000.0 + off, at)));
            let [second] = bank.take();
            let angle = 160.0 * bank.angles()[0];
            let hertz = f64::from(second.drift(first, angle)) / (2.0 * PI) * RATE / 160.0;
            assert!((hertz - off).abs() < 0.5, "{off} {hertz}");
        }
    }
}
