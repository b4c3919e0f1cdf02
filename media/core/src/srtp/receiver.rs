//! What a peer sends under one key: the state of each of its SSRCs.

use super::cipher::{Cipher, Stream};
use super::index::{Window, guess};
use super::suite::MasterKey;
use super::{ENCRYPTED, INDEX_WORD, RTCP_PREFIX, Rejected, rtp_prefix, word_at};

/// SSRCs of a peer that are followed at the same time. One more takes the place of the one heard longest ago.
const MOST: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// When it was heard, counted in packets of the receiver.
    heard: u64,
}

/// The highest index that was heard of an SSRC, under a key that is no longer in use.
#[derive(Debug, Clone, Copy, Default)]
struct Hint {
    ssrc: u32,
    highest: u64,
}

/// The receiving side of one key.
#[derive(Debug)]
pub struct Receiver {
    rtp: Cipher,
    rtcp: Cipher,
    /// Octets of the master key identifier that its packets carry (RFC 3711 section 3.1).
    identifier: usize,
    sources: [Source; MOST],
    count: usize,
    clock: u64,
    hints: [Hint; MOST],
    hinted: usize,
    /// A source that is known may have begun anew under the same key.
    may_restart: bool,
}

impl Receiver {
    /// A receiver that has heard nothing yet. `identifier` is the length of the MKI in octets.
    pub fn new(master: &MasterKey, identifier: usize) -> Option<Self> {
        Some(Receiver {
            rtp: Cipher::new(master, Stream::Rtp)?,
            rtcp: Cipher::new(master, Stream::Rtcp)?,
            identifier,
            sources: Default::default(),
            count: 0,
            clock: 0,
            hints: Default::default(),
            hinted: 0,
            may_restart: false,
        })
    }

    /// Takes over how far each SSRC had come under the key before: most peers keep counting.
    pub fn remember(&mut self, before: &Receiver) {
        self.hinted = 0;
        for source in &before.sources[..before.count] {
            if let Some(highest) = source.rtp.highest() {
                self.hints[self.hinted] = Hint { ssrc: source.ssrc, highest };
                self.hinted += 1;
            }
        }
    }

    /// The peer moved: until it is heard, its SSRCs may go on or begin anew at ROC 0. Authentication decides.
    pub fn expect_restart(&mut self) {
        self.may_restart = true;
    }

    /// Authenticates and decrypts an SRTP packet in place. Returns the length of what is left; of what is rejected nothing
    /// is changed.
    #[inline]
    pub fn rtp(&mut self, data: &mut [u8]) -> Result<usize, Rejected> {
        let prefix = rtp_prefix(data).ok_or(Rejected::Malformed)?;
        let ssrc = word_at(data, 8).ok_or(Rejected::Malformed)?;
        let sequence = u16::from_be_bytes([data[2], data[3]]);
        let (packet, trailer) = split(data, prefix, self.rtp.tag_length() + self.identifier)?;
        let place = if self.rtp.is_aead() { 0 } else { self.identifier };
        let tag = &trailer[place..place + self.rtp.tag_length()];
        let length = packet.len();
        match self.find(ssrc) {
            Some(place) => self.known(place, packet, (prefix, tag), sequence),
            None => self.unknown(ssrc, packet, (prefix, tag), sequence),
        }
        .map(|()| length)
    }

    #[inline]
    fn known(
        &mut self,
        place: usize,
        packet: &mut [u8],
        (prefix, tag): (usize, &[u8]),
        sequence: u16,
    ) -> Result<(), Rejected> {
        let source = &mut self.sources[place];
        let index = match source.rtp.highest() {
            Some(highest) => guess(highest, sequence),
            None => Some(u64::from(sequence)), // only RTCP was heard of it
        };
        let mut rejected = Rejected::Unauthentic;
        if let Some(index) = index {
            if !source.rtp.is_new(index) {
                rejected = Rejected::Replayed;
            } else if self.rtp.unprotect_rtp(packet, prefix, tag, source.ssrc, index) {
                source.rtp.note(index);
                self.clock += 1;
                source.heard = self.clock;
                self.may_restart = false;
                return Ok(());
            }
        }
        let anew = u64::from(sequence);
        if !self.may_restart || !self.rtp.unprotect_rtp(packet, prefix, tag, source.ssrc, anew) {
            return Err(rejected);
        }
        // What it sent before can no longer be told from a replay: nothing up to here is new.
        source.rtp = Window::closed_to(anew);
        self.may_restart = false;
        Ok(())
    }

