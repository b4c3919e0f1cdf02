//! SRTP and SRTCP (RFC 3711) with the suites of RFC 4568, RFC 6188 and RFC 7714, in place and without allocation.
//!
//! The two directions of a leg have a key each, told in SDP by whoever sends under it. [`Sender`] gives each of our
//! packets its index and never uses one twice; [`Receiver`] keeps the state of each SSRC that was authenticated, finds the
//! index of a packet, and lets nothing through that is forged or was heard before. [`Protection`] is both for one leg, with
//! what happens when keys or addresses change.
//!
//! The primitives are RustCrypto's. What is ours is the framing: key derivation, initialisation vectors, rollover counter
//! (ROC), replay window.

mod cipher;
mod derivation;
mod index;
mod protection;
mod receiver;
mod sender;
mod suite;

pub use cipher::{Cipher, Stream};
pub use derivation::derive;
pub use index::{Window, guess};
pub use protection::{Keys, Protection};
pub use receiver::Receiver;
pub use sender::Sender;
pub use suite::{MasterKey, Suite};

/// The most octets that protection adds behind a packet of ours: SRTCP under GCM, tag and index.
pub const MAX_TRAILER: usize = 16 + 4;

/// Octets of the index word of SRTCP: the E bit and 31 bits (RFC 3711 section 3.4).
const INDEX_WORD: usize = 4;
/// The E bit: this SRTCP packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Why a packet was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Too short, or a header that runs past the end.
    Malformed,
    /// It is not of who has the key.
    Unauthentic,
    /// It was heard before, or is too old to tell.
    Replayed,
}

/// Where the payload of an RTP packet begins, which stays in the clear before it: fixed header, contributing sources,
/// extension. `None` when that is not RTP version 2 or runs past the end.
fn rtp_prefix(data: &[u8]) -> Option<usize> {
    crate::rtp::prefix(data).filter(|&prefix| prefix <= data.len())
}

/// Octets of an RTCP packet that stay in the clear: the first header and the sender's SSRC.
const RTCP_PREFIX: usize = 8;

/// 32 bits of a packet: an SSRC, or the index word of SRTCP.
#[inline]
fn word_at(data: &[u8], offset: usize) -> Option<u32> {
    data.get(offset..offset + 4)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}
