//! When the worker looks at each leg next, to report and for its media timeout: a heap behind one timer, so that no
//! packet pays for it, and no look at one leg for the others.
//!
//! Due times lie on a coarse grid, and what is due together is done in one waking. Legs that were closed are forgotten
//! when their time comes, and so is a look that an earlier one replaced: the leg knows for when it was noted last. Times are microseconds of the worker's monotonic clock.

use rustix::fd::OwnedFd;
use rustix::io::read;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// For when a leg is noted that nobody looks at.
pub const NEVER: u64 = u64::MAX;
/// Width of the grid.
const GRID: u64 = 20_000;

/// Who is due and when.
#[derive(Debug)]
pub struct Schedule {
    timer: OwnedFd,
    /// When the timer goes off; `u64::MAX` while it is off.
    armed: u64,
    /// Time, slot of the leg and its id, which tells whether it is still the same leg.
    waiting: BinaryHeap<Reverse<(u64, usize, u64)>>,
}

impl Schedule {
    /// An empty schedule.
    pub fn new() -> rustix::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Schedule { timer, armed: u64::MAX, waiting: BinaryHeap::new() })
    }

    /// Readable when somebody is due.
    pub fn fd(&self) -> &OwnedFd {
        &self.timer
    }

    /// Notes that a leg is due at a time, unless it is noted for one before that. Returns for when it is noted then.
    #[must_use]
    pub fn add(&mut self, due: u64, (slot, id): (usize, u64), noted: u64, now: u64) -> u64 {
        let due = due.checked_next_multiple_of(GRID).unwrap_or(u64::MAX);
        if due >= noted {
            return noted;
        }
        self.waiting.push(Reverse((due, slot, id)));
        if due < self.armed {
            self.arm(now);
        }
        due
    }

    /// Takes one that is due: for when it was noted, its slot and id.
    pub fn take(&mut self, now: u64) -> Option<(u64, usize, u64)> {
        let &Reverse(first) = self.waiting.peek()?;
        if first.0 > now {
            return None;
        }
        self.waiting.pop();
        Some(first)
    }

    /// Sets the timer for the next one; after all that are due were taken.
    pub fn arm(&mut self, now: u64) {
        let _ = read(&self.timer, &mut [0; 8]);
        self.armed = self.waiting.peek().map_or(u64::MAX, |&Reverse((due, ..))| due);
        let mut value = Timespec { tv_sec: 0, tv_nsec: 0 };
        if self.armed != u64::MAX {
            // At least a little: zero would turn the timer off.
            let wait = self.armed.saturating_sub(now).max(100);
            value.tv_sec = i64::try_from(wait / 1_000_000).unwrap_or(i64::MAX);
            value.tv_nsec = (wait % 1_000_000 * 1_000) as _;
        }
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Fails only for descriptors that are no timers.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn who_is_due_comes_in_order_and_on_the_grid() {
        let mut schedule = Schedule::new().unwrap();
        assert_eq!(schedule.add(50_000, (1, 11), NEVER, 0), 60_000);
        assert_eq!(schedule.add(10_000, (2, 12), NEVER, 0), 20_000);
        assert_eq!(schedule.add(15_000, (3, 13), NEVER, 0), 20_000);
        assert_eq!(schedule.take(19_999), None);
        assert_eq!(
            [schedule.take(20_000), schedule.take(20_000)],
            [Some((20_000, 2, 12)), Some((20_000, 3, 13))]
        );
        assert_eq!(schedule.take(59_999), None);
        assert_eq!(schedule.take(60_000), Some((60_000, 1, 11)));
    }

    #[test]
    fn only_an_earlier_look_is_noted_anew() {
        let mut schedule = Schedule::new().unwrap();
        assert_eq!(schedule.add(50_000, (1, 11), NEVER, 0), 60_000);
        assert_eq!(schedule.add(45_000, (1, 11), 60_000, 0), 60_000, "the same on the grid");
        assert_eq!(schedule.add(30_000, (1, 11), 60_000, 0), 40_000);
        assert_eq!(schedule.add(u64::MAX, (2, 12), NEVER, 0), NEVER);
        assert_eq!(schedule.waiting.len(), 2);
    }

    #[test]
    fn the_timer_goes_off_for_the_next_one_and_is_off_without() {
        let mut schedule = Schedule::new().unwrap();
        let _ = schedule.add(9_000_000, (1, 11), NEVER, 0);
        let _ = schedule.add(1, (2, 12), NEVER, 0);
        let mut fds = [PollFd::new(&schedule.timer, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 5, tv_nsec: 0 })).unwrap();
        assert!(!fds[0].revents().is_empty());
        schedule.take(20_000);
        schedule.arm(20_000);
        assert_eq!(schedule.armed, 9_000_000);
        schedule.take(9_000_000);
        schedule.arm(9_000_000);
        assert_eq!(schedule.armed, u64::MAX);
    }
}
