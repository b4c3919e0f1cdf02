//! What is done on a leg every few seconds: it reports to its peer, has a socket connected, and its media timeout is told.

use super::{CONNECTED, Worker, watch};
use crate::schedule::NEVER;

impl Worker {
    /// Looks at the legs whose time has come.
    pub(super) fn look_at_legs(&mut self, now: u64) {
        while let Some((due, slot, id)) = self.looks.take(now) {
            // Another leg may have taken the place of the one that was meant, or an earlier look that of this one.
            let meant = self.legs[slot].as_mut().filter(|leg| leg.id() == id && leg.noted == due);
            let Some(leg) = meant else {
                continue;
            };
            leg.noted = NEVER;
            if leg.report(now, self.clock) {
                let connected = leg.connect();
                if connected.is_some_and(|fd| watch(&self.epoll, fd, slot, CONNECTED).is_err()) {
                    leg.drop_connection();
                }
            }
            self.look_later(slot, now);
        }
        self.looks.arm(now);
    }

    /// Notes when to look at a leg next, and tells of its media timeout if that has come.
    pub(super) fn look_later(&mut self, slot: usize, now: u64) {
        if let Some(leg) = &mut self.legs[slot]
            && let Some(due) = leg.look_ahead(now, &self.events)
        {
            leg.noted = self.looks.add(due, (slot, leg.id()), leg.noted, now);
        }
    }
}
