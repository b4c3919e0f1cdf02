//! Days of a call in a moment: sequence numbers, timestamps and SRTP's rollover counter go round, and nobody notices.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use _native::outgoing::{Outgoing, Packet, Source};
use _native::reception::{Arrival, Reception};
use _native::rtp;
use _native::srtp::{MAX_TRAILER, MasterKey, Receiver, Sender, Suite};

const SOURCE: Source = Source { id: 1, epoch: 1 };

#[test]
fn a_stream_of_a_day_is_sent_without_a_seam() {
    // A packet each two seconds of silence suppression: 600,000 of them are a fortnight, nine times round for the
    // sequence and twice for the timestamp.
    let mut outgoing = Outgoing::new(7, 0x7ffe, u32::MAX - 100);
    let mut before: Option<(u16, u64, u32)> = None;
    let mut source = (65_530_i64, u32::MAX - 16_000_u32);
    for number in 0..600_000_u64 {
        let packet = Packet {
            extended: source.0,
            timestamp: source.1,
            ticks: 160,
            audio: true,
            ends: false,
            newest: true,
            marker: false,
        };
        let sent = outgoing.place(SOURCE, packet, number * 2_000_000).unwrap();
        if let Some((sequence, index, timestamp)) = before {
            assert_eq!(sent.sequence, sequence.wrapping_add(1), "packet {number}");
            assert_eq!(sent.index, index + 1);
            assert_eq!(sent.timestamp, timestamp.wrapping_add(16_000));
            assert!(!sent.marker, "no switch");
        }
        assert_eq!(sent.index as u16, sent.sequence);
        before = Some((sent.sequence, sent.index, sent.timestamp));
        source = (source.0 + 1, source.1.wrapping_add(16_000));
    }
}

#[test]
fn a_stream_of_hours_is_received_as_one() {
    let mut reception = Reception::default();
    let (first, count) = (65_000_u16, 1_000_000_u32);
    for number in 0..count {
        let arrival = reception.packet(7, first.wrapping_add(number as u16), 0);
        let extended = i64::from(first) + i64::from(number);
        let expected = if number == 0 { Arrival::Begins { extended } } else { Arrival::Newest { extended } };
        assert_eq!(arrival, expected);
        reception.timing(
            (u32::MAX - 999).wrapping_add(number.wrapping_mul(160)),
            u64::from(number) * 20_000,
            8,
        );
    }
    assert_eq!((reception.lost(), reception.epoch, reception.jitter_16()), (0, 1, 0));
    let block = reception.report().unwrap();
    assert_eq!((block.lost, block.highest), (0, u32::from(first) + count - 1), "cycles in the upper half");
}

#[test]
fn the_rollover_counter_follows_packet_by_packet_and_over_the_longest_silence() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let key = MasterKey::new(suite, &vec![7; suite.key_length() + suite.salt_length()]).unwrap();
        let (mut sender, mut receiver) = (Sender::new(&key).unwrap(), Receiver::new(&key, 0).unwrap());
        // Around each of the first five times that it goes round, and in between as little as a receiver can follow.
        let rounds = (1..=5_u64).flat_map(|round| {
            let at = round << 16;
            [at - 32_000, at - 2, at - 1, at, at + 1, at + 30_000]
        });
        for index in rounds {
            let mut data = [0x55; rtp::HEADER + 160 + MAX_TRAILER];
            let header = data.first_chunk_mut().unwrap();
            rtp::write(header, false, 0, index as u16, index as u32 * 160, 7);
            let length = sender.rtp(&mut data, rtp::HEADER, rtp::HEADER + 160, index).unwrap();
            let read = receiver.rtp(&mut data[..length]).unwrap();
            assert_eq!(read, rtp::HEADER + 160, "index {index}");
            assert!(data[rtp::HEADER..read].iter().all(|&octet| octet == 0x55));
        }
    }
}
