//! RTCP on the wire (RFC 3550 section 6): the compound packets we send, and what we read in those we receive.
//!
//! We send a report, SDES with a CNAME, and BYE at the end. Of what comes in we use sender reports and the report
//! blocks about us; everything else (other SDES items, APP, feedback, extended reports) is stepped over.

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// The only source description item we send.
const CNAME: u8 = 1;
/// Octets of a CNAME: 96 random bits in base64 (RFC 7022 section 4.2).
pub const CNAME_LENGTH: usize = 16;
/// The longest compound packet of ours: sender report with one block, CNAME, BYE.
pub const LONGEST: usize = 28 + 24 + 28 + 8;

/// What a sender says of its stream (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Wall clock as an NTP timestamp.
    pub ntp: u64,
    /// The same instant in the stream's ticks.
    pub timestamp: u32,
    /// Packets since the stream began.
    pub packets: u32,
    /// Payload octets since the stream began.
    pub octets: u32,
}

/// A report block: what a receiver says of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// The stream it is about.
    pub ssrc: u32,
    /// Loss since the report before, in 256ths.
    pub fraction: u8,
    /// Loss since the stream began; negative when duplicates came. 24 bits on the wire.
    pub lost: i32,
    /// Extended highest sequence number received.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// The middle 32 bits of the NTP timestamp in the last sender report of that stream; 0 for none.
    pub last_report: u32,
    /// How long ago that one came, in units of 1/65536 s.
    pub delay: u32,
}

/// A compound packet to be sent.
#[derive(Debug)]
pub struct Compound {
    octets: [u8; LONGEST],
    length: usize,
}

impl Compound {
    /// A report (a sender report when there is something to say as a sender) and the CNAME.
    pub fn new(ssrc: u32, sender: Option<Sender>, block: Option<Block>, name: &[u8; CNAME_LENGTH]) -> Self {
        let mut compound = Compound { octets: [0; LONGEST], length: 0 };
        compound.report(ssrc, sender, block);
        compound.description(ssrc, name);
        compound
    }

    /// Adds a BYE, as the last packet.
    #[must_use]
    pub fn with_goodbye(mut self, ssrc: u32) -> Self {
        self.header(1, GOODBYE, 4);
        self.put(&ssrc.to_be_bytes());
        self
    }

    /// What goes on the wire.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn report(&mut self, ssrc: u32, sender: Option<Sender>, block: Option<Block>) {
        let kind = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
        let body = 4 + sender.map_or(0, |_| 20) + block.map_or(0, |_| 24);
        self.header(u8::from(block.is_some()), kind, body);
        self.put(&ssrc.to_be_bytes());
        if let Some(sender) = sender {
            self.put(&sender.ntp.to_be_bytes());
            self.put(&sender.timestamp.to_be_bytes());
            self.put(&sender.packets.to_be_bytes());
            self.put(&sender.octets.to_be_bytes());
        }
        if let Some(block) = block {
            self.put(&block.ssrc.to_be_bytes());
            let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            self.put(&(u32::from(block.fraction) << 24 | lost).to_be_bytes());
            self.put(&block.highest.to_be_bytes());
            self.put(&block.jitter.to_be_bytes());
            self.put(&block.last_report.to_be_bytes());
            self.put(&block.delay.to_be_bytes());
        }
    }

    fn description(&mut self, ssrc: u32, name: &[u8; CNAME_LENGTH]) {
        self.header(1, SOURCE_DESCRIPTION, 24);
        self.put(&ssrc.to_be_bytes());
        self.put(&[CNAME, CNAME_LENGTH as u8]);
        self.put(name);
        // The list of items ends with a null octet, and the chunk on a multiple of four.
        self.put(&[0, 0]);
    }

    /// `body` is in octets, a multiple of four.
    fn header(&mut self, count: u8, kind: u8, body: u16) {
        let [high, low] = (body / 4).to_be_bytes();
        self.put(&[0x80 | count, kind, high, low]);
    }

    fn put(&mut self, octets: &[u8]) {
        let end = self.length + octets.len();
        self.octets[self.length..end].copy_from_slice(octets);
        self.length = end;
    }
}

/// What a received compound packet says that matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// SSRC of a sender report, and the middle 32 bits of its NTP timestamp.
    pub sender: Option<(u32, u32)>,
    /// What is said about our stream.
    pub block: Option<Block>,
}

