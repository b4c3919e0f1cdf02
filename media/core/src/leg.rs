//! One leg: its sockets, whom it hears, what its peer agreed to, and what happens to a packet on the way in and out.
//!
//! Times are microseconds of the worker's monotonic clock.

mod connecting;
mod listening;
mod playing;
mod protecting;
mod receiving;
mod recording;
mod reports;
mod sending;

use crate::allocator::Lease;
use crate::content::Parameters;
use crate::counters::Counters;
use crate::dtmf::Detector;
use crate::hearing::{Hearing, Listeners, QuietWatch, Waiting};
use crate::listening::Ears;
use crate::mailbox::{Event, Mailbox};
use crate::outgoing::Outgoing;
use crate::peer::Peer;
use crate::reception::Reception;
use crate::recording::Tape;
use crate::reporting::Reporter;
use crate::schedule::NEVER;
use crate::socket::SocketPair;
use crate::srtp::Protection;
use connecting::Beside;
use playing::Playing;
pub use receiving::Accepted;
use std::sync::Arc;

/// A media timeout shorter than a packet would fire between any two; in microseconds.
const SHORTEST_TIMEOUT: u64 = 20_000;

/// Where a leg's events go.
pub type Events = Mailbox<Event>;

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
    beside: Option<Beside>,
    lease: Lease,
    counters: Arc<Counters>,
    parameters: Option<Parameters>,
    protection: Option<Box<Protection>>,
    /// Protection that is turned off; its key must not begin anew.
    retired: Option<Box<Protection>>,
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
    ears: Ears,
    /// The turn of the pacer in which the worker looks at this leg, every 20 ms.
    pub turn: Option<usize>,
    /// When the worker looks at this leg next, as its schedule has noted it.
    pub noted: u64,
    playing: Playing,
    tape: Option<Tape>,
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
            beside: None,
            lease,
            counters,
            parameters: None,
            protection: None,
            retired: None,
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
            ears: Ears::default(),
            turn: None,
            noted: NEVER,
            playing: Playing::default(),
            tape: None,
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

    /// True when its sockets are worth leaving to another leg.
    pub fn may_leave_sockets(&self) -> bool {
        self.lease.may_keep()
    }

    /// Ends with its sockets bound. The one beside them is closed: the peer is another next time.
    pub fn leave_sockets(self) {
        drop(self.beside);
        self.lease.keep(self.sockets);
    }

    /// Ticks of its clock in a millisecond.
    fn ticks_per_ms(&self) -> u32 {
        self.parameters.as_ref().map_or(8, |parameters| parameters.codec.ticks_per_ms())
    }

    /// Takes what the peer agreed to. A changed address arms latching anew.
    pub fn set_parameters(&mut self, mut parameters: Parameters, now: u64) {
        let moved = self.peer.name(parameters.named, now);
        if moved {
            self.disconnect();
            self.last_arrival = None;
        }
        self.protect(parameters.protection.take(), moved, now);
        let listened = self.parameters.as_ref().is_some_and(|old| old.receive);
        if parameters.receive != listened {
            self.last_arrival = None;
            self.watch.since = now;
        }
        if parameters.receive && !listened {
            self.reception.resume();
        }
        self.counters.set_codec(parameters.codec);
        self.outgoing.set_clock(parameters.codec.ticks_per_ms());
        self.parameters = Some(parameters);
    }

    /// Starts or stops the media timeout.
    pub fn set_timeout(&mut self, timeout: Option<u64>, now: u64) {
        let timeout = timeout.map(|timeout| timeout.max(SHORTEST_TIMEOUT));
        self.watch = Watch { timeout, since: now, reported: false };
    }

    /// Tells of a media timeout that has come. Returns when to look again, for that or to report; `None` for no more.
    pub fn look_ahead(&mut self, now: u64, events: &Events) -> Option<u64> {
        self.check_timeout(now, events).into_iter().chain(self.reporter.due()).min()
    }

    fn check_timeout(&mut self, now: u64, events: &Events) -> Option<u64> {
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
}