    fn unknown(
        &mut self,
        ssrc: u32,
        packet: &mut [u8],
        (prefix, tag): (usize, &[u8]),
        sequence: u16,
    ) -> Result<(), Rejected> {
        let hint = self.hints[..self.hinted].iter().find(|hint| hint.ssrc == ssrc);
        let kept = hint.and_then(|hint| guess(hint.highest, sequence));
        let mut candidates = [kept, Some(u64::from(sequence))].into_iter().flatten();
        let index = candidates.find(|&index| self.rtp.unprotect_rtp(packet, prefix, tag, ssrc, index));
        let index = index.ok_or(Rejected::Unauthentic)?;
        self.add(ssrc).rtp.note(index);
        Ok(())
    }

    /// Authenticates and decrypts an SRTCP packet in place. Returns the length of what is left; of what is rejected nothing
    /// is changed.
    pub fn rtcp(&mut self, data: &mut [u8]) -> Result<usize, Rejected> {
        let ssrc = word_at(data, 4).ok_or(Rejected::Malformed)?;
        let tag_length = self.rtcp.tag_length();
        let (packet, trailer) = split(data, RTCP_PREFIX, tag_length + INDEX_WORD + self.identifier)?;
        // Index word, identifier, tag; or tag, index word, identifier.
        let (word, tag) =
            if self.rtcp.is_aead() { (tag_length, 0) } else { (0, INDEX_WORD + self.identifier) };
        let word = word_at(trailer, word).ok_or(Rejected::Malformed)?;
        let tag = &trailer[tag..tag + tag_length];
        let index = u64::from(word & !ENCRYPTED);
        let place = self.find(ssrc);
        if place.is_some_and(|place| !self.sources[place].rtcp.is_new(index)) && !self.may_restart {
            return Err(Rejected::Replayed);
        }
        if !self.rtcp.unprotect_rtcp(packet, tag, ssrc, word) {
            return Err(Rejected::Unauthentic);
        }
        let length = packet.len();
        let source = match place {
            Some(place) => &mut self.sources[place],
            None => self.add(ssrc),
        };
        if source.rtcp.is_new(index) {
            source.rtcp.note(index);
        } else {
            source.rtcp = Window::closed_to(index);
        }
        Ok(length)
    }

    #[inline]
    fn find(&self, ssrc: u32) -> Option<usize> {
        self.sources[..self.count].iter().position(|source| source.ssrc == ssrc)
    }

    /// A place for an SSRC that was authenticated.
    fn add(&mut self, ssrc: u32) -> &mut Source {
        self.clock += 1;
        let place = if self.count < MOST {
            self.count += 1;
            self.count - 1
        } else {
            let oldest = self.sources.iter().enumerate().min_by_key(|(_, source)| source.heard);
            oldest.map_or(0, |(place, _)| place)
        };
        self.sources[place] = Source { ssrc, heard: self.clock, ..Source::default() };
        &mut self.sources[place]
    }
}

/// The packet and what trails it. A master key identifier in the trailer names the only key we have of the peer, so its
/// value decides nothing.
#[inline]
fn split(data: &mut [u8], prefix: usize, trailer: usize) -> Result<(&mut [u8], &[u8]), Rejected> {
    let length = data.len().checked_sub(trailer).filter(|&length| length >= prefix);
    let (packet, trailer) = data.split_at_mut(length.ok_or(Rejected::Malformed)?);
    Ok((packet, trailer))
}
