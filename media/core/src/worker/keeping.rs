//! The timer behind the sockets that are kept for legs to come.

use super::Worker;
use rustix::io::read;
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

/// Microseconds between two looks for sockets that nobody took.
const TOGETHER: u64 = 100_000;

impl Worker {
    /// Closes the sockets that nobody took.
    pub(super) fn close_unused(&mut self, now: u64) {
        let _ = read(&self.keeping, &mut [0; 8]);
        // Not for each by itself: they end as calls did, hundreds in a second.
        let next = self.allocator.close_unused().map(|wait| now + (wait * 1_000).max(TOGETHER));
        self.check_at(next.unwrap_or(u64::MAX));
    }

    /// Looks by then, if not before.
    pub(super) fn check_by(&mut self, next: u64) {
        if next < self.next_check {
            self.check_at(next);
        }
    }

    /// Looks again then; `u64::MAX` for never.
    fn check_at(&mut self, next: u64) {
        self.next_check = next;
        let mut value = Timespec { tv_sec: 0, tv_nsec: 0 };
        if next != u64::MAX {
            // At least a little: zero would turn the timer off.
            let wait = next.saturating_sub(self.elapsed()).max(100);
            value.tv_sec = i64::try_from(wait / 1_000_000).unwrap_or(i64::MAX);
            value.tv_nsec = (wait % 1_000_000 * 1_000) as _;
        }
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Fails only for descriptors that are no timers.
        let _ = timerfd_settime(&self.keeping, TimerfdTimerFlags::empty(), &timer);
    }
}
