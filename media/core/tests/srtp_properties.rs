//! SRTP over random streams: what was sent is read back once, whatever the network does to it; what was not sent never is.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use _native::rtp;
use _native::srtp::{Keys, MAX_TRAILER, MasterKey, Protection, Receiver, Rejected, Sender, Suite};
use proptest::prelude::*;
use std::collections::HashSet;

const SUITES: [Suite; 6] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
];

fn master(suite: Suite, seed: u8) -> MasterKey {
    let length = suite.key_length() + suite.salt_length();
    MasterKey::new(suite, &(0..length).map(|n| n as u8 ^ seed).collect::<Vec<_>>()).unwrap()
}

/// A packet whose payload says which one it is.
fn plain(ssrc: u32, index: u64) -> Vec<u8> {
    let mut data = vec![0; rtp::HEADER];
    rtp::write(data.first_chunk_mut().unwrap(), false, 0, index as u16, index as u32 * 160, ssrc);
    data.extend_from_slice(&index.to_be_bytes());
    data
}

fn protected(sender: &mut Sender, ssrc: u32, index: u64) -> Vec<u8> {
    let mut data = plain(ssrc, index);
    let length = data.len();
    data.resize(length + MAX_TRAILER, 0);
    let length = sender.rtp(&mut data, rtp::HEADER, length, index).unwrap();
    data.truncate(length);
    data
}

