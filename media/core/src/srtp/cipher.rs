//! The session ciphers of one key: a packet and its index to octets on the wire, and back.
//!
//! AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1, RFC 6188) keeps the salt in the counter block and
//! authenticates the ROC behind the packet; AES-GCM (RFC 7714 sections 8 and 9) takes both into its nonce.

use super::derivation::{AUTHENTICATION, ENCRYPTION, FOR_RTCP, SALT, derive};
use super::suite::{MasterKey, Suite};
use super::{ENCRYPTED, INDEX_WORD, RTCP_PREFIX};
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, Tag};
use ctr::{Ctr128BE, CtrCore};
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// Whether packets are RTP or RTCP: each has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
}

/// AES in counter mode.
pub(super) enum Counter {
    /// 128 bits.
    Short(Aes128),
    /// 256 bits.
    Long(Aes256),
}

impl Counter {
    /// By the length of the key, 16 or 32 octets.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Counter::Short),
            32 => Aes256::new_from_slice(key).ok().map(Counter::Long),
            _ => None,
        }
    }

    /// Adds the keystream that begins at a counter block.
    #[inline]
    pub(super) fn apply(&self, counter: &[u8; 16], data: &mut [u8]) {
        match self {
            Counter::Short(aes) => {
                Ctr128BE::from_core(CtrCore::inner_iv_init(aes, counter.into())).apply_keystream(data);
            }
            Counter::Long(aes) => {
                Ctr128BE::from_core(CtrCore::inner_iv_init(aes, counter.into())).apply_keystream(data);
            }
        }
    }
}

enum Kind {
    CounterMode { counter: Counter, mac: Hmac<Sha1>, salt: [u8; 14] },
    Gcm128(Aes128Gcm, [u8; 12]),
    Gcm256(Aes256Gcm, [u8; 12]),
}

/// The session keys for RTP, or those for RTCP, of one master key.
pub struct Cipher {
    kind: Kind,
    tag: usize,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cipher(...)")
    }
}

impl Cipher {
    /// Derives the session keys.
    pub fn new(master: &MasterKey, stream: Stream) -> Option<Self> {
        let suite = master.suite();
        let base = if stream == Stream::Rtp { 0 } else { FOR_RTCP };
        let (mut key, mut salt, mut authentication) = ([0; 32], [0; 14], [0; 20]);
        let key = &mut key[..suite.key_length()];
        derive(master, base + ENCRYPTION, key);
        derive(master, base + SALT, &mut salt[..suite.salt_length()]);
        derive(master, base + AUTHENTICATION, &mut authentication);
        Self::with_session_keys(suite, stream, key, &salt[..suite.salt_length()], &authentication)
    }

    /// From session keys. `authentication` does not matter to AEAD suites. `None` when a length is wrong.
    pub fn with_session_keys(
        suite: Suite,
        stream: Stream,
        key: &[u8],
        salt: &[u8],
        authentication: &[u8],
    ) -> Option<Self> {
        let kind = match suite {
            Suite::AeadAes128Gcm => Kind::Gcm128(Aes128Gcm::new_from_slice(key).ok()?, salt.try_into().ok()?),
            Suite::AeadAes256Gcm => Kind::Gcm256(Aes256Gcm::new_from_slice(key).ok()?, salt.try_into().ok()?),
            _ => Kind::CounterMode {
                counter: Counter::new(key)?,
                mac: Hmac::new_from_slice(authentication).ok()?,
                salt: salt.try_into().ok()?,
            },
        };
        let tag = if stream == Stream::Rtp { suite.rtp_tag() } else { suite.rtcp_tag() };
        Some(Cipher { kind, tag })
    }

    /// Octets of the tag.
    #[inline]
    pub fn tag_length(&self) -> usize {
        self.tag
    }

    /// True when the tag stands before what else trails a packet (RFC 7714), not behind it (RFC 3711).
    #[inline]
    pub fn is_aead(&self) -> bool {
        !matches!(self.kind, Kind::CounterMode { .. })
    }

    /// Protects the RTP packet in `data[..length]`, whose payload begins at `prefix`. Returns its new length; `None` when
    /// `data` has no room for the tag.
    #[inline]
    pub fn protect_rtp(
        &self,
        data: &mut [u8],
        prefix: usize,
        length: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        let end = length + self.tag;
        let (packet, tag) = data.get_mut(..end)?.split_at_mut_checked(length)?;
        match &self.kind {
            Kind::CounterMode { counter, mac, salt } => {
                counter.apply(&counter_block(salt, ssrc, index), packet.get_mut(prefix..)?);
                let code = authenticate(mac, packet, rollover(index));
                tag.copy_from_slice(&code[..self.tag]);
            }
            _ => {
                let (header, payload) = packet.split_at_mut_checked(prefix)?;
                tag.copy_from_slice(&self.seal(&rtp_nonce(ssrc, index), header, payload)?);
            }
        }
        Some(end)
    }

    /// Authenticates an RTP packet under an index and decrypts it in place. False, and nothing is changed, when it is forged
    /// or the index is another.
    #[inline]
    pub fn unprotect_rtp(&self, packet: &mut [u8], prefix: usize, tag: &[u8], ssrc: u32, index: u64) -> bool {
        let Some((header, payload)) = packet.split_at_mut_checked(prefix) else {
            return false;
        };
        match &self.kind {
            Kind::CounterMode { counter, mac, salt } => {
                let code = mac.clone().chain_update(&*header).chain_update(&*payload);
                let genuine = code.chain_update(rollover(index)).verify_truncated_left(tag).is_ok();
                if genuine {
                    counter.apply(&counter_block(salt, ssrc, index), payload);
                }
                genuine
            }
            _ => self.open(&rtp_nonce(ssrc, index), header, payload, tag).is_some(),
        }
    }

