//! What a peer agreed to, and by that: what a packet carries.

use crate::codec::Codec;
use crate::dtmf;
use crate::peer::Named;
use crate::rtp::{self, Header};
use crate::srtp::Keys;

/// Octets of comfort noise we believe: a level and a filter (RFC 3389 section 3).
const PLAUSIBLE_NOISE: std::ops::RangeInclusive<usize> = 1..=64;

/// What the peer agreed to; see `media.engine.StreamParameters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Where its SDP wants RTP and RTCP.
    pub named: Named,
    /// How the packets are read and made.
    pub agreed: Agreed,
    /// SRTP in both directions; None for plain RTP.
    pub protection: Option<Box<Protect>>,
}

/// What was agreed on that each packet asks for: a few octets, which a leg keeps among what is read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// Of both directions.
    pub codec: Codec,
    /// Payload type of both directions.
    pub payload_type: u8,
    /// Payload type of the events we send.
    pub send_event: Option<u8>,
    /// Payload type of the events the peer sends when it differs.
    pub receive_event: Option<u8>,
    /// Comfort noise is agreed on, both ways.
    pub comfort_noise: bool,
    /// We may send.
    pub send: bool,
    /// We listen.
    pub receive: bool,
}

/// What SRTP needs to know of an offer and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protect {
    /// Both keys.
    pub keys: Keys,
    /// SSRC and first sequence number of the stream that begins if our key is new; both random.
    pub fresh: (u32, u16),
}

/// What a packet carries, by its payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Of this codec.
    Audio(Codec),
    /// A telephone-event.
    Event {
        /// How long it has lasted.
        ticks: u32,
        /// First packet that came of it.
        begins: bool,
        /// It is over.
        ends: bool,
    },
    /// Comfort noise both sides of this leg agreed on.
    Noise,
    /// Something nobody negotiated.
    Unknown,
}

impl Agreed {
    fn is_event(&self, payload_type: u8) -> bool {
        Some(payload_type) == self.send_event || Some(payload_type) == self.receive_event
    }

    /// True when a packet with that payload type is RTP although it may look like RTCP. With RTCP on the RTP port (`mux`)
    /// nobody may agree on such a payload type (RFC 5761 section 4), so it decides nothing there.
    pub fn expects(&self, payload_type: u8, mux: bool) -> bool {
        !mux && (payload_type == self.payload_type || self.is_event(payload_type))
    }

    /// What a packet carries; None when its size contradicts its payload type. Where an event begins is for who knows
    /// the packets before it.
    pub fn content(&self, header: &Header, data: &[u8]) -> Option<Content> {
        let length = header.payload.len();
        if header.payload_type == self.payload_type {
            return self.codec.plausible().contains(&length).then_some(Content::Audio(self.codec));
        }
        if self.is_event(header.payload_type) {
            let event = dtmf::parse(&data[header.payload.clone()])?;
            return Some(Content::Event { ticks: u32::from(event.duration), begins: false, ends: event.end });
        }
        if header.payload_type == rtp::COMFORT_NOISE && self.comfort_noise {
            return PLAUSIBLE_NOISE.contains(&length).then_some(Content::Noise);
        }
        Some(Content::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGREED: Agreed = Agreed {
        codec: Codec::Pcmu,
        payload_type: 0,
        send_event: Some(101),
        receive_event: Some(96),
        comfort_noise: true,
        send: true,
        receive: true,
    };

    fn content(agreed: &Agreed, payload_type: u8, octets: usize) -> Option<Content> {
        let mut data = [0; 200];
        data[0] = 0x80;
        data[1] = payload_type;
        let data = &data[..rtp::HEADER + octets];
        agreed.content(&rtp::parse(data).unwrap(), data)
    }

    #[test]
    fn the_payload_type_says_what_it_is_and_the_size_whether_to_believe_it() {
        assert_eq!(content(&AGREED, 0, 160), Some(Content::Audio(Codec::Pcmu)));
        assert_eq!(content(&AGREED, 0, 7), None);
        for payload_type in [96, 101] {
            let event = Content::Event { ticks: 0, begins: false, ends: false };
            assert_eq!(content(&AGREED, payload_type, 4), Some(event));
            assert_eq!(content(&AGREED, payload_type, 3), None);
        }
        assert_eq!(content(&AGREED, 8, 160), Some(Content::Unknown));
    }

    #[test]
    fn comfort_noise_is_known_to_those_who_agreed_on_it() {
        assert_eq!(content(&AGREED, 13, 1), Some(Content::Noise));
        assert_eq!(content(&AGREED, 13, 65), None);
        let without = Agreed { comfort_noise: false, ..AGREED };
        assert_eq!(content(&without, 13, 1), Some(Content::Unknown));
    }

    #[test]
    fn a_payload_type_that_looks_like_rtcp_is_rtp_where_it_was_agreed_on() {
        let odd = Agreed { payload_type: 72, ..AGREED };
        assert!(odd.expects(72, false) && !AGREED.expects(72, false));
        assert!(!odd.expects(72, true), "RFC 5761 section 4");
    }
}
