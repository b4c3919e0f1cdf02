//! The bounded pool of RTP/RTCP port pairs: oldest first, with a quarantine after each release.
//!
//! The quarantine keeps the packets a peer still sends to a finished call away from the next one. A pair may rest with
//! its sockets: it is taken before those that are to be bound, and without them when nobody took it for long. This file
//! knows numbers and times (milliseconds); binding, and what sockets are, is the caller's.

use std::collections::VecDeque;

/// How long sockets are kept beyond the quarantine: while calls come and go, and not while a server idles.
pub const KEPT: u64 = 1_000;

/// Pairs of an even RTP port and the RTCP port above it (RFC 3550 section 11), some of them with their sockets, `S`.
#[derive(Debug)]
pub struct PortPool<S> {
    free: VecDeque<u16>,
    /// Free as well, with sockets and since when.
    bound: VecDeque<(u16, S, u64)>,
    /// Port, perhaps sockets, and when it becomes free, in order of that time.
    quarantined: VecDeque<(u16, Option<S>, u64)>,
    kept: usize,
    quarantine: u64,
    capacity: usize,
}

impl<S> PortPool<S> {
    /// All pairs that fit between two ports, both included.
    pub fn new(low: u16, high: u16, quarantine: u64) -> Self {
        let first = low.saturating_add(low & 1);
        let free: VecDeque<u16> = (first..high).step_by(2).collect();
        PortPool {
            capacity: free.len(),
            free,
            bound: VecDeque::new(),
            quarantined: VecDeque::new(),
            kept: 0,
            quarantine,
        }
    }

    /// A pair with its sockets, or the one that has been free for the longest.
    pub fn take(&mut self, now: u64) -> Option<(u16, Option<S>)> {
        self.recover(now);
        if let Some((port, sockets, _)) = self.bound.pop_front() {
            self.kept -= 1;
            return Some((port, Some(sockets)));
        }
        self.free.pop_front().map(|port| (port, None))
    }

    /// Gives a pair back; it is free again after the quarantine. Also for a pair that another program holds.
    pub fn release(&mut self, port: u16, sockets: Option<S>, now: u64) {
        self.kept += usize::from(sockets.is_some());
        self.quarantined.push_back((port, sockets, now + self.quarantine));
    }

    /// Puts back a pair that was taken and never bound, as if nothing had happened.
    pub fn restore(&mut self, port: u16) {
        self.free.push_front(port);
    }

    /// Sockets that were kept for long enough; their pair is free without them.
    pub fn expire(&mut self, now: u64) -> Option<S> {
        self.recover(now);
        self.bound.front().filter(|(.., since)| since + KEPT <= now)?;
        let (port, sockets, _) = self.bound.pop_front()?;
        self.kept -= 1;
        self.free.push_back(port);
        Some(sockets)
    }

    /// Any sockets that are kept; their pair rests on, or is free, without them.
    pub fn strip(&mut self) -> Option<S> {
        if self.kept == 0 {
            return None;
        }
        self.kept -= 1;
        match self.bound.pop_back() {
            Some((port, sockets, _)) => {
                self.free.push_back(port);
                Some(sockets)
            }
            None => self.quarantined.iter_mut().find_map(|(_, sockets, _)| sockets.take()),
        }
    }

    /// When there will be sockets that were kept for long enough, if nobody takes them.
    pub fn next_expiry(&self) -> Option<u64> {
        let rested = self.bound.front().map(|&(.., since)| since);
        let rests = || self.quarantined.iter().find_map(|(_, sockets, due)| sockets.as_ref().map(|_| *due));
        rested.or_else(rests).map(|since| since + KEPT)
    }

    /// How many pairs rest with their sockets, or have rested.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// How many pairs could be taken now.
    pub fn free(&mut self, now: u64) -> usize {
        self.recover(now);
        self.free.len() + self.bound.len()
    }

