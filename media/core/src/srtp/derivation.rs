//! Session keys from a master key (RFC 3711 section 4.3): AES in counter mode over a label and the salt.
//!
//! The key derivation rate is 0, the only one that SDES peers use: each key is derived once.

use super::cipher::Counter;
use super::suite::MasterKey;

/// What a derived key is for (RFC 3711 section 4.3.2); the ones for RTCP are three above those for RTP.
pub const ENCRYPTION: u8 = 0;
/// Key of the message authentication code.
pub const AUTHENTICATION: u8 = 1;
/// Session salt.
pub const SALT: u8 = 2;
/// Added to the labels for RTCP.
pub const FOR_RTCP: u8 = 3;

/// Fills `key` with the session key for a label. A salt of 96 bits counts as one of 112 whose end is zero
/// (RFC 7714 section 11).
pub fn derive(master: &MasterKey, label: u8, key: &mut [u8]) {
    let mut counter = [0; 16];
    let salt = master.salt();
    counter[..salt.len()].copy_from_slice(salt);
    counter[7] ^= label;
    key.fill(0);
    if let Some(cipher) = Counter::new(master.key()) {
        cipher.apply(&counter, key);
    }
}
