//! What happens on a leg every 20 ms without a packet: prompts and silence go out, waits and watches run out.

use super::Worker;
use crate::hearing::Hearing;
use crate::leg::Leg;
use crate::mailbox::Event;
use crate::pacer::PERIOD;

impl Worker {
    /// Looks at a leg every 20 ms from now on, if it needs that. One that begins to play is due 20 ms after the
    /// packet before; one that does already keeps its turn.
    pub(super) fn pace(&mut self, slot: usize, begins: bool, now: u64) {
        let Some(leg) = self.legs[slot].as_mut().filter(|leg| leg.needs_pace()) else {
            return;
        };
        let place = (slot, leg.id());
        match leg.turn {
            Some(_) if !begins => return,
            Some(turn) => self.pacer.remove(turn, place),
            None => {}
        }
        let due = if begins { leg.next_due(now) } else { now + PERIOD };
        leg.turn = Some(self.pacer.add(place, due, now));
    }

    /// The same for a leg that may be gone, and does not begin to play.
    pub(super) fn pace_if_open(&mut self, id: u64, now: u64) {
        if let Some(&slot) = self.slots.get(&id) {
            self.pace(slot, false, now);
        }
    }

    /// Serves all turns that have come.
    pub(super) fn keep_pace(&mut self, now: u64) {
        while let Some((at, turn)) = self.pacer.next(now) {
            let mut places = self.pacer.take(turn);
            places.retain(|&(slot, id)| {
                let Some(leg) = self.legs[slot].as_mut().filter(|leg| leg.id() == id) else {
                    return false; // closed, and perhaps another leg stands there
                };
                leg.turn = None;
                self.pace_leg(slot, at, now);
                let stays = |leg: &&mut Box<Leg>| leg.turn.is_none() && leg.needs_pace();
                let Some(leg) = self.legs[slot].as_mut().filter(stays) else {
                    return false; // nothing left to do, or it was given another turn
                };
                leg.turn = Some(turn);
                true
            });
            self.pacer.give_back(turn, places);
        }
        self.pacer.arm();
    }

    fn pace_leg(&mut self, slot: usize, at: u64, now: u64) {
        let Some(leg) = &mut self.legs[slot] else {
            return;
        };
        let id = leg.id();
        leg.check_quiet(now, &self.events);
        let vain = leg.waiting.is_some_and(|wait| !wait.expired && wait.deadline <= now);
        if let Some(waiting) = leg.waiting.as_mut().filter(|_| vain) {
            waiting.expired = true;
        }
        if vain {
            self.events.post(Event::Switched { leg: id, heard: false }, usize::MAX);
            if self.replace_source(slot, Hearing::Silence, now) {
                return self.pace(slot, true, now);
            }
        }
        if self.legs[slot].as_mut().is_some_and(|leg| leg.play(at)) {
            self.replace_source(slot, Hearing::Silence, now);
            self.events.post(Event::PromptEnded { leg: id }, usize::MAX);
        }
    }
}
