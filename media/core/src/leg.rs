//! One leg: its sockets, whom it hears, what its peer agreed to, and what happens to a packet on the way in and out.
//!
//! Times are microseconds of the worker's monotonic clock.

mod playing;

use crate::allocator::Lease;
use crate::content::{Content, Parameters};
use crate::counters::Counters;
use crate::dtmf::{self, Detector, Digit};
use crate::g711;
use crate::hearing::{Hearing, Listeners, QuietWatch, Waiting};
use crate::mailbox::{Event, Mailbox};
use crate::outgoing::{self, Outgoing, Source};
use crate::peer::Peer;
use crate::reception::{Arrival, Reception};
use crate::reporting::{NtpClock, Reporter};
use crate::rtcp;
use crate::rtp::{self, Header};
use crate::socket::SocketPair;
use playing::Playing;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Digits a leg may have waiting for the event loop; a peer that floods us with events loses the rest.
const MAX_PENDING_DIGITS: u32 = 32;

/// A media timeout shorter than a packet would fire between any two; in microseconds.
const SHORTEST_TIMEOUT: u64 = 20_000;

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

impl Accepted {
    /// True for a packet of audio that was not overtaken.
    pub fn is_new_audio(&self) -> bool {
        self.newest && matches!(self.content, Content::Audio(_))
    }
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
    counters: Arc<Counters>,
    parameters: Option<Parameters>,
    peer: Peer,
    reception: Reception,
    detector: Detector,
    outgoing: Outgoing,
    reporter: Reporter,
    last_arrival: Option<u64>,
    watch: Watch,
    /// Slots of the legs that hear this one.
    pub listeners: Listeners,
    /// What the peer of this leg hears.
    pub hearing: Hearing,
    /// Whom it is to hear as soon as they speak.
    pub waiting: Option<Waiting>,
    /// Slots of the legs that wait for this one.
    pub waiters: Listeners,
    quiet: Option<QuietWatch>,
    /// The turn of the pacer in which the worker looks at this leg, every 20 ms.
    pub turn: Option<usize>,
    playing: Playing,
}