/// Reads a compound packet by the rules of RFC 3550 A.2; `None` when it is not one, or contradicts itself.
pub fn read(data: &[u8], ours: u32) -> Option<Received> {
    let mut received = Received::default();
    let mut rest = data;
    let mut first = true;
    while !rest.is_empty() {
        let header: &[u8; 4] = rest.first_chunk()?;
        let length = 4 + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (packet, others) = (rest.get(..length)?, &rest[length..]);
        let report = matches!(header[1], SENDER_REPORT | RECEIVER_REPORT);
        // Padding belongs to the last packet, a report comes first.
        let padded = header[0] & 0x20 != 0;
        if header[0] >> 6 != 2 || (first && !report) || (padded && !others.is_empty()) {
            return None;
        }
        if report {
            read_report(packet, ours, &mut received)?;
        }
        (rest, first) = (others, false);
    }
    (!first).then_some(received)
}

fn read_report(packet: &[u8], ours: u32, received: &mut Received) -> Option<()> {
    let ssrc = word(packet, 4)?;
    let mut start = 8;
    if packet[1] == SENDER_REPORT {
        let middle = word(packet, 8)? << 16 | word(packet, 12)? >> 16;
        word(packet, 24)?;
        received.sender = Some((ssrc, middle));
        start = 28;
    }
    for _ in 0..packet[0] & 0x1f {
        let block = read_block(packet.get(start..start + 24)?)?;
        if block.ssrc == ours {
            received.block = Some(block);
        }
        start += 24;
    }
    Some(())
}

fn read_block(octets: &[u8]) -> Option<Block> {
    let loss = word(octets, 4)?;
    Some(Block {
        ssrc: word(octets, 0)?,
        fraction: (loss >> 24) as u8,
        // The sign of 24 bits.
        lost: (loss << 8) as i32 >> 8,
        highest: word(octets, 8)?,
        jitter: word(octets, 12)?,
        last_report: word(octets, 16)?,
        delay: word(octets, 20)?,
    })
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*octets.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8; CNAME_LENGTH] = b"0123456789abcdef";
    const BLOCK: Block = Block {
        ssrc: 9,
        fraction: 64,
        lost: -3,
        highest: 70_000,
        jitter: 5,
        last_report: 0x1234_5678,
        delay: 7,
    };

    fn report() -> Vec<u8> {
        let sender = Sender { ntp: 0x1111_2222_3333_4444, timestamp: 160, packets: 1, octets: 160 };
        Compound::new(7, Some(sender), Some(BLOCK), NAME).with_goodbye(7).octets().to_vec()
    }

    #[test]
    fn the_longest_packet_is_read_back_and_fills_its_buffer() {
        let data = report();
        assert_eq!(data.len(), LONGEST);
        let expected = Received { sender: Some((7, 0x2222_3333)), block: Some(BLOCK) };
        assert_eq!(read(&data, 9), Some(expected));
        assert_eq!(read(&data, 8), Some(Received { block: None, ..expected }), "about somebody else");
    }

    #[test]
    fn a_receiver_without_anything_to_report_still_names_itself() {
        let compound = Compound::new(7, None, None, NAME);
        assert_eq!(&compound.octets()[..8], &[0x80, 201, 0, 1, 0, 0, 0, 7]);
        assert_eq!(&compound.octets()[8..18], &[0x81, 202, 0, 6, 0, 0, 0, 7, 1, 16]);
        assert_eq!(compound.octets().len(), 36);
        assert_eq!(read(compound.octets(), 7), Some(Received::default()));
    }

    #[test]
    fn loss_beyond_24_bits_stays_at_their_edge() {
        let block = Block { lost: i32::MAX, ..BLOCK };
        let data = Compound::new(7, None, Some(block), NAME);
        assert_eq!(read(data.octets(), 9).unwrap().block.unwrap().lost, 0x7f_ffff);
    }

    #[test]
    fn what_is_no_compound_packet_is_refused() {
        assert_eq!(read(&[], 9), None);
        let data = report();
        for length in (1..data.len()).filter(|length| ![52, 80].contains(length)) {
            assert_eq!(read(&data[..length], 9), None, "cut off after {length} octets");
        }
        assert_eq!(read(&data[52..], 9), None, "no report first");
        let mut version = data.clone();
        version[52] = 0x41;
        assert_eq!(read(&version, 9), None, "version 1 further on");
        let mut blocks = data.clone();
        blocks[0] = 0x82;
        assert_eq!(read(&blocks, 9), None, "a block that is not there");
        let mut padded = data;
        padded[0] |= 0x20;
        assert_eq!(read(&padded, 9), None, "padding before the end");
    }

    #[test]
    fn packets_of_other_kinds_are_stepped_over() {
        let mut data = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        data.extend_from_slice(&[0x80, 204, 0, 2, 0, 0, 0, 7, b'n', b'a', b'm', b'e']);
        data.extend_from_slice(&[0x80, 207, 0, 0]);
        assert_eq!(read(&data, 9), Some(Received::default()));
    }
}
