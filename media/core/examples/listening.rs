//! What listening in a leg's audio costs and gets wrong, on synthetic sound: `cargo run --release --no-default-features
//! --example listening`. Speech is made of harmonics of a gliding pitch under three moving formants, in syllables.
//!
//! With files as arguments (16-bit samples, little endian, 8000 a second) it tells of each, in a line of JSON, the keys
//! that were heard and who is judged to have answered, by each sign; `benchmarks/listening.py` makes tables of that.

use _native::codec::Codec;
use _native::g711::linear_to_mu;
use _native::listening::Ears;
use _native::listening::answering::{Answerer, Sign};
use _native::ringback::CADENCES;
use std::f64::consts::TAU;
use std::time::Instant;

/// Makes one answer, in parts.
type Greeting = fn(&mut Random) -> Vec<Vec<i16>>;

struct Random(u64);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((self.0 >> 33) as f64 / (1_u64 << 31) as f64)
    }
}

/// Seconds of speech, with a pause of 0.1 to 0.4 s after each few syllables.
fn speech(random: &mut Random, seconds: f64) -> Vec<i16> {
    let (mut samples, base, mut phase) = (Vec::new(), random.between(85.0, 260.0), 0.0);
    while (samples.len() as f64) < seconds * 8_000.0 {
        let length = (random.between(0.12, 0.35) * 8_000.0) as usize;
        let (from, to) = (base * random.between(0.8, 1.2), base * random.between(0.8, 1.2));
        let formants = [random.between(250.0, 850.0), random.between(900.0, 2_300.0), 2_700.0];
        for at in 0..length {
            let along = at as f64 / length as f64;
            let pitch = from + (to - from) * along;
            phase += pitch / 8_000.0;
            let mut sound = random.between(-0.03, 0.03);
            for harmonic in 1..=(3_400.0 / pitch) as usize {
                let hertz = pitch * harmonic as f64;
                let near: f64 = formants.iter().map(|f| 1.0 / (1.0 + ((hertz - f) / 90.0).powi(2))).sum();
                sound += (near + 0.02) * (TAU * phase * harmonic as f64).sin();
            }
            samples.push((4_000.0 * (std::f64::consts::PI * along).sin().sqrt() * sound) as i16);
        }
        let pause = if random.between(0.0, 1.0) < 0.3 { random.between(0.1, 0.4) } else { 0.02 };
        samples.extend(silence(random, pause));
    }
    samples
}

fn silence(random: &mut Random, seconds: f64) -> Vec<i16> {
    (0..(seconds * 8_000.0) as usize).map(|_| random.between(-20.0, 20.0) as i16).collect()
}

fn tone(hertz: f64, seconds: f64) -> Vec<i16> {
    (0..(seconds * 8_000.0) as usize)
        .map(|at| (6_000.0 * (TAU * hertz * at as f64 / 8_000.0).sin()) as i16)
        .collect()
}

fn keys_in(samples: &[i16]) -> String {
    let mut ears = Ears::default();
    ears.listen_for_keys(true);
    let packets = packets(samples);
    let keys =
        (0..).step_by(160).zip(&packets).filter_map(|(at, packet)| ears.hear(packet, Codec::Pcmu, at, 0).key);
    keys.map(|(key, _)| char::from(key)).collect()
}

fn packets(samples: &[i16]) -> Vec<Vec<u8>> {
    samples.chunks(160).map(|chunk| chunk.iter().map(|&sample| linear_to_mu(sample)).collect()).collect()
}

fn judged(sign: Sign, samples: &[i16]) -> Option<Answerer> {
    let mut ears = Ears::default();
    ears.judge_answer(Some(sign), 0);
    let packets = packets(samples);
    (1..)
        .zip(&packets)
        .find_map(|(at, packet)| ears.hear(packet, Codec::Pcmu, at * 160, u64::from(at) * 20_000).answerer)
}

fn cost(name: &str, mut ears: Ears, packets: &[Vec<u8>]) {
    let begun = Instant::now();
    for (at, packet) in (1_u32..).zip(packets) {
        std::hint::black_box(ears.hear(packet, Codec::Pcmu, at * 160, 0));
    }
    println!(
        "cost  {name:<12} {:>6.2} us a packet",
        begun.elapsed().as_secs_f64() * 1e6 / packets.len() as f64
    );
}

