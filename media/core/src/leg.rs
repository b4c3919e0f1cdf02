//! One leg: its sockets, whom it hears, what its peer agreed to, and what happens to a packet on the way in and out.
//!
//! Times are microseconds of the worker's monotonic clock.

use crate::allocator::Lease;
use crate::counters::Counters;
use crate::dtmf::{self, Detector, Digit};
use crate::g711::{self, Codec};
use crate::mailbox::{Event, Mailbox};
use crate::outgoing::{self, Outgoing, Source};
use crate::reception::{Arrival, Reception};
use crate::rtp::{self, Header};
use crate::socket::{SocketPair, as_seen_by, same};
use rustix::net::SocketAddrAny;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Octets of an audio payload we believe: 1 ms to 200 ms of G.711.
const PLAUSIBLE: std::ops::RangeInclusive<usize> = 8..=1_600;
/// Digits a leg may have waiting for the event loop; a peer that floods us with events loses the rest.
const MAX_PENDING_DIGITS: u32 = 32;

/// How long the packets of a peer's former address may trail in after it named a new one, in microseconds.
const TRAILING: u64 = 1_000_000;

/// What the peer agreed to; see `media.engine.StreamParameters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Where RTP goes until the peer's own packets show where from they come.
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes.
    pub remote_rtcp: Option<SocketAddr>,
    /// Law of both directions.
    pub codec: Codec,
    /// Payload type of both directions.
    pub payload_type: u8,
    /// Payload type of the events we send.
    pub send_event: Option<u8>,
    /// Payload type of the events the peer sends when it differs.
    pub receive_event: Option<u8>,
    /// We may send.
    pub send: bool,
    /// We listen.
    pub receive: bool,
}

/// Where a leg's events go.
pub type Events = Mailbox<Event>;

/// A received packet that belongs to the leg's stream.
#[derive(Debug)]
pub struct Accepted {
    header: Header,
    source: Source,
    extended: i64,
    newest: bool,
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Audio(Codec),
    Event {
        ticks: u32,
    },
    /// Something nobody negotiated.
    Unknown,
}

#[derive(Debug, Default)]
struct Watch {
    timeout: Option<u64>,
    since: u64,
    reported: bool,
}

/// One leg, owned by its worker.
#[derive(Debug)]
pub struct Leg {
    id: u64,
    // Sockets close before the lease gives the ports back: fields drop in this order.
    sockets: SocketPair,
    _lease: Lease,
    local: SocketAddr,
    counters: Arc<Counters>,
    parameters: Option<Parameters>,
    /// The last address the peer's SDP named; survives a hold without address.
    named: Option<SocketAddr>,
    latched: Option<SocketAddr>,
    /// Whom we were latched to before the address changed, and until when it cannot be latched to again.
    former: Option<(SocketAddr, u64)>,
    /// Where packets go, ready for the system call.
    destination: Option<SocketAddrAny>,
    reception: Reception,
    detector: Detector,
    outgoing: Outgoing,
    last_arrival: Option<u64>,
    watch: Watch,
    /// Slot of the leg that hears this one and is heard by it.
    pub partner: Option<usize>,
}

impl Leg {
    /// A leg that knows nothing of its peer yet.
    pub fn new(
        id: u64,
        (sockets, lease): (SocketPair, Lease),
        local: SocketAddr,
        counters: Arc<Counters>,
        outgoing: Outgoing,
    ) -> Self {
        Leg {
            id,
            sockets,
            _lease: lease,
            local,
            counters,
            parameters: None,
            named: None,
            latched: None,
            former: None,
            destination: None,
            reception: Reception::default(),
            detector: Detector::default(),
            outgoing,
            last_arrival: None,
            watch: Watch::default(),
            partner: None,
        }
    }

    /// The id that commands and events use.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The sockets, for epoll.
    pub fn sockets(&self) -> &SocketPair {
        &self.sockets
    }

