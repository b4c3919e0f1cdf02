//! RTP headers (RFC 3550 section 5.1): reading them in place and writing our own in front of a payload.

use std::ops::Range;

/// Octets of a header without contributing sources and extension, the only kind we send.
pub const HEADER: usize = 12;

/// Comfort noise on an 8 kHz clock (RFC 3389 section 4).
pub const COMFORT_NOISE: u8 = 13;

/// The largest datagram we take: an Ethernet frame holds less, so more is not audio.
pub const MAX_DATAGRAM: usize = 2048;

/// A datagram with room for what SRTP adds behind it.
pub type Buffer = [u8; MAX_DATAGRAM + crate::srtp::MAX_TRAILER];

/// What a received header says, and where its payload lies in the datagram (padding excluded).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talk spurt or of an event.
    pub marker: bool,
    /// 0..=127.
    pub payload_type: u8,
    /// Sequence number as on the wire.
    pub sequence: u16,
    /// In ticks of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Never empty.
    pub payload: Range<usize>,
}

/// Where the payload begins: behind the fixed header, contributing sources and extension. `None` for what is not RTP
/// version 2, or too short to say; it may lie beyond the end of what is cut off.
#[inline]
pub fn prefix(data: &[u8]) -> Option<usize> {
    let fixed: &[u8; HEADER] = data.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut start = HEADER + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let extension = data.get(start..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    Some(start)
}

/// Reads a header; `None` for anything that is not RTP version 2 with a payload.
pub fn parse(data: &[u8]) -> Option<Header> {
    let start = prefix(data).filter(|_| data.len() <= MAX_DATAGRAM)?;
    let fixed: &[u8; HEADER] = data.first_chunk()?;
    let mut end = data.len();
    if fixed[0] & 0x20 != 0 {
        let padding = usize::from(*data.last()?);
        if padding == 0 {
            return None;
        }
        end = end.checked_sub(padding)?;
    }
    if start >= end {
        return None;
    }
    Some(Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        payload: start..end,
    })
}

/// True for RTCP that came to the RTP port (RFC 5761 section 4): packet types 192..=223 are no RTP of ours.
pub fn is_rtcp(data: &[u8]) -> bool {
    data.len() >= 8 && data[0] >> 6 == 2 && (192..=223).contains(&data[1])
}

/// Writes a plain header: version 2, no padding, extension or contributing sources.
pub fn write(
    header: &mut [u8; HEADER],
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
) {
    header[0] = 0x80;
    header[1] = payload_type & 0x7f | u8::from(marker) << 7;
    header[2..4].copy_from_slice(&sequence.to_be_bytes());
    header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    header[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut data = vec![first, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
        data.extend_from_slice(rest);
        data
    }

    #[test]
    fn a_plain_packet_is_read() {
        let header = parse(&packet(0x80, &[1, 2, 3])).unwrap();
        assert!(header.marker);
        assert_eq!((header.payload_type, header.sequence), (0, 0x1234));
        assert_eq!((header.timestamp, header.ssrc), (160, 0xdead_beef));
        assert_eq!(header.payload, 12..15);
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_stepped_over() {
        let mut rest = vec![0; 4];
        rest.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        rest.extend_from_slice(&[7, 7, 0, 2]);
        assert_eq!(parse(&packet(0xb1, &rest)).unwrap().payload, 24..26);
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&packet(0x40, &[1])), None, "version 1");
        assert_eq!(parse(&packet(0x80, &[])), None, "no payload");
        assert_eq!(parse(&packet(0xa0, &[1, 0])), None, "padding of nothing");
        assert_eq!(parse(&packet(0xa0, &[1, 200])), None, "padding longer than the packet");
        assert_eq!(parse(&packet(0x8f, &[1])), None, "sources beyond the end");
        assert_eq!(parse(&packet(0x90, &[0, 0, 0xff, 0xff, 1])), None, "extension beyond the end");
        assert_eq!(parse(&vec![0x80; MAX_DATAGRAM + 1]), None, "too large");
    }

    #[test]
    fn rtcp_on_the_rtp_port_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 1, 0, 0, 0, 1]));
        assert!(!is_rtcp(&packet(0x80, &[1])));
    }
}