/// Who answered, for a line of JSON; None when the file ends before that is decided.
fn verdict(sign: Sign, samples: &[i16]) -> &'static str {
    match judged(sign, samples) {
        Some(Answerer::Machine) => "\"machine\"",
        Some(Answerer::Person) => "\"person\"",
        None => "null",
    }
}

fn tell_of(path: &str) -> std::io::Result<()> {
    let octets = std::fs::read(path)?;
    let samples: Vec<i16> = octets.chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).collect();
    println!(
        "{{\"keys\": \"{}\", \"beep\": {}, \"long_speech\": {}}}",
        keys_in(&samples),
        verdict(Sign::Beep, &samples),
        verdict(Sign::LongSpeech, &samples)
    );
    Ok(())
}

fn main() -> std::io::Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        report();
    }
    files.iter().try_for_each(|path| tell_of(path))
}

fn report() {
    let mut random = Random(11);
    let talk = speech(&mut random, 1_800.0);
    let sound = packets(&talk[..8_000 * 60]);
    let asked = |keys: bool, sign: Option<Sign>| {
        let mut ears = Ears::default();
        ears.listen_for_keys(keys);
        ears.judge_answer(sign, 0);
        ears
    };
    cost("keys", asked(true, None), &sound);
    // Verdicts end the judge; pauses of noise keep it listening for the whole of it.
    let hiss = packets(&silence(&mut random, 60.0));
    cost("beep", asked(false, Some(Sign::Beep)), &hiss);
    cost("long_speech", asked(false, Some(Sign::LongSpeech)), &hiss);
    let hours: Vec<String> = (0..4).map(|_| keys_in(&speech(&mut random, 1_800.0))).collect();
    println!("keys  in 150 minutes of speech: {}", keys_in(&talk).len() + hours.concat().len());
    for cadence in CADENCES {
        println!("keys  in ten rounds of {}: {}", cadence.name, keys_in(&cadence.samples().repeat(10)).len());
    }
    let kinds: [(&str, Answerer, Greeting); 5] = [
        ("hello (0.4 to 1.4 s)", Answerer::Person, |r| {
            let length = r.between(0.4, 1.4);
            vec![silence(r, 0.4), speech(r, length), silence(r, 6.0)]
        }),
        ("company greeting (2.5 to 4 s)", Answerer::Person, |r| {
            let length = r.between(2.5, 4.0);
            vec![silence(r, 0.4), speech(r, length), silence(r, 6.0)]
        }),
        ("mailbox (4 to 12 s), beep", Answerer::Machine, |r| {
            let (length, gap, hertz, beep) =
                (r.between(4.0, 12.0), r.between(0.3, 1.5), r.between(420.0, 1_800.0), r.between(0.2, 0.8));
            vec![silence(r, 0.6), speech(r, length), silence(r, gap), tone(hertz, beep), silence(r, 6.0)]
        }),
        ("short mailbox (1 to 1.8 s), beep", Answerer::Machine, |r| {
            let (length, gap, hertz) = (r.between(1.0, 1.8), r.between(0.3, 1.5), r.between(420.0, 1_800.0));
            vec![silence(r, 0.6), speech(r, length), silence(r, gap), tone(hertz, 0.5), silence(r, 6.0)]
        }),
        ("mailbox (4 to 12 s), no beep", Answerer::Machine, |r| {
            let length = r.between(4.0, 12.0);
            vec![silence(r, 0.6), speech(r, length), silence(r, 6.0)]
        }),
    ];
    for (name, truth, make) in kinds {
        let samples: Vec<Vec<i16>> = (0..200).map(|_| make(&mut random).concat()).collect();
        let wrong = |sign: Sign| samples.iter().filter(|sound| judged(sign, sound) != Some(truth)).count();
        println!(
            "wrong {name:<34} beep {:>3} long_speech {:>3} of 200",
            wrong(Sign::Beep),
            wrong(Sign::LongSpeech)
        );
    }
}
