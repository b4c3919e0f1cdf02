//! Packets on their way from a worker to the recorder: one writer, one reader, no lock, a fixed size.
//!
//! It is made of atomic words, so that even a defect could mix up sounds but never memory.

use super::Side;
use crate::codec::Codec;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// 64 KiB: 3.6 s of both sides, which is how long a disk may stand still without a loss.
const WORDS: usize = 8_192;
/// Words before the payload.
const HEADER: usize = 2;
/// Octets of the largest payload.
pub const LARGEST: usize = 2_048;

/// What is known of a packet beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Who is heard in it.
    pub side: Side,
    /// Law of the payload.
    pub codec: Codec,
    /// Counts the streams of the side.
    pub epoch: u32,
    /// In the stream.
    pub timestamp: u32,
    /// When it came or went, in samples since the recording began.
    pub arrival: u32,
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    words: Box<[AtomicU64]>,
    /// Words written and read so far; they go round.
    head: AtomicUsize,
    tail: AtomicUsize,
}

impl Default for Ring {
    fn default() -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Ring { words, head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }
}

impl Ring {
    /// Adds a packet; false without room. Of the one writer.
    #[inline]
    pub fn push(&self, packet: Packet, payload: &[u8]) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        let taken = head.wrapping_sub(self.tail.load(Ordering::Acquire));
        let needed = HEADER + payload.len().div_ceil(8);
        if payload.len() > LARGEST || WORDS - taken < needed {
            return false;
        }
        let flags =
            u64::from(packet.side == Side::Right) << 16 | u64::from(packet.codec == Codec::Pcma) << 17;
        self.set(head, payload.len() as u64 | flags | u64::from(packet.epoch) << 32);
        self.set(head.wrapping_add(1), u64::from(packet.timestamp) | u64::from(packet.arrival) << 32);
        for (at, octets) in payload.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..octets.len()].copy_from_slice(octets);
            self.set(head.wrapping_add(HEADER + at), u64::from_le_bytes(word));
        }
        self.head.store(head.wrapping_add(needed), Ordering::Release);
        true
    }

    /// Takes the oldest packet, its payload into `into`. Of the one reader.
    pub fn pop<'a>(&self, into: &'a mut [u8; LARGEST]) -> Option<(Packet, &'a [u8])> {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail == self.head.load(Ordering::Acquire) {
            return None;
        }
        let (first, second) = (self.get(tail), self.get(tail.wrapping_add(1)));
        let length = usize::from(first as u16).min(LARGEST);
        let (whole, rest) = into.as_chunks_mut();
        debug_assert!(rest.is_empty(), "whole words");
        for (at, octets) in whole.iter_mut().take(length.div_ceil(8)).enumerate() {
            *octets = self.get(tail.wrapping_add(HEADER + at)).to_le_bytes();
        }
        self.tail.store(tail.wrapping_add(HEADER + length.div_ceil(8)), Ordering::Release);
        let packet = Packet {
            side: if first >> 16 & 1 == 0 { Side::Left } else { Side::Right },
            codec: if first >> 17 & 1 == 0 { Codec::Pcmu } else { Codec::Pcma },
            epoch: (first >> 32) as u32,
            timestamp: second as u32,
            arrival: (second >> 32) as u32,
        };
        Some((packet, &into[..length]))
    }

    #[inline]
    fn set(&self, at: usize, word: u64) {
        self.words[at % WORDS].store(word, Ordering::Relaxed);
    }

    fn get(&self, at: usize) -> u64 {
        self.words[at % WORDS].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u32) -> Packet {
        let (side, codec) =
            if number.is_multiple_of(2) { (Side::Left, Codec::Pcmu) } else { (Side::Right, Codec::Pcma) };
        Packet { side, codec, epoch: number, timestamp: u32::MAX - number, arrival: 3 * number }
    }

    #[test]
    fn packets_come_out_as_they_went_in() {
        let ring = Ring::default();
        let mut octets = [0; LARGEST];
        for (number, length) in (0..).zip([160, 1, 8, 0, 1_600, LARGEST]) {
            let payload: Vec<u8> = (0..length).map(|octet| octet as u8).collect();
            assert!(ring.push(packet(number), &payload));
            assert_eq!(ring.pop(&mut octets), Some((packet(number), &payload[..])));
        }
        assert_eq!(ring.pop(&mut octets), None);
        assert!(!ring.push(packet(1), &[0; LARGEST + 1]), "no audio is as long");
    }

    #[test]
    fn a_full_ring_takes_nothing_and_goes_on_once_it_is_read() {
        let ring = Ring::default();
        let mut octets = [0; LARGEST];
        let taken = (0..1_000).take_while(|&number| ring.push(packet(number), &[7; 160])).count();
        assert_eq!(taken, WORDS / (HEADER + 20));
        for number in 0..10_000_u32 {
            assert_eq!(ring.pop(&mut octets).map(|(packet, _)| packet), Some(packet(number)));
            assert!(ring.push(packet(number + taken as u32), &[7; 160]));
        }
    }

    #[test]
    fn one_thread_writes_while_another_reads() {
        let ring = Ring::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..50_000_u32 {
                    while !ring.push(packet(number), &number.to_le_bytes()) {
                        std::thread::yield_now();
                    }
                }
            });
            let mut octets = [0; LARGEST];
            for number in 0..50_000_u32 {
                let (packet_read, payload) = loop {
                    if let Some((read, payload)) = ring.pop(&mut octets) {
                        break (read, payload.to_vec());
                    }
                    std::thread::yield_now();
                };
                assert_eq!((packet_read, payload), (packet(number), number.to_le_bytes().to_vec()));
            }
        });
    }
}
