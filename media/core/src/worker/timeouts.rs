//! The one timer behind all media timeouts of a worker.

use super::Worker;
use rustix::io::read;
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

impl Worker {
    /// Looks at every leg. As long as packets come this happens once per timeout, not once per packet.
    pub(super) fn check_timeouts(&mut self, now: u64) {
        let _ = read(&self.timer, &mut [0; 8]);
        let next =
            self.legs.iter_mut().flatten().filter_map(|leg| leg.check_timeout(now, &self.events)).min();
        self.set_timer(next.unwrap_or(u64::MAX));
    }

    /// Looks again then; `u64::MAX` for never.
    pub(super) fn set_timer(&mut self, next: u64) {
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
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
    }
}