impl Leg {
    /// A leg that knows nothing of its peer yet.
    pub fn new(
        id: u64,
        (sockets, lease): (SocketPair, Lease),
        peer: Peer,
        counters: Arc<Counters>,
        (outgoing, reporter): (Outgoing, Reporter),
    ) -> Self {
        Leg {
            id,
            sockets,
            _lease: lease,
            counters,
            parameters: None,
            peer,
            reception: Reception::default(),
            detector: Detector::default(),
            outgoing,
            reporter,
            last_arrival: None,
            watch: Watch::default(),
            listeners: Listeners::default(),
            hearing: Hearing::Nobody,
            waiting: None,
            waiters: Listeners::default(),
            quiet: None,
            turn: None,
            playing: Playing::default(),
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
    pub fn set_parameters(&mut self, parameters: Parameters, now: u64) {
        if self.peer.name(parameters.named, now) {
            self.last_arrival = None;
        }
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
        let timeout = timeout.map(|timeout| timeout.max(SHORTEST_TIMEOUT));
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

    /// One datagram from the RTCP socket.
    pub fn receive_rtcp(&mut self, buffer: &mut [u8], now: u64, clock: NtpClock) {
        let Some((length, from)) = self.sockets.rtcp.receive(buffer) else {
            return;
        };
        if self.parameters.is_none() {
            return self.counters.dropped.bump();
        }
        // Longer than the buffer: too large to be a report.
        if self.take_report(buffer.get(..length).unwrap_or_default(), &from, now, clock) {
            self.peer.latch_rtcp(&from);
        }
    }

    /// Learns from what should be RTCP of the peer; false when it is not.
    fn take_report(&mut self, data: &[u8], from: &SocketAddr, now: u64, clock: NtpClock) -> bool {
        if !self.peer.admits_rtcp(from) {
            self.counters.foreign.bump();
            return false;
        }
        let Some(received) = rtcp::read(data, self.outgoing.ssrc()) else {
            self.counters.malformed.bump();
            return false;
        };
        self.counters.rtcp_in.bump();
        self.reporter.hear(&received, &self.counters, now, clock);
        true
    }

    /// When this leg reports first; `None` when that was asked before.
    pub fn begin_reports(&mut self, now: u64) -> Option<u64> {
        self.reporter.begin(now)
    }

    /// Sends a report and returns when the next is due. Without an address there is nobody to report to.
    pub fn report(&mut self, now: u64, clock: NtpClock) -> u64 {
        self.send_report(now, clock, false);
        self.reporter.next(now)
    }

    /// Sends BYE, if the peer ever heard of us.
    pub fn say_goodbye(&mut self, now: u64, clock: NtpClock) {
        if self.reporter.has_spoken(&self.counters) {
            self.send_report(now, clock, true);
        }
    }

    fn send_report(&mut self, now: u64, clock: NtpClock, last: bool) {
        let Some(destination) = self.peer.rtcp_destination() else {
            return;
        };
        let timestamp = self.outgoing.timestamp_at(now);
        let report = self.reporter.report(timestamp, &mut self.reception, &self.counters, now, clock);
        let report = if last { report.with_goodbye(self.outgoing.ssrc()) } else { report };
        let socket = if self.peer.multiplexes() { &self.sockets.rtp } else { &self.sockets.rtcp };
        if socket.send(report.octets(), destination) {
            self.counters.rtcp_out.bump();
        }
    }

    /// Judges a datagram: source, form, payload type, order. Returns it when it is of the peer's stream.
    pub fn accept(
        &mut self,
        data: &[u8],
        from: &SocketAddr,
        now: u64,
        clock: NtpClock,
        events: &Events,
    ) -> Option<Accepted> {
        let Some(parameters) = &self.parameters else {
            self.counters.dropped.bump();
            return None;
        };
        if !self.peer.admits(from) {
            self.counters.foreign.bump();
            return None;
        }
        if rtp::is_rtcp(data) && !parameters.expects(data[1] & 0x7f) {
            self.take_report(data, from, now, clock);
            return None;
        }
        let read = rtp::parse(data).and_then(|header| Some((parameters.content(&header, data)?, header)));
        let Some((content, header)) = read else {
            self.counters.malformed.bump();
            return None;
        };
        if content == Content::Unknown && !self.reception.is_current(header.ssrc) {
            self.counters.dropped.bump();
            return None;
        }
        if !self.peer.is_latched() {
            if !self.peer.latch(from, now) {
                self.counters.foreign.bump();
                return None;
            }
            events.post(Event::FirstPacket { leg: self.id }, usize::MAX);
        }
        self.count(header, content, data, now, events)
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
            Arrival::Late { extended } => (extended, false),
            Arrival::Useless => {
                self.counters.dropped.bump();
                return None;
            }
        };
        match &mut content {
            Content::Audio(_) | Content::Noise => {
                self.reception.timing(header.timestamp, now);
                if let Some(digit) = self.detector.audio(header.timestamp) {
                    self.tell(digit, events);
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
            self.watch.reported = false;
        }
    }

    /// Follows an event; true when it begins with this packet.
    fn event(&mut self, header: &Header, data: &[u8], events: &Events) -> bool {
        let Some(event) = dtmf::parse(&data[header.payload.clone()]).filter(|_| self.listens()) else {
            return false;
        };
        let begins = self.detector.begins(event, header.timestamp);
        for digit in self.detector.event(event, header.timestamp).into_iter().flatten() {
            self.tell(digit, events);
        }
        begins
    }

    fn tell(&self, digit: Digit, events: &Events) {
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
            self.parameters.as_ref().filter(|parameters| parameters.send).zip(self.peer.destination())
        else {
            return self.outgoing.interrupt();
        };
        let (payload_type, ticks) = match accepted.content {
            Content::Audio(_) => (Some(parameters.payload_type), accepted.header.payload.len() as u32),
            // The rest of a digit that began before a switch would be one more digit.
            Content::Event { begins: false, .. } if !self.outgoing.follows(accepted.source) => return,
            Content::Event { ticks, .. } => (parameters.send_event, ticks),
            Content::Noise => (parameters.comfort_noise.then_some(rtp::COMFORT_NOISE), 0),
            Content::Unknown => (None, 0),
        };
        let Some(payload_type) = payload_type else {
            return self.outgoing.leave_out(accepted.source, accepted.extended);
        };
        let packet = outgoing::Packet {
            extended: accepted.extended,
            timestamp: accepted.header.timestamp,
            ticks,
            audio: matches!(accepted.content, Content::Audio(_) | Content::Noise),
            ends: matches!(accepted.content, Content::Event { ends: true, .. }),
            newest: accepted.newest,
            marker: match accepted.content {
                Content::Event { begins, .. } => begins,
                _ => accepted.header.marker,
            },
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
