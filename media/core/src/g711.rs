//! G.711: mu-law, A-law and the tables between them (ITU-T G.711; payload types 0 and 8 of RFC 3551).
//!
//! A sample crosses to the nearest value of the other law; where two are equally near, to the one that the
//! recommendation's encoder picks. (The encoder alone is not enough: its decision values between two segments lie
//! nearer to the lower one.)

use crate::codec::Codec;

/// Rewrites a payload in place when the two sides use different laws.
pub fn transcode(payload: &mut [u8], from: Codec, to: Codec) {
    let table = match (from, to) {
        (Codec::Pcmu, Codec::Pcma) => &MU_TO_A,
        (Codec::Pcma, Codec::Pcmu) => &A_TO_MU,
        _ => return,
    };
    for octet in payload {
        *octet = table[usize::from(*octet)];
    }
}

/// Mu-law octet to A-law octet.
pub static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let sample = mu_to_linear(octet as u8);
        let mut best = linear_to_a(sample);
        let mut candidate = 0;
        while candidate < 256 {
            if sample.abs_diff(a_to_linear(candidate as u8)) < sample.abs_diff(a_to_linear(best)) {
                best = candidate as u8;
            }
            candidate += 1;
        }
        table[octet] = best;
        octet += 1;
    }
    table
};

/// A-law octet to mu-law octet.
pub static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let sample = a_to_linear(octet as u8);
        let mut best = linear_to_mu(sample);
        let mut candidate = 0;
        while candidate < 256 {
            if sample.abs_diff(mu_to_linear(candidate as u8)) < sample.abs_diff(mu_to_linear(best)) {
                best = candidate as u8;
            }
            candidate += 1;
        }
        table[octet] = best;
        octet += 1;
    }
    table
};

const MU_BIAS: i32 = 132;
const MU_CLIP: i32 = 32_635;

/// Expands one mu-law octet to 16 bits.
pub const fn mu_to_linear(octet: u8) -> i16 {
    let code = !octet;
    let magnitude = (((((code & 0x0f) as i32) << 3) + MU_BIAS) << ((code & 0x70) >> 4)) - MU_BIAS;
    (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// Compresses a 16-bit sample to mu-law.
pub const fn linear_to_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > MU_CLIP {
        magnitude = MU_CLIP;
    }
    let biased = magnitude + MU_BIAS;
    // The segment is the position of the highest set bit above bit 7.
    let segment = 24 - (biased as u32).leading_zeros();
    !(sign | (segment << 4) as u8 | (biased >> (segment + 3) & 0x0f) as u8)
}

/// Expands one A-law octet to 16 bits.
pub const fn a_to_linear(octet: u8) -> i16 {
    let code = octet ^ 0x55;
    let step = (code & 0x0f) as i32;
    let segment = (code & 0x70) >> 4;
    let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

/// Compresses a 16-bit sample to A-law.
pub const fn linear_to_a(sample: i16) -> u8 {
    // One's complement for negative samples: -1 mirrors 0, so both signs use the same intervals.
    let (sign, magnitude) = if sample < 0 { (0, !(sample as i32)) } else { (0x80, sample as i32) };
    let code = if magnitude < 256 {
        magnitude >> 4
    } else {
        let segment = 24 - (magnitude as u32).leading_zeros() as i32;
        (segment << 4) | (magnitude >> (segment + 3) & 0x0f)
    };
    (sign | code as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_recommendation() {
        for (octet, linear) in
            [(0x00, -32_124), (0x80, 32_124), (0xff, 0), (0x7f, 0), (0xf0, 120), (0xe0, 372)]
        {
            assert_eq!(mu_to_linear(octet), linear, "mu-law {octet:#x}");
        }
        for (octet, linear) in
            [(0xd5, 8), (0x55, -8), (0x2a, -32_256), (0xaa, 32_256), (0xda, 248), (0xc5, 264)]
        {
            assert_eq!(a_to_linear(octet), linear, "A-law {octet:#x}");
        }
        assert_eq!((linear_to_mu(0), linear_to_a(0)), (0xff, 0xd5), "silence");
        assert_eq!((linear_to_mu(i16::MAX), linear_to_mu(i16::MIN)), (0x80, 0x00));
        assert_eq!((linear_to_a(i16::MAX), linear_to_a(i16::MIN)), (0xaa, 0x2a));
    }

    #[test]
    fn every_octet_survives_its_own_law() {
        for octet in 0..=255 {
            assert_eq!(linear_to_a(a_to_linear(octet)), octet);
            // Mu-law has two zeros; the negative one comes back as the positive.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(linear_to_mu(mu_to_linear(octet)), expected);
        }
    }

    #[test]
    fn crossing_keeps_sign_and_order() {
        for octet in 0..=255_u8 {
            let (mu, a) = (mu_to_linear(octet), a_to_linear(MU_TO_A[usize::from(octet)]));
            assert!((i32::from(mu) - i32::from(a)).abs() <= (i32::from(mu).abs() / 16).max(8), "{mu} {a}");
        }
    }

    #[test]
    fn the_same_law_is_left_alone() {
        let mut payload = [1, 2, 3];
        transcode(&mut payload, Codec::Pcma, Codec::Pcma);
        assert_eq!(payload, [1, 2, 3]);
        transcode(&mut payload, Codec::Pcma, Codec::Pcmu);
        assert_eq!(payload, [A_TO_MU[1], A_TO_MU[2], A_TO_MU[3]]);
    }
}
