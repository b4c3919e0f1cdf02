//! The crypto suites of SDES (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14) and master keys for them.

use std::fmt;

/// What a leg's packets are protected with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES in counter mode with 128 bits, HMAC-SHA1 cut to 80 bits: what every peer has.
    AesCm128HmacSha1_80,
    /// The same with 32 bits for RTP, still 80 for RTCP.
    AesCm128HmacSha1_32,
    /// 256 bits (RFC 6188).
    AesCm256HmacSha1_80,
    /// 256 bits, 32 bits of tag for RTP.
    AesCm256HmacSha1_32,
    /// AES-GCM with 128 bits (RFC 7714).
    AeadAes128Gcm,
    /// AES-GCM with 256 bits.
    AeadAes256Gcm,
}

/// Every suite, by the name that SDP has for it.
const NAMES: [(&str, Suite); 6] = [
    ("AES_CM_128_HMAC_SHA1_80", Suite::AesCm128HmacSha1_80),
    ("AES_CM_128_HMAC_SHA1_32", Suite::AesCm128HmacSha1_32),
    ("AES_256_CM_HMAC_SHA1_80", Suite::AesCm256HmacSha1_80),
    ("AES_256_CM_HMAC_SHA1_32", Suite::AesCm256HmacSha1_32),
    ("AEAD_AES_128_GCM", Suite::AeadAes128Gcm),
    ("AEAD_AES_256_GCM", Suite::AeadAes256Gcm),
];

impl Suite {
    /// By its name in SDP.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, suite)| suite)
    }

    /// Octets of the master key, and of each session key.
    pub fn key_length(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 | Suite::AeadAes128Gcm => 16,
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 | Suite::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt, and of each session salt.
    pub fn salt_length(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// True when the cipher authenticates too.
    pub fn is_aead(self) -> bool {
        matches!(self, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm)
    }

    /// Octets of the tag of an RTP packet.
    pub fn rtp_tag(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_32 | Suite::AesCm256HmacSha1_32 => 4,
            Suite::AesCm128HmacSha1_80 | Suite::AesCm256HmacSha1_80 => 10,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    /// Octets of the tag of an RTCP packet: never the short one (RFC 4568 section 6.2.2).
    pub fn rtcp_tag(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

/// A suite with a master key and salt for it. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    octets: Vec<u8>,
}

impl MasterKey {
    /// A master key with its salt behind it, as SDP has them; `None` when the length is not the suite's.
    pub fn new(suite: Suite, octets: &[u8]) -> Option<Self> {
        let length = suite.key_length() + suite.salt_length();
        (octets.len() == length).then(|| MasterKey { suite, octets: octets.to_vec() })
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key without the salt.
    pub fn key(&self) -> &[u8] {
        &self.octets[..self.suite.key_length()]
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.octets[self.suite.key_length()..]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({:?}, ...)", self.suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_length_of_its_suite_and_is_not_printed() {
        for (name, suite) in NAMES {
            assert_eq!(Suite::from_name(name), Some(suite));
            let length = suite.key_length() + suite.salt_length();
            assert_eq!(MasterKey::new(suite, &vec![7; length - 1]), None);
            let key = MasterKey::new(suite, &vec![7; length]).unwrap();
            assert_eq!((key.key().len(), key.salt().len()), (suite.key_length(), suite.salt_length()));
            assert!(!format!("{key:?}").contains('7'), "{key:?}");
        }
        assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), None);
    }
}
