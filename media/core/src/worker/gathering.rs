//! When a busy worker looks at its sockets next. Waking up costs several times what relaying a packet costs, so a worker
//! that would be woken for every packet takes those of a while together.

use super::Worker;
use rustix::thread::{ClockId, clock_nanosleep_relative};
use rustix::time::Timespec;

/// Packets that a nap has to save a waking for: the end of a nap costs about as much as three wakings by a packet.
const WORTHWHILE: u64 = 4;
/// Packets that are enough to share the end of a nap, 13 us of CPU (`benchmarks/README.md`): one more would save each of
/// them 40 ns.
const ENOUGH: u64 = 18;
/// Microseconds below which a nap ends before it has begun.
const SHORTEST_NAP: u64 = 20;

/// How long after the last look at the sockets, in microseconds, the next one is worth it, when so many packets came in
/// the `took` microseconds before that: when enough have come again, but after `gather` at the latest. None with so few
/// that they had better wake the worker one by one.
pub(super) fn next_look(came: u64, took: u64, gather: u64) -> Option<u64> {
    let few = came * gather < WORTHWHILE * took;
    let enough = (ENOUGH * took).checked_div(came)?;
    (!few).then_some(enough.min(gather))
}

impl Worker {
    /// Sleeps without listening until then. That is counted from the look before and not from the nap: a packet waits as
    /// long under load as without, and a worker whose batches fill the while has no time to sleep.
    pub(super) fn let_packets_gather(&self, until: u64) {
        let nap = until.saturating_sub(self.elapsed());
        if nap >= SHORTEST_NAP {
            let nap = Timespec { tv_sec: 0, tv_nsec: (nap * 1_000) as _ };
            // Interrupted or refused: then the next batch is smaller.
            let _ = clock_nanosleep_relative(ClockId::Monotonic, &nap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_packets_wake_the_worker_one_by_one() {
        assert_eq!(next_look(3, 250, 250), None);
        assert_eq!(next_look(0, 0, 250), None, "woken for nothing, within the microsecond");
        assert_eq!(next_look(1, 0, 0), Some(0), "no nap");
        assert_eq!(next_look(1, 1, 0), None);
    }

    #[test]
    fn many_are_awaited_until_there_are_enough_and_never_longer_than_set() {
        assert_eq!(next_look(4, 250, 250), Some(250));
        assert_eq!(next_look(18, 250, 250), Some(250));
        assert_eq!(next_look(36, 250, 250), Some(125));
        assert_eq!(next_look(18, 125, 250), Some(125), "and go on to be");
        assert_eq!(next_look(9, 125, 250), Some(250), "until the load falls");
    }
}