    /// How many pairs there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn recover(&mut self, now: u64) {
        while self.quarantined.front().is_some_and(|(.., due)| *due <= now) {
            let Some((port, sockets, due)) = self.quarantined.pop_front() else {
                return;
            };
            match sockets {
                Some(sockets) => self.bound.push_back((port, sockets, due)),
                None => self.free.push_back(port),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_even_ports_with_a_port_above_inside_the_range() {
        let mut pool = Pool::new(10_001, 10_006, 0);
        assert_eq!(pool.capacity(), 2);
        assert_eq!([pool.take(0), pool.take(0), pool.take(0)], [bare(10_002), bare(10_004), None]);
        assert_eq!(Pool::new(65_534, 65_535, 0).take(0), bare(65_534));
        assert_eq!(Pool::new(65_535, 65_535, 0).capacity(), 0);
        assert_eq!(Pool::new(20, 10, 0).capacity(), 0);
    }

    #[test]
    fn a_released_pair_waits_and_then_comes_after_all_others() {
        let mut pool = Pool::new(100, 105, 2_000);
        assert_eq!(pool.take(0), bare(100));
        pool.release(100, None, 0);
        assert_eq!((pool.free(1_999), pool.free(2_000)), (2, 3));
        assert_eq!([pool.take(2_000), pool.take(2_000), pool.take(2_000)], [bare(102), bare(104), bare(100)]);
        assert_eq!(pool.take(2_000), None);
    }

    #[test]
    fn sockets_rest_as_their_pair_does_and_then_come_before_pairs_without() {
        let mut pool = resting();
        assert_eq!((pool.free(1_999), pool.kept()), (1, 2));
        assert_eq!(pool.take(1_999), bare(104), "nothing else has rested");
        assert_eq!(pool.take(1_999), None);
        assert_eq!(pool.free(2_010), 2);
        assert_eq!(pool.take(2_010), Some((100, Some("first"))));
        assert_eq!(pool.take(2_010), Some((102, Some("second"))));
        assert_eq!((pool.take(2_010), pool.kept()), (None, 0));
    }

    #[test]
    fn sockets_that_nobody_takes_are_given_up_and_their_pairs_stay_free() {
        let mut pool = resting();
        assert_eq!(pool.next_expiry(), Some(2_000 + KEPT));
        assert_eq!(pool.expire(2_000 + KEPT - 1), None);
        assert_eq!((pool.expire(2_000 + KEPT), pool.expire(2_000 + KEPT)), (Some("first"), None));
        assert_eq!(pool.next_expiry(), Some(2_010 + KEPT));
        assert_eq!((pool.expire(u64::MAX), pool.next_expiry()), (Some("second"), None));
        assert_eq!((pool.free(u64::MAX), pool.kept()), (3, 0));
        assert_eq!([(); 3].map(|()| pool.take(u64::MAX)), [bare(104), bare(100), bare(102)]);
    }

    #[test]
    fn a_pair_whose_sockets_are_wanted_back_rests_on_without() {
        let mut pool = resting();
        assert_eq!((pool.strip(), pool.strip(), pool.strip()), (Some("first"), Some("second"), None));
        assert_eq!((pool.kept(), pool.next_expiry(), pool.free(1_999), pool.free(2_010)), (0, None, 1, 3));
        pool.take(2_010);
        pool.release(104, Some("third"), 2_010);
        assert_eq!(pool.free(4_010), 3);
        assert_eq!((pool.strip(), pool.free(4_010)), (Some("third"), 3), "rested as well");
    }

    type Pool = PortPool<&'static str>;

    fn bare(port: u16) -> Option<(u16, Option<&'static str>)> {
        Some((port, None))
    }

    /// Of three pairs the first was given back at 0 with its sockets and the second at 10.
    fn resting() -> Pool {
        let mut pool = Pool::new(100, 105, 2_000);
        assert_eq!([pool.take(0), pool.take(0)], [bare(100), bare(102)]);
        pool.release(100, Some("first"), 0);
        pool.release(102, Some("second"), 10);
        pool
    }
}