    /// Takes what the peer agreed to. A changed address arms latching anew.
    pub fn set_parameters(&mut self, mut parameters: Parameters, now: u64) {
        let named = parameters.remote.map(|address| as_seen_by(&self.local, address));
        parameters.remote = named;
        parameters.remote_rtcp = parameters.remote_rtcp.map(|address| as_seen_by(&self.local, address));
        if self.parameters.is_none() || (named.is_some() && named != self.named) {
            self.former = self.latched.take().map(|source| (source, now + TRAILING));
            self.last_arrival = None;
        }
        self.named = named.or(self.named);
        // Held without an address: nothing is sent, not even to where the peer was heard.
        self.destination = named.map(|address| SocketAddrAny::from(self.latched.unwrap_or(address)));
        let listened = self.parameters.as_ref().is_some_and(|old| old.receive);
        if parameters.receive != listened {
            self.last_arrival = None;
            self.watch.since = now;
        }
        self.counters.set_codec(parameters.codec);
        self.parameters = Some(parameters);
    }

    /// Starts or stops the media timeout.
    pub fn set_timeout(&mut self, timeout: Option<u64>, now: u64) {
        self.watch = Watch { timeout, since: now, reported: false };
    }

    /// Reports a media timeout that has come. Returns when to look again; None while nothing is watched.
    pub fn check_timeout(&mut self, now: u64, events: &Events) -> Option<u64> {
        let timeout = self.watch.timeout.filter(|_| self.listens())?;
        let deadline = self.watch.since.max(self.last_arrival.unwrap_or(0)) + timeout;
        if deadline > now {
            return Some(deadline);
        }
        if !self.watch.reported {
            self.watch.reported = true;
            events.post(Event::MediaTimeout { leg: self.id }, usize::MAX);
        }
        Some(now + timeout)
    }