fn read(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut data = packet.to_vec();
    let result = receiver.rtp(&mut data);
    match result {
        Ok(length) => data.truncate(length),
        Err(_) => assert_eq!(data, packet, "what is rejected is left as it was"),
    }
    result.map(|_| data)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Loss (gaps up to nearly half way round), reordering, repetition and two sources, over several rollovers.
    #[test]
    fn what_is_sent_is_read_once(
        suite in prop::sample::select(SUITES.to_vec()),
        start in 0..0x8000_u64,
        steps in proptest::collection::vec((0..10_u8, 1..30_000_u64, 1..4_usize), 1..120),
    ) {
        let mut sender = [Sender::new(&master(suite, 1)).unwrap(), Sender::new(&master(suite, 1)).unwrap()];
        let mut receiver = Receiver::new(&master(suite, 1), 0).unwrap();
        let mut next = [start, start];
        let mut held: Vec<(u32, u64, Vec<u8>)> = Vec::new();
        let mut seen = HashSet::new();
        for (fate, gap, copies) in steps {
            let which = usize::from(fate % 2);
            let ssrc = 100 + which as u32;
            let first = next[which] == start;
            next[which] += if fate < 2 && !first { gap } else { 1 };
            let packet = (ssrc, next[which], protected(&mut sender[which], ssrc, next[which]));
            if fate == 3 && held.len() < 8 && !first {
                held.push(packet); // overtaken by those that follow
                continue;
            }
            for (ssrc, index, octets) in std::iter::repeat_n(packet, copies).chain(held.drain(..)) {
                let known = next[(ssrc - 100) as usize] - index >= 64;
                match read(&mut receiver, &octets) {
                    Ok(data) => {
                        prop_assert_eq!(data, plain(ssrc, index));
                        prop_assert!(seen.insert((ssrc, index)), "read twice");
                    }
                    Err(rejected) => {
                        prop_assert_eq!(rejected, Rejected::Replayed);
                        prop_assert!(known || seen.contains(&(ssrc, index)), "lost {}", index);
                    }
                }
            }
        }
    }

    #[test]
    fn no_flipped_bit_gets_through(
        suite in prop::sample::select(SUITES.to_vec()), index in 0..0x8000_u64, at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let mut sender = Sender::new(&master(suite, 1)).unwrap();
        let mut receiver = Receiver::new(&master(suite, 1), 0).unwrap();
        let genuine = protected(&mut sender, 7, index);
        let mut forged = genuine.clone();
        forged[at.index(genuine.len())] ^= 1_u8 << bit;
        prop_assert!(read(&mut receiver, &forged).is_err());
        prop_assert_eq!(read(&mut receiver, &genuine).unwrap(), plain(7, index), "and nothing of it stayed");
    }

    #[test]
    fn any_datagram_is_refused(
        suite in prop::sample::select(SUITES.to_vec()), identifier in 0..129_usize,
        data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut receiver = Receiver::new(&master(suite, 1), identifier).unwrap();
        prop_assert!(read(&mut receiver, &data).is_err());
        prop_assert!(receiver.rtcp(&mut data.clone()).is_err());
    }

    #[test]
    fn reports_are_read_once_and_no_flipped_bit_gets_through(
        suite in prop::sample::select(SUITES.to_vec()), words in 2..30_usize, at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let mut sender = Sender::new(&master(suite, 1)).unwrap();
        let mut receiver = Receiver::new(&master(suite, 1), 0).unwrap();
        let plain: Vec<u8> = (0..words * 4).map(|octet| octet as u8).collect();
        for _ in 0..3 {
            let mut genuine = plain.clone();
            genuine.resize(plain.len() + MAX_TRAILER, 0);
            let length = sender.rtcp(&mut genuine, plain.len()).unwrap();
            genuine.truncate(length);
            let mut forged = genuine.clone();
            forged[at.index(length)] ^= 1_u8 << bit;
            prop_assert!(receiver.rtcp(&mut forged).is_err());
            let length = receiver.rtcp(&mut genuine.clone()).unwrap();
            let mut read = genuine.clone();
            prop_assert_eq!(receiver.rtcp(&mut read), Err(Rejected::Replayed));
            prop_assert_eq!(length, plain.len());
        }
    }
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

fn leg(theirs: u8) -> Keys {
    Keys { ours: master(SUITE, 9), theirs: master(SUITE, theirs), their_identifier: 0 }
}

fn heard(protection: &mut Protection, sender: &mut Sender, index: u64, now: u64) -> Result<usize, Rejected> {
    protection.rtp(&mut protected(sender, 7, index), now)
}

#[test]
fn after_a_new_key_the_peer_may_go_on_counting_or_begin_at_0() {
    for (first, after) in [(0x1_fff0, 0x1_fff1), (0x1_fff0, 5), (0x1_fff0, 0x2_0003)] {
        let (mut old, mut new) =
            (Sender::new(&master(SUITE, 1)).unwrap(), Sender::new(&master(SUITE, 2)).unwrap());
        let mut protection = Protection::new(leg(1)).unwrap();
        // Twice round to get there.
        for index in [0x7000, 0xe000, 0x1_5000, 0x1_c000, first] {
            heard(&mut protection, &mut old, index, 0).unwrap();
        }
        assert!(!protection.renew(leg(2), false, 0), "our key is the same");
        heard(&mut protection, &mut old, first + 1, 1_000).unwrap();
        heard(&mut protection, &mut new, after, 2_000).unwrap();
        heard(&mut protection, &mut old, first + 2, 3_000).unwrap();
        assert_eq!(heard(&mut protection, &mut new, after - 1, 3_000).err(), None, "overtaken");
        let late = heard(&mut protection, &mut old, first + 3, 2_000_000);
        assert_eq!(late, Err(Rejected::Unauthentic), "two seconds are enough to change keys");
    }
}

#[test]
fn a_peer_that_moved_may_begin_anew_under_its_key_and_one_that_did_not_may_not() {
    let mut sender = Sender::new(&master(SUITE, 1)).unwrap();
    let mut again = Sender::new(&master(SUITE, 1)).unwrap();
    let mut protection = Protection::new(leg(1)).unwrap();
    for index in [0x7000, 0xe000, 0x1_5000] {
        heard(&mut protection, &mut sender, index, 0).unwrap();
    }
    assert!(heard(&mut protection, &mut again, 3, 0).is_err());
    protection.renew(leg(1), true, 0);
    heard(&mut protection, &mut again, 4, 0).unwrap();
    heard(&mut protection, &mut again, 5, 0).unwrap();
    assert_eq!(heard(&mut protection, &mut sender, 0x1_5001, 0), Err(Rejected::Unauthentic));
    protection.renew(leg(1), true, 0);
    heard(&mut protection, &mut again, 6, 0).unwrap();
    let replayed = protection.rtp(&mut protected(&mut Sender::new(&master(SUITE, 1)).unwrap(), 7, 6), 0);
    assert_eq!(replayed, Err(Rejected::Replayed), "heard since it moved: no second beginning");
}

#[test]
fn a_key_that_is_repeated_changes_nothing() {
    let mut sender = Sender::new(&master(SUITE, 1)).unwrap();
    let mut protection = Protection::new(leg(1)).unwrap();
    let packet = protected(&mut sender, 7, 100);
    protection.rtp(&mut packet.clone(), 0).unwrap();
    assert!(!protection.renew(leg(1), false, 0));
    assert_eq!(protection.rtp(&mut packet.clone(), 0), Err(Rejected::Replayed));
    let mut ours = Sender::new(&master(SUITE, 9)).unwrap();
    let expected = protected(&mut ours, 8, 50);
    assert_eq!(protected(protection.sender(), 8, 50), expected);
    assert!(!protection.renew(leg(2), true, 0), "their key is new, ours goes on");
    let mut again = plain(8, 50);
    again.resize(100, 0);
    assert_eq!(protection.sender().rtp(&mut again, 12, 20, 50), None, "used before");
    let other = Keys { ours: master(SUITE, 10), ..leg(2) };
    assert!(protection.renew(other, false, 0));
}

#[test]
fn more_sources_than_are_followed_take_the_place_of_the_oldest() {
    let mut receiver = Receiver::new(&master(SUITE, 1), 0).unwrap();
    for ssrc in 0..20 {
        let mut sender = Sender::new(&master(SUITE, 1)).unwrap();
        for index in [10, 11] {
            read(&mut receiver, &protected(&mut sender, ssrc, index)).unwrap();
        }
    }
    let mut sender = Sender::new(&master(SUITE, 1)).unwrap();
    assert_eq!(read(&mut receiver, &protected(&mut sender, 19, 11)), Err(Rejected::Replayed));
}
