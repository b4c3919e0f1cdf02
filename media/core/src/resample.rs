//! Any rate to 8 kHz by a windowed sinc: offline, once per file.
//!
//! Rates are whole numbers, so the kernel is needed at a few places between two samples only: it is computed once
//! for each of those and then applied like any filter (a polyphase filter). The ends of the sound are taken to meet,
//! so that a loop has no seam that the original had not.

use std::f64::consts::PI;

/// Samples per second of G.711.
pub const RATE: u32 = 8_000;
/// Zero crossings of the kernel on each side: a transition of 640 Hz at 8 kHz.
const CROSSINGS: f64 = 32.0;
/// Middle of the transition as a share of half the lower rate: 3400 Hz passes, 4000 Hz is gone.
const CUTOFF: f64 = 0.92;
/// Sums kept apart, so that the compiler may use the machine's vectors.
const LANES: usize = 8;

/// Converts a sound.
pub fn to_8khz(sound: &[f32], rate: u32) -> Vec<f32> {
    if rate == RATE || sound.is_empty() {
        return sound.to_vec();
    }
    let divisor = greatest_common_divisor(rate, RATE);
    let (step, phases) = ((rate / divisor) as usize, (RATE / divisor) as usize);
    let band = CUTOFF * (f64::from(RATE) / f64::from(rate)).min(1.0);
    let reach = (CROSSINGS / band).ceil() as usize;
    let taps = (2 * reach).next_multiple_of(LANES);
    let kernels: Vec<f32> = (0..phases)
        .flat_map(|phase| kernel(band, phase as f64 / phases as f64 + (reach - 1) as f64, taps))
        .collect();
    // One more kernel's length on both sides, so that every kernel finds its samples in a row.
    let padded: Vec<f32> = (0..sound.len() + 2 * taps)
        .map(|at| sound[(at + sound.len() * taps - reach + 1) % sound.len()])
        .collect();
    let outputs = (sound.len() * phases).div_ceil(step);
    (0..outputs)
        .map(|output| {
            let (at, phase) = (output * step / phases, output * step % phases);
            apply(&kernels[phase * taps..(phase + 1) * taps], &padded[at..at + taps])
        })
        .collect()
}

/// The kernel around `centre`, at whole places; its sum is 1, so that nothing gets louder.
fn kernel(band: f64, centre: f64, taps: usize) -> Vec<f32> {
    let reach = CROSSINGS / band;
    let values: Vec<f64> = (0..taps)
        .map(|at| {
            let distance = at as f64 - centre;
            if distance.abs() >= reach {
                return 0.0;
            }
            let turn = PI * distance / reach;
            // Blackman: what folds over is 74 dB down.
            let window = 0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
            sinc(distance * band) * window
        })
        .collect();
    let sum: f64 = values.iter().sum();
    values.into_iter().map(|value| (value / sum) as f32).collect()
}

fn apply(kernel: &[f32], sound: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (kernel, sound) in kernel.chunks_exact(LANES).zip(sound.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += kernel[lane] * sound[lane];
        }
    }
    sums.iter().sum()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: u32) -> Vec<f32> {
        (0..rate)
            .map(|at| (0.5 * (2.0 * PI * hertz * f64::from(at) / f64::from(rate)).sin()) as f32)
            .collect()
    }

    /// Amplitude and phase of a tone in one second at 8 kHz.
    fn find(sound: &[f32], hertz: f64) -> (f64, f64) {
        let (mut re, mut im) = (0.0, 0.0);
        for (at, &sample) in sound.iter().enumerate() {
            let angle = 2.0 * PI * hertz * at as f64 / f64::from(RATE);
            im += f64::from(sample) * angle.cos();
            re += f64::from(sample) * angle.sin();
        }
        (2.0 * re.hypot(im) / sound.len() as f64, im.atan2(re))
    }

    #[test]
    fn a_tone_keeps_pitch_level_and_place_from_every_usual_rate() {
        for rate in [6_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000] {
            for hertz in [100.0, 660.0, 2_400.0] {
                let sound = to_8khz(&tone(hertz, rate), rate);
                assert_eq!(sound.len(), 8_000);
                let (amplitude, phase) = find(&sound, hertz);
                assert!((amplitude - 0.5).abs() < 0.001, "{rate} {hertz}: {amplitude}");
                assert!(phase.abs() < 0.001, "{rate} {hertz}: {phase}");
            }
        }
    }

    #[test]
    fn the_telephone_band_passes_and_what_would_fold_over_is_gone() {
        assert!(find(&to_8khz(&tone(3_400.0, 48_000), 48_000), 3_400.0).0 > 0.45);
        for (hertz, folded) in [(4_100.0, 3_900.0), (5_000.0, 3_000.0), (7_400.0, 600.0)] {
            assert!(find(&to_8khz(&tone(hertz, 48_000), 48_000), folded).0 < 0.000_5, "{hertz}");
        }
    }

    #[test]
    fn an_odd_rate_and_a_sound_shorter_than_the_kernel_are_fine() {
        let sound = to_8khz(&tone(660.0, 44_056), 44_056);
        assert!((find(&sound, 660.0).0 - 0.5).abs() < 0.001);
        assert_eq!(to_8khz(&[0.5; 7], 48_000).len(), 2);
        assert!((to_8khz(&[0.5; 7], 48_000)[1] - 0.5).abs() < 1e-5);
        assert!(to_8khz(&[], 48_000).is_empty());
    }
}
