//! What happens to a packet on the way in: whose it is, whether it is RTP, where it belongs, what it tells.

use super::{Events, Leg};
use crate::content::Content;
use crate::dtmf::{self, Digit};
use crate::mailbox::Event;
use crate::outgoing::Source;
use crate::peer::{Doubt, Standing};
use crate::reception::Arrival;
use crate::reporting::NtpClock;
use crate::rtp::{self, Header};
use crate::srtp::Rejected;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// Digits a leg may have waiting for the event loop; a peer that floods us with events loses the rest.
const MAX_PENDING_DIGITS: u32 = 32;

/// A received packet that belongs to the leg's stream.
#[derive(Debug)]
pub struct Accepted {
    pub(super) header: Header,
    pub(super) source: Source,
    pub(super) extended: i64,
    pub(super) newest: bool,
    pub(super) content: Content,
}

impl Accepted {
    /// True for a packet of audio that was not overtaken.
    pub fn is_new_audio(&self) -> bool {
        self.newest && matches!(self.content, Content::Audio(_))
    }
}

impl Leg {
    /// One datagram from the RTP socket.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.sockets.rtp.receive(buffer)
    }

    /// Judges a datagram: source, protection, form, payload type, order. Returns it when it is of the peer's stream.
    pub fn accept(
        &mut self,
        data: &mut [u8],
        from: &SocketAddr,
        now: u64,
        clock: NtpClock,
        events: &Events,
    ) -> Option<Accepted> {
        let Some(agreed) = self.agreed else {
            self.counters.dropped.bump();
            return None;
        };
        let standing = self.peer.standing(from, || Doubt {
            now,
            heard: self.last_arrival,
            authenticated: self.protection.is_some(),
        });
        if standing == Standing::Foreign {
            self.counters.foreign.bump();
            return None;
        }
        if rtp::is_rtcp(data) && !agreed.expects(data[1] & 0x7f, self.peer.multiplexes()) {
            self.take_report(data, from, now, clock);
            return None;
        }
        let data: &[u8] = match &mut self.protection {
            None => data,
            // Before it may latch or count as the peer's.
            Some(protection) => match protection.rtp(data, now) {
                Ok(length) => &data[..length],
                Err(rejected) => return self.reject(rejected),
            },
        };
        let read = rtp::parse(data).and_then(|header| Some((agreed.content(&header, data)?, header)));
        let Some((content, header)) = read else {
            self.counters.malformed.bump();
            return None;
        };
        if content == Content::Unknown && !self.reception.is_current(header.ssrc) {
            self.counters.dropped.bump();
            // Asterisk's `rtp_keepalive`: its type needs no agreement, and it comes where there is no audio yet.
            if header.payload_type == rtp::COMFORT_NOISE {
                self.arrived(now);
            }
            return None;
        }
        if standing == Standing::Candidate {
            self.latch(from, now, events);
        }
        self.count(header, content, data, now, events)
    }

    /// Knows its peer now; or knows better, and then there is nothing to tell.
    fn latch(&mut self, from: &SocketAddr, now: u64, events: &Events) {
        if self.peer.is_latched() {
            self.disconnect();
        } else {
            events.post(Event::FirstPacket { leg: self.id }, usize::MAX);
        }
        self.peer.latch(from, now);
    }

    /// Counts what SRTP did not let through.
    pub(super) fn reject<T>(&self, rejected: Rejected) -> Option<T> {
        match rejected {
            Rejected::Malformed => self.counters.malformed.bump(),
            Rejected::Unauthentic => self.counters.unauthenticated.bump(),
            Rejected::Replayed => self.counters.replayed.bump(),
        }
        None
    }

    fn count(
        &mut self,
        header: Header,
        mut content: Content,
        data: &[u8],
        now: u64,
        events: &Events,
    ) -> Option<Accepted> {
        let (extended, newest) = match self.reception.packet(header.ssrc, header.sequence, now) {
            Arrival::Begins { extended } => {
                self.detector.reset();
                (extended, true)
            }
            Arrival::Newest { extended } => (extended, true),
            Arrival::Late { extended } => {
                self.counters.late.bump();
                (extended, false)
            }
            Arrival::Duplicate => {
                self.counters.duplicates.bump();
                self.counters.dropped.bump();
                return None;
            }
            Arrival::Useless => {
                self.counters.dropped.bump();
                return None;
            }
        };
        match &mut content {
            Content::Audio(_) | Content::Noise => {
                let per_ms = self.ticks_per_ms();
                self.reception.timing(header.timestamp, now, per_ms);
                if let Some(digit) = self.detector.audio(header.timestamp) {
                    self.tell(digit, false, events);
                }
            }
            Content::Event { begins, .. } => *begins = self.event(&header, data, events),
            Content::Unknown => self.counters.dropped.bump(),
        }
        self.counters.packets_in.bump();
        self.counters.octets_in.add(header.payload.len() as u64);
        self.counters.lost.set(self.reception.lost());
        self.counters.jitter_16.set(u64::from(self.reception.jitter_16()));
        self.arrived(now);
        let source = Source { id: self.id, epoch: self.reception.epoch };
        Some(Accepted { header, source, extended, newest, content })
    }

    fn arrived(&mut self, now: u64) {
        if self.listens() {
            if let Some(before) = self.last_arrival.replace(now) {
                let gap = now.saturating_sub(before);
                if gap > self.counters.longest_gap.get() {
                    self.counters.longest_gap.set(gap);
                }
            }
            self.timed_out = false;
        }
    }

    /// Follows an event; true when it begins with this packet.
    fn event(&mut self, header: &Header, data: &[u8], events: &Events) -> bool {
        let Some(event) = dtmf::parse(&data[header.payload.clone()]).filter(|_| self.listens()) else {
            return false;
        };
        let begins = self.detector.begins(event, header.timestamp);
        for digit in self.detector.event(event, header.timestamp).into_iter().flatten() {
            self.tell(digit, false, events);
        }
        begins
    }

    pub(super) fn tell(&self, digit: Digit, in_band: bool, events: &Events) {
        if self.counters.pending_digits.fetch_add(1, Ordering::Relaxed) >= MAX_PENDING_DIGITS {
            self.counters.pending_digits.fetch_sub(1, Ordering::Relaxed);
            return self.counters.dropped.bump();
        }
        let Digit { character, duration } = digit;
        let event =
            Event::Digit { leg: self.id, character, duration: duration / self.ticks_per_ms(), in_band };
        events.post(event, usize::MAX);
    }

    /// True while what the peer sends is to be heard.
    pub fn listens(&self) -> bool {
        self.agreed.is_some_and(|agreed| agreed.receive)
    }
}
