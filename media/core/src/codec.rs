//! The codecs a stream may have. G.711 is understood; the others are passed through as they are.

use crate::g711::{a_to_linear, mu_to_linear};
use std::ops::RangeInclusive;

/// What the octets of an audio packet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, whose clock in RTP is half of its sampling rate for reasons of history (RFC 3551 section 4.5.2).
    G722,
    /// RFC 6716, RFC 7587.
    Opus,
}

impl Codec {
    /// The encoding name of RFC 3551 or RFC 7587.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The codec of an encoding name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus].into_iter().find(|codec| codec.name() == name)
    }

    /// True for what can be listened to, made and turned into another.
    #[inline]
    pub const fn is_g711(self) -> bool {
        matches!(self, Codec::Pcmu | Codec::Pcma)
    }

    /// How an octet becomes a sample; None for what is passed through.
    #[inline]
    pub fn linear(self) -> Option<fn(u8) -> i16> {
        match self {
            Codec::Pcmu => Some(mu_to_linear),
            Codec::Pcma => Some(a_to_linear),
            Codec::G722 | Codec::Opus => None,
        }
    }

    /// True when audio of this codec can be heard by who has the other.
    #[inline]
    pub fn becomes(self, other: Codec) -> bool {
        self == other || (self.is_g711() && other.is_g711())
    }

    /// Ticks of the RTP clock in a millisecond.
    #[inline]
    pub const fn ticks_per_ms(self) -> u32 {
        if matches!(self, Codec::Opus) { 48 } else { 8 }
    }

    /// Octets of a payload we believe: up to 200 ms, of opus what fits into an Ethernet frame.
    #[inline]
    pub const fn plausible(self) -> RangeInclusive<usize> {
        if matches!(self, Codec::Opus) { 1..=1_500 } else { 8..=1_600 }
    }

    /// Ticks that a payload covers.
    #[inline]
    pub fn ticks(self, payload: &[u8]) -> u32 {
        if self == Codec::Opus { opus_ticks(payload) } else { payload.len() as u32 }
    }
}

/// What the first octets of an opus packet say of its length (RFC 6716 section 3.1 and 3.2).
fn opus_ticks(payload: &[u8]) -> u32 {
    let Some(&first) = payload.first() else {
        return 0;
    };
    let step = u32::from(first >> 3 & 3);
    let frame = match first >> 3 {
        0..12 => [480, 960, 1_920, 2_880][step as usize],
        12..16 => 480 << (step & 1),
        _ => 120 << step,
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1).map_or(0, |count| count & 0x3f)),
    };
    // No packet is longer than 120 ms.
    (frame * frames).min(5_760)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opus_packet_tells_its_length() {
        let configured =
            |configuration: u8, code: u8| Codec::Opus.ticks(&[configuration << 3 | code, 3]) / 48;
        let single: Vec<u32> = (0..32).map(|configuration| configured(configuration, 0)).collect();
        let silk = [10, 20, 40, 60];
        let celt_ticks: Vec<u32> = (16..20).map(|each| Codec::Opus.ticks(&[each << 3])).collect();
        assert_eq!(single[..12], [silk, silk, silk].concat());
        assert_eq!(single[12..16], [10, 20, 10, 20], "hybrid");
        assert_eq!(celt_ticks, [120, 240, 480, 960], "2.5 ms and more");
        assert_eq!([1, 2, 3].map(|code| configured(1, code)), [40, 40, 60]);
        assert_eq!(configured(3, 3), 120, "never more");
        assert_eq!(Codec::Opus.ticks(&[]), 0);
    }

    #[test]
    fn g711_becomes_g711_and_all_others_stay_what_they_are() {
        let all = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
        for one in all {
            for other in all {
                assert_eq!(one.becomes(other), one == other || (one.is_g711() && other.is_g711()));
            }
            assert_eq!(one.linear().is_some(), one.is_g711());
            assert_eq!(Codec::from_name(one.name()), Some(one));
        }
        assert_eq!(Codec::G722.ticks(&[0; 160]), 160, "its clock is 8 kHz");
    }
}