    /// Protects the RTCP packet in `data[..length]`. Returns its new length; `None` when it is too short to be one or
    /// `data` has no room for index and tag.
    pub fn protect_rtcp(&self, data: &mut [u8], length: usize, ssrc: u32, index: u32) -> Option<usize> {
        let end = length + self.tag + INDEX_WORD;
        let word = (index | ENCRYPTED).to_be_bytes();
        let (packet, trailer) = data.get_mut(..end)?.split_at_mut_checked(length)?;
        match &self.kind {
            Kind::CounterMode { counter, mac, salt } => {
                let block = counter_block(salt, ssrc, u64::from(index));
                counter.apply(&block, packet.get_mut(RTCP_PREFIX..)?);
                let (index, tag) = trailer.split_at_mut(INDEX_WORD);
                index.copy_from_slice(&word);
                tag.copy_from_slice(&authenticate(mac, packet, word)[..self.tag]);
            }
            _ => {
                let (header, payload) = packet.split_at_mut_checked(RTCP_PREFIX)?;
                let associated = rtcp_associated(header, word)?;
                let (tag, index) = trailer.split_at_mut(self.tag);
                tag.copy_from_slice(&self.seal(&rtcp_nonce(ssrc, word), &associated, payload)?);
                index.copy_from_slice(&word);
            }
        }
        Some(end)
    }

    /// Authenticates an RTCP packet with its index word and decrypts it in place, if the word says that it is encrypted.
    /// False, and nothing is changed, when it is forged.
    pub fn unprotect_rtcp(&self, packet: &mut [u8], tag: &[u8], ssrc: u32, word: u32) -> bool {
        let encrypted = word & ENCRYPTED != 0;
        let octets = word.to_be_bytes();
        let length = packet.len();
        let Some((header, payload)) = packet.split_at_mut_checked(RTCP_PREFIX) else {
            return false;
        };
        match &self.kind {
            Kind::CounterMode { counter, mac, salt } => {
                let code = mac.clone().chain_update(&*header).chain_update(&*payload);
                let genuine = code.chain_update(octets).verify_truncated_left(tag).is_ok();
                if genuine && encrypted {
                    let block = counter_block(salt, ssrc, u64::from(word & !ENCRYPTED));
                    counter.apply(&block, payload);
                }
                genuine
            }
            _ if encrypted => rtcp_associated(header, octets)
                .and_then(|associated| self.open(&rtcp_nonce(ssrc, octets), &associated, payload, tag))
                .is_some(),
            _ => {
                // All of it is associated data (RFC 7714 section 9.3); longer than this is no report of a call.
                let mut associated = [0; 512];
                let Some(known) = associated.get_mut(..length + INDEX_WORD) else {
                    return false;
                };
                known[..length].copy_from_slice(packet);
                known[length..].copy_from_slice(&octets);
                self.open(&rtcp_nonce(ssrc, octets), known, &mut [], tag).is_some()
            }
        }
    }

    fn seal(&self, nonce: &[u8; 12], associated: &[u8], payload: &mut [u8]) -> Option<Tag> {
        match &self.kind {
            Kind::Gcm128(gcm, salt) => {
                gcm.encrypt_inout_detached(&mixed(nonce, salt).into(), associated, payload.into()).ok()
            }
            Kind::Gcm256(gcm, salt) => {
                gcm.encrypt_inout_detached(&mixed(nonce, salt).into(), associated, payload.into()).ok()
            }
            Kind::CounterMode { .. } => None,
        }
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], payload: &mut [u8], tag: &[u8]) -> Option<()> {
        let tag = Tag::try_from(tag).ok()?;
        match &self.kind {
            Kind::Gcm128(gcm, salt) => {
                gcm.decrypt_inout_detached(&mixed(nonce, salt).into(), associated, payload.into(), &tag).ok()
            }
            Kind::Gcm256(gcm, salt) => {
                gcm.decrypt_inout_detached(&mixed(nonce, salt).into(), associated, payload.into(), &tag).ok()
            }
            Kind::CounterMode { .. } => None,
        }
    }
}

/// The first counter block of a packet (RFC 3711 section 4.1.1): salt, SSRC and index added up, 16 bits of counter.
#[inline]
fn counter_block(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..14].copy_from_slice(salt);
    (u128::from_be_bytes(wide) ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16).to_be_bytes()
}

/// The ROC of an index, as it is authenticated.
#[inline]
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[inline]
fn authenticate(mac: &Hmac<Sha1>, packet: &[u8], behind: [u8; 4]) -> [u8; 20] {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(&behind);
    mac.finalize().into_bytes().into()
}

/// RFC 7714 section 8.1, before the salt.
#[inline]
fn rtp_nonce(ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
    nonce
}

/// RFC 7714 section 9.1, before the salt.
fn rtcp_nonce(ssrc: u32, word: [u8; 4]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[8..].copy_from_slice(&word);
    nonce[8] &= 0x7f;
    nonce
}

#[inline]
fn mixed(nonce: &[u8; 12], salt: &[u8; 12]) -> [u8; 12] {
    std::array::from_fn(|place| nonce[place] ^ salt[place])
}

/// What authenticates an encrypted SRTCP packet beside its payload (RFC 7714 section 9.2).
fn rtcp_associated(header: &[u8], word: [u8; 4]) -> Option<[u8; RTCP_PREFIX + INDEX_WORD]> {
    let mut associated = [0; RTCP_PREFIX + INDEX_WORD];
    associated[..RTCP_PREFIX].copy_from_slice(header.get(..RTCP_PREFIX)?);
    associated[RTCP_PREFIX..].copy_from_slice(&word);
    Some(associated)
}
