//! Counters of one leg: written by its worker alone, read by anyone at any time without asking the worker.

use crate::codec::Codec;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A number with one writer; plain loads and stores, no locked instruction per packet.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn bump(&self) {
        self.add(1);
    }

    /// Adds an amount.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Reads the value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// See `media.engine.LegStatistics` for what each means. Those of every packet stand in the first cache line.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Counters {
    /// Valid packets received, without duplicates.
    pub packets_in: Counter,
    /// Packets sent.
    pub packets_out: Counter,
    /// Payload octets received.
    pub octets_in: Counter,
    /// Payload octets sent.
    pub octets_out: Counter,
    /// Expected minus received.
    pub lost: Counter,
    /// Interarrival jitter in ticks, times 16.
    pub jitter_16: Counter,
    /// Longest time between two packets in, in microseconds.
    pub longest_gap: Counter,
    codec: AtomicU8,
    /// Received, but overtaken by newer ones.
    pub late: Counter,
    /// Received before.
    pub duplicates: Counter,
    /// Packets from other sources.
    pub foreign: Counter,
    /// Datagrams that are no plausible RTP.
    pub malformed: Counter,
    /// SRTP and SRTCP that its key did not authenticate.
    pub unauthenticated: Counter,
    /// SRTP and SRTCP that was heard before.
    pub replayed: Counter,
    /// Valid RTP that was of no use.
    pub dropped: Counter,
    /// RTCP packets received.
    pub rtcp_in: Counter,
    /// RTCP packets sent.
    pub rtcp_out: Counter,
    /// Reports of the peer about our stream.
    pub remote_reports: Counter,
    /// Loss of our stream by the last of them.
    pub remote_lost: Counter,
    /// Jitter of our stream by the last of them, in ticks.
    pub remote_jitter: Counter,
    /// Mean round trip, in microseconds.
    pub round_trip: Counter,
    /// Round trips measured.
    pub round_trips: Counter,
    /// Digits reported and not yet fetched; written by both sides, per digit.
    pub pending_digits: AtomicU32,
}

impl Counters {
    /// The codec agreed on, if any.
    pub fn codec(&self) -> Option<Codec> {
        match self.codec.load(Relaxed) {
            1 => Some(Codec::Pcmu),
            2 => Some(Codec::Pcma),
            3 => Some(Codec::G722),
            4 => Some(Codec::Opus),
            _ => None,
        }
    }

    /// Notes the codec agreed on.
    pub fn set_codec(&self, codec: Codec) {
        let code = match codec {
            Codec::Pcmu => 1,
            Codec::Pcma => 2,
            Codec::G722 => 3,
            Codec::Opus => 4,
        };
        self.codec.store(code, Relaxed);
    }
}
