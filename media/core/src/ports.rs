//! The bounded pool of RTP/RTCP port pairs: oldest first, with a quarantine after each release.
//!
//! The quarantine keeps the packets a peer still sends to a finished call away from the next one. This file knows
//! numbers and times (milliseconds); binding is the caller's.

use std::collections::VecDeque;

/// Pairs of an even RTP port and the RTCP port above it (RFC 3550 section 11).
#[derive(Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    /// Port and when it becomes free, in order of that time.
    quarantined: VecDeque<(u16, u64)>,
    quarantine: u64,
    capacity: usize,
}

impl PortPool {
    /// All pairs that fit between two ports, both included.
    pub fn new(low: u16, high: u16, quarantine: u64) -> Self {
        let first = low.saturating_add(low & 1);
        let free: VecDeque<u16> = (first..high).step_by(2).collect();
        PortPool { capacity: free.len(), free, quarantined: VecDeque::new(), quarantine }
    }

    /// The pair that has been free for the longest.
    pub fn take(&mut self, now: u64) -> Option<u16> {
        self.recover(now);
        self.free.pop_front()
    }

    /// Gives a pair back; it is free again after the quarantine. Also for a pair that another program holds.
    pub fn release(&mut self, port: u16, now: u64) {
        self.quarantined.push_back((port, now + self.quarantine));
    }

    /// Puts back a pair that was taken and never bound, as if nothing had happened.
    pub fn restore(&mut self, port: u16) {
        self.free.push_front(port);
    }

    /// How many pairs could be taken now.
    pub fn free(&mut self, now: u64) -> usize {
        self.recover(now);
        self.free.len()
    }

    /// How many pairs there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn recover(&mut self, now: u64) {
        while let Some(&(port, due)) = self.quarantined.front() {
            if due > now {
                return;
            }
            self.quarantined.pop_front();
            self.free.push_back(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_even_ports_with_a_port_above_inside_the_range() {
        let mut pool = PortPool::new(10_001, 10_006, 0);
        assert_eq!(pool.capacity(), 2);
        assert_eq!([pool.take(0), pool.take(0), pool.take(0)], [Some(10_002), Some(10_004), None]);
        assert_eq!(PortPool::new(65_534, 65_535, 0).take(0), Some(65_534));
        assert_eq!(PortPool::new(65_535, 65_535, 0).capacity(), 0);
        assert_eq!(PortPool::new(20, 10, 0).capacity(), 0);
    }

    #[test]
    fn a_released_pair_waits_and_then_comes_after_all_others() {
        let mut pool = PortPool::new(100, 105, 2_000);
        assert_eq!(pool.take(0), Some(100));
        pool.release(100, 0);
        assert_eq!((pool.free(1_999), pool.free(2_000)), (2, 3));
        assert_eq!([pool.take(2_000), pool.take(2_000), pool.take(2_000)], [Some(102), Some(104), Some(100)]);
        assert_eq!(pool.take(2_000), None);
    }
}
