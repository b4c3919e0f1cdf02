//! Opens port pairs from the pool or from the system, and takes them back when their lease ends.

use crate::mailbox::lock;
use crate::ports::{KEPT, PortPool};
use crate::socket::{Options, Socket, SocketPair};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Descriptors for each pair that is bound from which on there are enough for more than the two it needs.
pub const PLENTY: usize = 5;

/// Pairs the system could give us when no range is set.
const SYSTEM_PAIRS: usize = (65_536 - 1_024) / 2;

/// Why no pair was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// All pairs are used, in quarantine or held by others, or the process may not open more descriptors.
    Exhausted,
    /// The address cannot be bound.
    System(Errno),
}

/// The source of port pairs.
#[derive(Debug)]
pub struct Allocator {
    address: IpAddr,
    options: Options,
    /// None: any port the system has.
    pool: Option<Mutex<PortPool<SocketPair>>>,
    /// Milliseconds after which sockets are closed that were kept and that nobody took.
    pub kept_for: u64,
    open: AtomicUsize,
    /// Descriptors the process may have.
    descriptors: usize,
    started: Instant,
}

/// The right to a port pair. Dropping it starts the quarantine: drop the sockets first, or leave them with it.
#[derive(Debug)]
pub struct Lease {
    allocator: Arc<Allocator>,
    port: u16,
    kept: Option<SocketPair>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.allocator.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(pool) = &self.allocator.pool {
            lock(pool).release(self.port, self.kept.take(), self.allocator.now());
        }
    }
}

impl Lease {
    /// How many descriptors there are for each pair that is bound, itself included.
    pub fn descriptors_each(&self) -> usize {
        let kept = self.allocator.pool.as_ref().map_or(0, |pool| lock(pool).kept());
        self.allocator.descriptors / (self.allocator.open.load(Ordering::Relaxed) + kept).max(1)
    }

    /// True when the sockets are worth keeping for the next leg.
    pub fn may_keep(&self) -> bool {
        self.allocator.pool.is_some() && self.descriptors_each() >= PLENTY
    }

    /// Ends with its sockets bound, for the next leg. Nobody may watch them any more.
    pub fn keep(mut self, sockets: SocketPair) {
        self.kept = sockets.rest().is_ok().then_some(sockets);
    }

    /// A socket beside one of the pair, connected to a peer.
    pub fn beside(&self, socket: &Socket, peer: &SocketAddr) -> Option<Socket> {
        socket.beside(peer, self.allocator.options).ok()
    }
}

