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
use crate::content::{Agreed, Parameters};
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
}

/// One leg, owned by its worker. Between two of its packets thousands of others pass, so that each waits for memory: what it
/// needs stands first and by cache lines of 64 octets, of which it touches seven on the way in and seven on the way out.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Leg {
    id: u64,
    beside: Option<Beside>,
    counters: Arc<Counters>,
    protection: Option<Box<Protection>>,
    ears: Ears,
    last_arrival: Option<u64>,
    // Two lines: in.
    reception: Reception,
    detector: Detector,
    // One line: both ways.
    agreed: Option<Agreed>,
    /// The media timeout was reported, and nothing came since.
    timed_out: bool,
    tape: Option<Tape>,
    /// Slots of the legs that hear this one.
    pub listeners: Listeners,
    // One line: in.
    /// Slots of the legs that wait for this one.
    pub waiters: Listeners,
    quiet: Option<QuietWatch>,
    // Three lines: out.
    outgoing: Outgoing,
    /// What the peer of this leg hears.
    pub hearing: Hearing,
    /// Whom it is to hear as soon as they speak.
    pub waiting: Option<Waiting>,
    // Both ways its first line, and what no packet needs from there on.
    peer: Peer,
    // Sockets close before the lease gives the ports back: fields drop in this order.
    sockets: SocketPair,
    lease: Lease,
    /// Protection that is turned off; its key must not begin anew.
    retired: Option<Box<Protection>>,
    reporter: Reporter,
    watch: Watch,
    /// The turn of the pacer in which the worker looks at this leg, every 20 ms.
    pub turn: Option<usize>,
    /// When the worker looks at this leg next, as its schedule has noted it.
    pub noted: u64,
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
            beside: None,
            lease,
            counters,
            agreed: None,
            timed_out: false,
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
        self.agreed.map_or(8, |agreed| agreed.codec.ticks_per_ms())
    }

    /// Takes what the peer agreed to. A changed address arms latching anew.
    pub fn set_parameters(&mut self, parameters: Parameters, now: u64) {
        let Parameters { named, agreed, protection } = parameters;
        let moved = self.peer.name(named, now);
        if moved {
            self.disconnect();
            self.last_arrival = None;
        }
        self.protect(protection, moved, now);
        let listened = self.listens();
        if agreed.receive != listened {
            self.last_arrival = None;
            self.watch.since = now;
        }
        if agreed.receive && !listened {
            self.reception.resume();
        }
        self.counters.set_codec(agreed.codec);
        self.outgoing.set_clock(agreed.codec.ticks_per_ms());
        self.agreed = Some(agreed);
    }

    /// Starts or stops the media timeout.
    pub fn set_timeout(&mut self, timeout: Option<u64>, now: u64) {
        let timeout = timeout.map(|timeout| timeout.max(SHORTEST_TIMEOUT));
        self.watch = Watch { timeout, since: now };
        self.timed_out = false;
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
        if !self.timed_out {
            self.timed_out = true;
            events.post(Event::MediaTimeout { leg: self.id }, usize::MAX);
        }
        Some(now + timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// The lines of a leg that the fields from one to another lie on, when they begin with a line of their own.
    macro_rules! lines {
        ($first:ident, $last:ident: $type:ty) => {{
            let first = offset_of!(Leg, $first);
            assert_eq!(first % 64, 0, stringify!($first));
            first / 64..=(offset_of!(Leg, $last) + size_of::<$type>() - 1) / 64
        }};
    }

    #[test]
    fn what_a_packet_needs_of_a_leg_is_on_nine_cache_lines() {
        assert_eq!(lines!(id, last_arrival: Option<u64>), 0..=0);
        assert_eq!(lines!(reception, detector: Detector), 1..=2);
        // Of its listeners the number and the first.
        assert_eq!(lines!(agreed, listeners: [usize; 2]), 3..=3);
        assert_eq!(lines!(waiters, quiet: Option<QuietWatch>), 4..=4);
        assert_eq!(lines!(outgoing, hearing: Hearing), 5..=7);
        assert_eq!(offset_of!(Leg, peer), 8 * 64);
    }
}
