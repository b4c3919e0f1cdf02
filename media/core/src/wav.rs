//! WAV files (RIFF, RFC 2361): PCM of 8 to 32 bits, float, A-law and mu-law, any number of channels mixed to one.
//!
//! Lenient where programs are careless: unknown chunks, a missing pad octet at the end, a length that says more than
//! there is (written to a pipe, or cut off).

use crate::g711::{a_to_linear, mu_to_linear};
use std::fmt;

/// Sound as a file holds it, one channel.
#[derive(Debug)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// Between -1 and 1.
    pub samples: Vec<f32>,
}

/// Why a file is no prompt.
#[derive(Debug)]
pub enum Unreadable {
    /// The system does not let us.
    File(std::io::Error),
    /// No RIFF file of the WAVE kind.
    NotWav,
    /// Format tag and bits per sample that we do not read.
    Unsupported(u16, u16),
    /// A rate nobody uses for sound.
    Rate(u32),
    /// Nothing to play.
    Empty,
    /// Longer than a prompt may be.
    TooLong,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::File(error) => write!(f, "{error}"),
            Unreadable::NotWav => write!(f, "not a WAV file"),
            Unreadable::Unsupported(tag, bits) => {
                write!(
                    f,
                    "WAV format {tag:#06x} with {bits} bits is not read; PCM, float, A-law and mu-law are"
                )
            }
            Unreadable::Rate(rate) => write!(f, "{rate} samples per second; 4000 to 192000 are read"),
            Unreadable::Empty => write!(f, "it holds no sound"),
            Unreadable::TooLong => write!(f, "it is longer than ten minutes"),
        }
    }
}

/// How samples are written.
#[derive(Debug, Clone, Copy)]
struct Format {
    tag: u16,
    channels: usize,
    rate: u32,
    /// Octets of one sample.
    width: usize,
}

/// Reads a file of at most `longest` seconds.
pub fn read(data: &[u8], longest: usize) -> Result<Sound, Unreadable> {
    let riff: &[u8; 12] = data.first_chunk().ok_or(Unreadable::NotWav)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(Unreadable::NotWav);
    }
    let mut rest = &data[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " => format = Some(read_format(chunk)?),
            b"data" => return decode(format.ok_or(Unreadable::NotWav)?, chunk, longest),
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    Err(Unreadable::NotWav)
}

fn read_format(chunk: &[u8]) -> Result<Format, Unreadable> {
    let field = |at: usize| Some(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]));
    let fixed: &[u8; 16] = chunk.first_chunk().ok_or(Unreadable::NotWav)?;
    let bits = u16::from_le_bytes([fixed[14], fixed[15]]);
    let mut tag = u16::from_le_bytes([fixed[0], fixed[1]]);
    if tag == 0xfffe {
        // WAVE_FORMAT_EXTENSIBLE: the sub-format begins with the tag.
        tag = field(24).ok_or(Unreadable::NotWav)?;
    }
    let rate = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let channels = usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
    if !matches!((tag, bits), (1, 8 | 16 | 24 | 32) | (3, 32 | 64) | (6 | 7, 8))
        || !(1..=64).contains(&channels)
    {
        return Err(Unreadable::Unsupported(tag, bits));
    }
    if !(4_000..=192_000).contains(&rate) {
        return Err(Unreadable::Rate(rate));
    }
    Ok(Format { tag, channels, rate, width: usize::from(bits / 8) })
}

fn decode(format: Format, data: &[u8], longest: usize) -> Result<Sound, Unreadable> {
    let frames = data.chunks_exact(format.width * format.channels);
    if frames.len() == 0 {
        return Err(Unreadable::Empty);
    }
    if frames.len() > longest * format.rate as usize {
        return Err(Unreadable::TooLong);
    }
    let mix = |frame: &[u8]| {
        let sum: f32 = frame.chunks_exact(format.width).map(|octets| sample(format, octets)).sum();
        sum / format.channels as f32
    };
    Ok(Sound { rate: format.rate, samples: frames.map(mix).collect() })
}