impl Allocator {
    /// Pairs between `low` and `high`, or any when both are 0. `quarantine` is in milliseconds.
    pub fn new(address: IpAddr, low: u16, high: u16, quarantine: u64, options: Options) -> Self {
        let pool = (low, high) != (0, 0);
        Allocator {
            address,
            options,
            pool: pool.then(|| Mutex::new(PortPool::new(low, high, quarantine))),
            kept_for: quarantine.saturating_add(KEPT),
            open: AtomicUsize::new(0),
            descriptors: getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize),
            started: Instant::now(),
        }
    }

    /// The same in a process that may have so many descriptors.
    #[cfg(test)]
    pub fn with_descriptors(self, descriptors: usize) -> Self {
        Allocator { descriptors, ..self }
    }

    /// Shows early that the address is ours.
    pub fn probe(&self) -> Result<(), Errno> {
        SocketPair::bind_any(self.address, self.options).map(|_| ())
    }

    /// Binds a pair.
    pub fn open(self: &Arc<Self>) -> Result<(SocketPair, Lease), OpenError> {
        let (sockets, port) = match &self.pool {
            None => (self.open_any()?, 0),
            Some(pool) => self.open_pooled(pool)?,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok((sockets, Lease { allocator: Arc::clone(self), port, kept: None }))
    }

    fn open_any(&self) -> Result<SocketPair, OpenError> {
        if self.free() == 0 {
            return Err(OpenError::Exhausted);
        }
        SocketPair::bind_any(self.address, self.options).map_err(OpenError::from)
    }

    fn open_pooled(&self, pool: &Mutex<PortPool<SocketPair>>) -> Result<(SocketPair, u16), OpenError> {
        for _ in 0..self.capacity() {
            let Some((port, kept)) = lock(pool).take(self.now()) else {
                break;
            };
            if let Some(sockets) = kept.filter(|sockets| sockets.renew(self.options).is_ok()) {
                return Ok((sockets, port));
            }
            match SocketPair::bind(self.address, port, self.options) {
                Ok(sockets) => return Ok((sockets, port)),
                // Another program holds it: it takes its turn again later.
                Err(Errno::ADDRINUSE | Errno::ACCESS) => lock(pool).release(port, None, self.now()),
                Err(error) => {
                    lock(pool).restore(port);
                    let error = error.into();
                    // The descriptors of a pair that rests are what is missing.
                    if error != OpenError::Exhausted || lock(pool).strip().is_none() {
                        return Err(error);
                    }
                }
            }
        }
        Err(OpenError::Exhausted)
    }

    /// Closes the kept sockets that nobody took for long. Returns in how many milliseconds to look again, if at all.
    pub fn close_unused(&self) -> Option<u64> {
        let (pool, now) = (self.pool.as_ref()?, self.now());
        // Not while it is locked: closing takes longer than anybody should wait.
        let unused = || lock(pool).expire(now);
        std::iter::from_fn(unused).for_each(drop);
        lock(pool).next_expiry().map(|at| at.saturating_sub(now))
    }

    /// Closes all kept sockets.
    pub fn close_kept(&self) {
        if let Some(pool) = &self.pool {
            std::iter::from_fn(|| lock(pool).strip()).for_each(drop);
        }
    }

    /// How many pairs there are in all.
    pub fn capacity(&self) -> usize {
        self.pool.as_ref().map_or(SYSTEM_PAIRS, |pool| lock(pool).capacity())
    }

    /// How many could be opened now.
    pub fn free(&self) -> usize {
        match &self.pool {
            None => SYSTEM_PAIRS.saturating_sub(self.open.load(Ordering::Relaxed)),
            Some(pool) => lock(pool).free(self.now()),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRINUSE => {
                OpenError::Exhausted
            }
            _ => OpenError::System(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Socket;
    use rustix::fd::AsRawFd;
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicU16;

    const OPTIONS: Options = Options { receive_buffer: 65_536, dscp: 46 };
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Where the next test looks for ports: tests run at the same time, and would find the same ones.
    static NEXT: AtomicU16 = AtomicU16::new(20_000);

    /// A range of three pairs that nobody uses right now.
    fn three_pairs() -> u16 {
        for _ in 0..1_000 {
            let low = NEXT.fetch_add(6, Ordering::Relaxed);
            if (low..low + 6).all(|port| Socket::bind(SocketAddr::new(LOOPBACK, port), OPTIONS).is_ok()) {
                return low;
            }
        }
        panic!("no free ports");
    }

    #[test]
    fn pairs_run_out_and_come_back() {
        let low = three_pairs();
        let allocator = Arc::new(Allocator::new(LOOPBACK, low, low + 5, 0, OPTIONS));
        let all: Vec<_> = (0..3).map(|_| allocator.open().unwrap()).collect();
        assert_eq!(allocator.open().err(), Some(OpenError::Exhausted));
        assert_eq!((allocator.free(), allocator.capacity()), (0, 3));
        drop(all);
        assert_eq!(allocator.free(), 3);
        allocator.open().unwrap();
    }

    #[test]
    fn ports_of_other_programs_are_stepped_over() {
        let low = three_pairs();
        let _rtcp_of_the_first = Socket::bind(SocketAddr::new(LOOPBACK, low + 1), OPTIONS).unwrap();
        let allocator = Arc::new(Allocator::new(LOOPBACK, low, low + 5, 60_000, OPTIONS));
        let (first, _lease) = allocator.open().unwrap();
        assert_eq!(first.rtp.local_address().unwrap().port(), low + 2);
        let (_second, _lease) = allocator.open().unwrap();
        assert_eq!(allocator.open().err(), Some(OpenError::Exhausted));
    }

    #[test]
    fn sockets_are_kept_for_the_next_leg() {
        let low = three_pairs();
        let allocator = Arc::new(Allocator::new(LOOPBACK, low, low + 5, 0, OPTIONS).with_descriptors(100));
        let (first, lease) = allocator.open().unwrap();
        let descriptor = first.rtp.fd().as_raw_fd();
        assert!(lease.may_keep());
        lease.keep(first);
        assert_eq!(allocator.free(), 3);
        let (again, _lease) = allocator.open().unwrap();
        assert_eq!((again.rtp.fd().as_raw_fd(), again.local.port()), (descriptor, low));
    }

    #[test]
    fn a_pair_that_rests_with_its_sockets_is_nobodys() {
        let low = three_pairs();
        let allocator =
            Arc::new(Allocator::new(LOOPBACK, low, low + 1, 60_000, OPTIONS).with_descriptors(100));
        let (sockets, lease) = allocator.open().unwrap();
        lease.keep(sockets);
        assert_eq!((allocator.free(), allocator.open().err()), (0, Some(OpenError::Exhausted)));
        assert!(Socket::bind(SocketAddr::new(LOOPBACK, low), OPTIONS).is_err(), "bound");
        assert!(allocator.close_unused().is_some_and(|wait| wait > 59_000));
        assert!(Socket::bind(SocketAddr::new(LOOPBACK, low), OPTIONS).is_err(), "not unused yet");
        allocator.close_kept();
        Socket::bind(SocketAddr::new(LOOPBACK, low), OPTIONS).unwrap();
        assert_eq!((allocator.close_unused(), allocator.free()), (None, 0));
    }

    #[test]
    fn a_port_to_which_somebody_sends_still_is_bound_anew() {
        let low = three_pairs();
        let allocator = Arc::new(Allocator::new(LOOPBACK, low, low + 1, 0, OPTIONS).with_descriptors(100));
        let (sockets, lease) = allocator.open().unwrap();
        let peer = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        for _ in 0..100 {
            assert!(peer.send(b"more than is read", &sockets.local));
        }
        lease.keep(sockets);
        let (again, _lease) = allocator.open().unwrap();
        assert_eq!((again.local.port(), again.rtp.receive(&mut [0; 16])), (low, None));
    }

    #[test]
    fn sockets_are_not_kept_where_descriptors_are_scarce() {
        let low = three_pairs();
        let allocator =
            Arc::new(Allocator::new(LOOPBACK, low, low + 5, 60_000, OPTIONS).with_descriptors(10));
        let (first, lease) = allocator.open().unwrap();
        let (_second, other) = allocator.open().unwrap();
        assert!(lease.may_keep() && other.may_keep(), "five for each");
        lease.keep(first);
        assert!(other.may_keep(), "what is kept counts as before");
        let (_third, third) = allocator.open().unwrap();
        assert!(!other.may_keep() && !third.may_keep());
    }

    #[test]
    fn without_a_range_nothing_is_kept() {
        let allocator = Arc::new(Allocator::new(LOOPBACK, 0, 0, 0, OPTIONS).with_descriptors(100));
        let (_sockets, lease) = allocator.open().unwrap();
        assert!(!lease.may_keep());
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error_and_costs_no_port() {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let allocator = Arc::new(Allocator::new(address, 20_000, 20_005, 60_000, OPTIONS));
        assert_eq!(allocator.open().err(), Some(OpenError::System(Errno::ADDRNOTAVAIL)));
        assert_eq!(allocator.free(), 3);
        assert!(allocator.probe().is_err());
    }

    #[test]
    fn without_a_range_the_system_chooses() {
        let allocator = Arc::new(Allocator::new(LOOPBACK, 0, 0, 0, OPTIONS));
        let free = allocator.free();
        let pair = allocator.open().unwrap();
        assert_eq!(allocator.free(), free - 1);
        drop(pair);
        assert_eq!(allocator.free(), free);
    }
}
