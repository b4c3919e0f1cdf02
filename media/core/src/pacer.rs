//! When each leg that plays is due: a wheel of twenty turns, a millisecond each, behind one timer.
//!
//! A leg keeps its turn, so its packets are 20 ms apart for as long as it plays, and many legs spread over the wheel
//! instead of sending all at once. Turns missed in a stall are made up for, up to a limit. Times are microseconds of
//! the worker's monotonic clock.

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::time::Instant;

/// From one packet to the next.
pub const PERIOD: u64 = 20_000;
/// Width of a turn.
const TURN: u64 = 1_000;
const TURNS: usize = (PERIOD / TURN) as usize;
/// What a stall makes up for; more would only be a burst that no jitter buffer holds.
const MOST_LATE: u64 = 100_000;

/// Slot and id of a leg: the id tells whether it is still the same leg.
pub type Place = (usize, u64);

/// The wheel.
#[derive(Debug)]
pub struct Pacer {
    timer: OwnedFd,
    started: Instant,
    turns: [Vec<Place>; TURNS],
    /// Number of the last turn that was served, counted from the start of the clock.
    served: u64,
    /// Number of the turn for which the timer is set.
    armed: Option<u64>,
}

impl Pacer {
    /// An empty wheel; `started` is when the clock began.
    pub fn new(started: Instant) -> rustix::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Pacer { timer, started, turns: Default::default(), served: 0, armed: None })
    }

    /// Readable when a turn with legs has come; `arm` ends that.
    pub fn fd(&self) -> &OwnedFd {
        &self.timer
    }

    /// Gives a leg the turn at or after `due`, which is not later than one period from now, and returns it. The leg
    /// may be served once before `due`, when the wheel has not come as far as the clock.
    pub fn add(&mut self, place: Place, due: u64, now: u64) -> usize {
        if self.turns.iter().all(Vec::is_empty) {
            self.served = now / TURN;
        }
        let number = due.div_ceil(TURN).max(self.served + 1);
        let turn = (number % TURNS as u64) as usize;
        self.turns[turn].push(place);
        if self.armed.is_none_or(|armed| number < armed) {
            self.arm();
        }
        turn
    }

    /// Takes a leg out of its turn.
    pub fn remove(&mut self, turn: usize, place: Place) {
        self.turns[turn].retain(|&other| other != place);
    }

    /// The next turn with legs that has come: its time and the turn.
    pub fn next(&mut self, now: u64) -> Option<(u64, usize)> {
        let current = now / TURN;
        self.served = self.served.max(current.saturating_sub(MOST_LATE / TURN));
        while self.served < current {
            self.served += 1;
            let turn = (self.served % TURNS as u64) as usize;
            if !self.turns[turn].is_empty() {
                return Some((self.served * TURN, turn));
            }
        }
        None
    }

    /// Takes the legs of a turn, to be given back.
    pub fn take(&mut self, turn: usize) -> Vec<Place> {
        std::mem::take(&mut self.turns[turn])
    }

    /// Gives the legs of a turn back.
    pub fn give_back(&mut self, turn: usize, mut places: Vec<Place>) {
        places.append(&mut self.turns[turn]);
        self.turns[turn] = places;
    }

    /// Sets the timer for the next turn with legs; after all that have come were served.
    pub fn arm(&mut self) {
        self.armed = (self.served + 1..=self.served + TURNS as u64)
            .find(|number| !self.turns[(number % TURNS as u64) as usize].is_empty());
        let mut value = Timespec { tv_sec: 0, tv_nsec: 0 };
        if let Some(number) = self.armed {
            let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            // Never zero, which would turn the timer off; a turn that has come already is served at once. Less than
            // a second: a turn is at most a period ahead.
            value.tv_nsec = ((number * TURN).saturating_sub(elapsed).max(1) * 1_000) as _;
        }
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Fails only for descriptors that are no timers.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(pacer: &mut Pacer, now: u64) -> Vec<(u64, Vec<Place>)> {
        let mut all = Vec::new();
        while let Some((at, turn)) = pacer.next(now) {
            let places = pacer.take(turn);
            all.push((at, places.clone()));
            pacer.give_back(turn, places);
        }
        all
    }

    fn pacer() -> Pacer {
        Pacer::new(Instant::now()).unwrap()
    }

    #[test]
    fn a_leg_keeps_its_turn() {
        let mut pacer = pacer();
        pacer.add((1, 1), 5_300, 5_000);
        assert_eq!(served(&mut pacer, 5_999), []);
        assert_eq!(served(&mut pacer, 6_000), [(6_000, vec![(1, 1)])]);
        assert_eq!(served(&mut pacer, 25_999), []);
        assert_eq!(served(&mut pacer, 27_500), [(26_000, vec![(1, 1)])], "on its grid however late it is");
        assert_eq!(served(&mut pacer, 46_000), [(46_000, vec![(1, 1)])]);
    }

    #[test]
    fn legs_spread_over_the_wheel_in_order_of_time() {
        let mut pacer = pacer();
        for (slot, due) in [(1, 30_000), (2, 24_000), (3, 24_000), (4, 11_000)] {
            pacer.add((slot, 0), due, 10_500);
        }
        let times: Vec<_> = served(&mut pacer, 30_000);
        assert_eq!(times, [(11_000, vec![(4, 0)]), (24_000, vec![(2, 0), (3, 0)]), (30_000, vec![(1, 0)])]);
        pacer.remove(4, (2, 0));
        assert_eq!(served(&mut pacer, 49_000), [(31_000, vec![(4, 0)]), (44_000, vec![(3, 0)])]);
    }

    #[test]
    fn a_due_time_that_has_passed_is_served_at_the_next_turn() {
        let mut pacer = pacer();
        pacer.add((1, 0), 90_000, 100_200);
        assert_eq!(served(&mut pacer, 100_999), []);
        assert_eq!(served(&mut pacer, 101_000), [(101_000, vec![(1, 0)])]);
    }

    #[test]
    fn a_stall_is_made_up_for_but_not_without_end() {
        let mut pacer = pacer();
        pacer.add((1, 0), 10_000, 9_000);
        let times: Vec<u64> = served(&mut pacer, 55_000).iter().map(|&(at, _)| at).collect();
        assert_eq!(times, [10_000, 30_000, 50_000]);
        let times: Vec<u64> = served(&mut pacer, 9_015_000).iter().map(|&(at, _)| at).collect();
        assert_eq!(times, [8_930_000, 8_950_000, 8_970_000, 8_990_000, 9_010_000]);
    }
}