/// One sample; full scale is 1.
fn sample(format: Format, octets: &[u8]) -> f32 {
    let value = match (format.tag, octets) {
        (1, &[a]) => (f32::from(a) - 128.0) / 128.0,
        (1, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
        (1, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
        (1, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
        (3, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        (3, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
        (6, &[a]) => f32::from(a_to_linear(a)) / 32_768.0,
        (7, &[a]) => f32::from(mu_to_linear(a)) / 32_768.0,
        _ => 0.0, // `read_format` lets nothing else through
    };
    if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut chunk = name.to_vec();
        chunk.extend_from_slice(&(body.len() as u32).to_le_bytes());
        chunk.extend_from_slice(body);
        chunk.resize(chunk.len() + (body.len() & 1), 0);
        chunk
    }

    fn file(tag: u16, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut form = Vec::new();
        form.extend_from_slice(&tag.to_le_bytes());
        form.extend_from_slice(&channels.to_le_bytes());
        form.extend_from_slice(&16_000_u32.to_le_bytes());
        form.extend_from_slice(&[0; 6]);
        form.extend_from_slice(&bits.to_le_bytes());
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        file.extend(chunk(b"fmt ", &form));
        file.extend(chunk(b"LIST", b"odd"));
        file.extend(chunk(b"data", data));
        file
    }

    #[test]
    fn every_width_has_the_same_full_scale() {
        let cases: [(u16, u16, &[u8]); 8] = [
            (1, 8, &[0x40]),
            (1, 16, &[0, 0xc0]),
            (1, 24, &[0, 0, 0xc0]),
            (1, 32, &[0, 0, 0, 0xc0]),
            (3, 32, &(-0.5_f32).to_le_bytes()),
            (3, 64, &(-0.5_f64).to_le_bytes()),
            (6, 8, &[0x3a]),
            (7, 8, &[0x0f]),
        ];
        for (tag, bits, octets) in cases {
            let sound = read(&file(tag, 1, bits, octets), 1).unwrap();
            assert_eq!(sound.rate, 16_000);
            assert!((sound.samples[0] + 0.5).abs() < 0.02, "{tag} {bits}: {:?}", sound.samples);
        }
    }

    #[test]
    fn channels_are_mixed_and_half_a_frame_at_the_end_is_left_out() {
        let sound = read(&file(1, 2, 8, &[0xc0, 0x80, 0x80, 0x80, 0xff]), 1).unwrap();
        assert_eq!(sound.samples, [0.25, 0.0]);
    }

    #[test]
    fn the_extensible_form_names_its_format_further_on() {
        let mut data = file(0xfffe, 1, 16, &[0, 0x40]);
        let mut tail = vec![22, 0, 16, 0, 0, 0, 0, 0];
        tail.extend_from_slice(&[1, 0, 0, 0, 0, 0, 16, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        data.splice(36..36, tail);
        data[16] = 40;
        assert_eq!(read(&data, 1).unwrap().samples, [0.5]);
    }

    #[test]
    fn a_length_beyond_the_end_means_up_to_the_end() {
        let mut data = file(1, 1, 8, &[0xc0, 0xc0]);
        let at = data.len() - 6;
        data[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(read(&data, 1).unwrap().samples, [0.5, 0.5]);
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        assert!(matches!(read(b"", 1), Err(Unreadable::NotWav)));
        assert!(matches!(read(&file(1, 1, 8, &[])[..30], 1), Err(Unreadable::NotWav)));
        assert!(matches!(read(&file(1, 1, 8, &[]), 1), Err(Unreadable::Empty)));
        assert!(matches!(read(&file(0x31, 1, 8, &[0; 9]), 1), Err(Unreadable::Unsupported(0x31, 8))));
        assert!(matches!(read(&file(1, 0, 8, &[0; 9]), 1), Err(Unreadable::Unsupported(1, 8))));
        assert!(matches!(read(&file(1, 1, 8, &[0; 16_001]), 1), Err(Unreadable::TooLong)));
        let mut slow = file(1, 1, 8, &[0; 9]);
        slow[24..28].copy_from_slice(&1_u32.to_le_bytes());
        assert!(matches!(read(&slow, 1), Err(Unreadable::Rate(1))));
    }
}