    /// One datagram from the RTP socket.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.sockets.rtp.receive(buffer)
    }

    /// Reads and counts RTCP. Nothing answers it yet.
    pub fn receive_rtcp(&self, buffer: &mut [u8]) {
        let Some((length, from)) = self.sockets.rtcp.receive(buffer) else {
            return;
        };
        let Some(parameters) = &self.parameters else {
            return self.counters.dropped.bump();
        };
        let peer = self.latched.or(parameters.remote_rtcp).or(parameters.remote);
        if peer.is_some_and(|peer| peer.ip() != from.ip()) {
            self.counters.foreign.bump();
        } else if length <= buffer.len() && rtp::is_rtcp(&buffer[..length]) {
            self.counters.rtcp_in.bump();
        } else {
            self.counters.malformed.bump();
        }
    }

    /// Judges a datagram: source, form, payload type, order. Returns it when it is of the peer's stream.
    pub fn accept(&mut self, data: &[u8], from: &SocketAddr, now: u64, events: &Events) -> Option<Accepted> {
        let Some(parameters) = &self.parameters else {
            self.counters.dropped.bump();
            return None;
        };
        if self.latched.as_ref().is_some_and(|latched| !same(latched, from)) {
            self.counters.foreign.bump();
            return None;
        }
        if rtp::is_rtcp(data) {
            self.counters.rtcp_in.bump();
            return None;
        }
        let read = rtp::parse(data).and_then(|header| Some((content(parameters, &header, data)?, header)));
        let Some((content, header)) = read else {
            self.counters.malformed.bump();
            return None;
        };
        if content == Content::Unknown && !self.reception.is_current(header.ssrc) {
            self.counters.dropped.bump();
            return None;
        }
        if self.latched.is_none() && !self.latch(from, now, events) {
            return None;
        }
        self.count(header, content, data, now, events)
    }

    fn latch(&mut self, from: &SocketAddr, now: u64, events: &Events) -> bool {
        let trailing = self.former.is_some_and(|(former, until)| same(&former, from) && now < until);
        if trailing && self.named != Some(*from) {
            self.counters.foreign.bump();
            return false;
        }
        self.latched = Some(*from);
        if self.destination.is_some() {
            self.destination = Some(SocketAddrAny::from(*from));
        }
        events.post(Event::FirstPacket { leg: self.id }, usize::MAX);
        true
    }

    fn count(
        &mut self,
        header: Header,
        content: Content,
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
            Arrival::Late { extended } => (extended, false),
            Arrival::Useless => {
                self.counters.dropped.bump();
                return None;
            }
        };
        match content {
            Content::Audio(_) => {
                self.reception.timing(header.timestamp, now);
                if let Some(digit) = self.detector.audio(header.timestamp) {
                    self.report(digit, events);
                }
            }
            Content::Event { .. } => self.event(&header, data, events),
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
            self.watch.reported = false;
        }
    }

    fn event(&mut self, header: &Header, data: &[u8], events: &Events) {
        if !self.listens() {
            return;
        }
        if let Some(event) = dtmf::parse(&data[header.payload.clone()]) {
            for digit in self.detector.event(event, header.timestamp).into_iter().flatten() {
                self.report(digit, events);
            }
        }
    }

    fn report(&self, digit: Digit, events: &Events) {
        if self.counters.pending_digits.fetch_add(1, Ordering::Relaxed) >= MAX_PENDING_DIGITS {
            self.counters.pending_digits.fetch_sub(1, Ordering::Relaxed);
            return self.counters.dropped.bump();
        }
        let event = Event::Digit { leg: self.id, character: digit.character, duration: digit.duration / 8 };
        events.post(event, usize::MAX);
    }

    /// True while what the peer sends is to be heard.
    pub fn listens(&self) -> bool {
        self.parameters.as_ref().is_some_and(|parameters| parameters.receive)
    }

    /// Sends a packet that a partner accepted, as part of our own stream. Rewrites `data` in place.
    pub fn send(&mut self, accepted: &Accepted, data: &mut [u8], now: u64) {
        let Some((parameters, destination)) =
            self.parameters.as_ref().filter(|parameters| parameters.send).zip(self.destination.as_ref())
        else {
            return self.outgoing.interrupt();
        };
        let (payload_type, ticks) = match accepted.content {
            Content::Audio(_) => (Some(parameters.payload_type), accepted.header.payload.len() as u32),
            Content::Event { ticks } => (parameters.send_event, ticks),
            Content::Unknown => (None, 0),
        };
        let Some(payload_type) = payload_type else {
            return self.outgoing.leave_out(accepted.source, accepted.extended);
        };
        let packet = outgoing::Packet {
            extended: accepted.extended,
            timestamp: accepted.header.timestamp,
            ticks,
            audio: matches!(accepted.content, Content::Audio(_)),
            newest: accepted.newest,
            marker: accepted.header.marker,
        };
        let Some(sent) = self.outgoing.place(accepted.source, packet, now) else {
            return;
        };
        let payload = &accepted.header.payload;
        if let Content::Audio(codec) = accepted.content {
            g711::transcode(&mut data[payload.clone()], codec, parameters.codec);
        }
        // The payload stays where it is: our header takes the 12 octets before it, which the received header held.
        let start = payload.start - rtp::HEADER;
        if let Some(header) = data[start..].first_chunk_mut() {
            rtp::write(
                header,
                sent.marker,
                payload_type,
                sent.sequence,
                sent.timestamp,
                self.outgoing.ssrc(),
            );
        }
        if self.sockets.rtp.send(&data[start..payload.end], destination) {
            self.counters.packets_out.bump();
            self.counters.octets_out.add(payload.len() as u64);
        }
    }

    /// The next packet this leg sends follows a switch of the source.
    pub fn interrupt(&mut self) {
        self.outgoing.interrupt();
    }
}

/// What a packet carries by its payload type; None when its size contradicts it.
fn content(parameters: &Parameters, header: &Header, data: &[u8]) -> Option<Content> {
    let payload_type = Some(header.payload_type);
    if header.payload_type == parameters.payload_type {
        return PLAUSIBLE.contains(&header.payload.len()).then_some(Content::Audio(parameters.codec));
    }
    if payload_type == parameters.send_event || payload_type == parameters.receive_event {
        let event = dtmf::parse(&data[header.payload.clone()])?;
        return Some(Content::Event { ticks: u32::from(event.duration) });
    }
    Some(Content::Unknown)
}
