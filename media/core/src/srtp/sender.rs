//! What we send under one key.

use super::cipher::{Cipher, Stream};
use super::index::{LAST, Window};
use super::suite::MasterKey;
use super::{RTCP_PREFIX, word_at};

/// SRTCP indices have 31 bits (RFC 3711 section 3.4).
const LAST_RTCP: u32 = (1 << 31) - 1;

/// The sending side of one key and one SSRC. An index is used once: a second packet under it would give both away.
#[derive(Debug)]
pub struct Sender {
    rtp: Cipher,
    rtcp: Cipher,
    used: Window,
    next_rtcp: u32,
}

impl Sender {
    /// A sender that has sent nothing yet; `None` never, as the lengths of a `MasterKey` are right.
    pub fn new(master: &MasterKey) -> Option<Self> {
        Some(Sender {
            rtp: Cipher::new(master, Stream::Rtp)?,
            rtcp: Cipher::new(master, Stream::Rtcp)?,
            used: Window::default(),
            next_rtcp: 0,
        })
    }

    /// Protects the packet in `data[..length]`, of which `prefix` octets stay in the clear. Returns its new length; `None`
    /// when it must not be sent: the index was used, may have been, or is beyond the last.
    #[inline]
    pub fn rtp(&mut self, data: &mut [u8], prefix: usize, length: usize, index: u64) -> Option<usize> {
        if index > LAST || !self.used.is_new(index) {
            return None;
        }
        self.used.note(index);
        let ssrc = word_at(data, 8)?;
        self.rtp.protect_rtp(data, prefix, length, ssrc, index)
    }

    /// Protects the RTCP packet in `data[..length]`. Returns its new length; `None` when the key is used up.
    pub fn rtcp(&mut self, data: &mut [u8], length: usize) -> Option<usize> {
        if length < RTCP_PREFIX || self.next_rtcp > LAST_RTCP {
            return None;
        }
        let index = self.next_rtcp;
        self.next_rtcp += 1;
        let ssrc = word_at(data, 4)?;
        self.rtcp.protect_rtcp(data, length, ssrc, index)
    }
}
