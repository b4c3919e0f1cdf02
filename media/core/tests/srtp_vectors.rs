//! Known answers of RFC 3711 B.2 and B.3, RFC 6188 section 7 and RFC 7714 sections 16 and 17, and whole packets of libsrtp.
//! Where they come from: `tests/rfc/data/srtp-vectors/NOTE.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use _native::srtp::{Cipher, MasterKey, Receiver, Sender, Stream, Suite, derive};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rfc/data/srtp-vectors/srtp_vectors.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[kind].as_array().unwrap().clone()
}

fn octets(vector: &Value, name: &str) -> Vec<u8> {
    let text = vector[name].as_str().unwrap_or_else(|| panic!("no {name} in {vector}"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn number(vector: &Value, name: &str) -> u64 {
    vector[name].as_u64().unwrap()
}

/// The suite of a whole packet; `None` for what we do not have.
fn suite(vector: &Value) -> Option<Suite> {
    let name = vector["suite"].as_str().unwrap().split(' ').next().unwrap();
    let suite = Suite::from_name(name);
    let known_unknown = ["NULL_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_80"].contains(&name);
    assert!(suite.is_some() != known_unknown, "{name}");
    suite
}

fn master(vector: &Value, suite: Suite) -> MasterKey {
    let key = [octets(vector, "master_key"), octets(vector, "master_salt")].concat();
    MasterKey::new(suite, &key).unwrap()
}

fn with_room(packet: &[u8]) -> Vec<u8> {
    [packet, &[0; 40]].concat()
}

#[test]
fn keys_are_derived() {
    for vector in vectors("kdf") {
        let mut derived = vec![0; octets(&vector, "expected").len()];
        let label = u8::try_from(number(&vector, "label")).unwrap();
        derive(&master(&vector, Suite::AesCm128HmacSha1_80), label, &mut derived);
        assert_eq!(derived, octets(&vector, "expected"), "{vector}");
    }
}

#[test]
fn the_keystream_is_that_of_the_rfcs() {
    for vector in vectors("aes_cm_keystream") {
        let key = octets(&vector, "session_key");
        let suite = match key.len() {
            16 => Suite::AesCm128HmacSha1_80,
            32 => Suite::AesCm256HmacSha1_80,
            _ => continue, // AES-192
        };
        let salt = octets(&vector, "session_salt");
        let cipher = Cipher::with_session_keys(suite, Stream::Rtp, &key, &salt, &[0; 20]).unwrap();
        let mut packet = with_room(&[0; 12 + 32]);
        cipher.protect_rtp(&mut packet, 12, 12 + 32, 0, number(&vector, "index")).unwrap();
        assert_eq!(packet[12..44], octets(&vector, "expected_first_32"), "{vector}");
    }
}

#[test]
fn whole_packets_are_protected_and_read() {
    let mut seen = 0;
    for vector in vectors("srtp_packets") {
        let Some(suite) = suite(&vector) else { continue };
        let (plain, expected) = (octets(&vector, "rtp"), octets(&vector, "expected"));
        let identifier = vector["mki"].as_str().map_or(0, |text| text.len() / 2);
        if identifier == 0 {
            let mut packet = with_room(&plain);
            let index = u64::from(u16::from_be_bytes([plain[2], plain[3]]));
            let mut sender = Sender::new(&master(&vector, suite)).unwrap();
            let length = sender.rtp(&mut packet, 12, plain.len(), index).unwrap();
            assert_eq!(packet[..length], expected, "{vector}");
            assert_eq!(sender.rtp(&mut packet, 12, plain.len(), index), None, "an index is used once");
        }
        let mut receiver = Receiver::new(&master(&vector, suite), identifier).unwrap();
        let mut packet = expected;
        let length = receiver.rtp(&mut packet).unwrap();
        assert_eq!(packet[..length], plain, "{vector}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn whole_reports_are_protected_and_read() {
    for vector in vectors("srtcp_packets") {
        let suite = suite(&vector).unwrap();
        let (plain, expected) = (octets(&vector, "rtcp"), octets(&vector, "expected"));
        let mut sender = Sender::new(&master(&vector, suite)).unwrap();
        for _ in 0..number(&vector, "srtcp_index") {
            sender.rtcp(&mut with_room(&plain), plain.len()).unwrap();
        }
        let mut packet = with_room(&plain);
        let length = sender.rtcp(&mut packet, plain.len()).unwrap();
        assert_eq!(packet[..length], expected, "{vector}");
        let mut receiver = Receiver::new(&master(&vector, suite), 0).unwrap();
        let length = receiver.rtcp(&mut packet[..length]).unwrap();
        assert_eq!(packet[..length], plain, "{vector}");
    }
}

#[test]
fn gcm_is_that_of_rfc_7714() {
    for vector in vectors("aead_session_keys") {
        let key = octets(&vector, "session_key");
        let suite = if key.len() == 16 { Suite::AeadAes128Gcm } else { Suite::AeadAes256Gcm };
        let rtcp = vector["kind"] == "srtcp";
        let stream = if rtcp { Stream::Rtcp } else { Stream::Rtp };
        let salt = octets(&vector, "session_salt");
        let cipher = Cipher::with_session_keys(suite, stream, &key, &salt, &[]).unwrap();
        let plain = octets(&vector, if rtcp { "rtcp" } else { "rtp" });
        let ssrc = u32::from_be_bytes(*plain[if rtcp { 4 } else { 8 }..].first_chunk().unwrap());
        let mut packet = with_room(&plain);
        let length = if rtcp {
            let index = u32::try_from(number(&vector, "srtcp_index")).unwrap();
            cipher.protect_rtcp(&mut packet, plain.len(), ssrc, index)
        } else {
            let index = number(&vector, "roc") << 16 | u64::from(u16::from_be_bytes([plain[2], plain[3]]));
            cipher.protect_rtp(&mut packet, 12, plain.len(), ssrc, index)
        };
        assert_eq!(packet[..length.unwrap()], octets(&vector, "expected"), "{vector}");
    }
}
