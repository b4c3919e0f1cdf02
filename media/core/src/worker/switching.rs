//! Who hears whom: the commands that change it, and the one switch that a packet makes.

use super::{Sound, Worker};
use crate::hearing::{Hearing, Waiting};
use crate::mailbox::Event;
use crate::mix::Mix;

impl Worker {
    pub(super) fn bridge(&mut self, a: u64, b: u64, now: u64) {
        let slots = self.slots.get(&a).zip(self.slots.get(&b));
        let Some((&a, &b)) = slots.filter(|(a, b)| a != b) else {
            return;
        };
        for (slot, other) in [(a, b), (b, a)] {
            self.mute(slot, Some(other), now);
        }
        self.listen(a, b, now);
        self.listen(b, a, now);
    }

    /// The leg hears nobody and nobody hears it.
    pub(super) fn unbridge(&mut self, slot: Option<usize>, now: u64) {
        if let Some(slot) = slot {
            self.mute(slot, None, now);
            self.set_hearing(slot, Hearing::Nobody, now);
        }
    }

    /// Nobody but `except` hears the leg, and nobody waits for it.
    fn mute(&mut self, slot: usize, except: Option<usize>, now: u64) {
        let Some(leg) = &mut self.legs[slot] else {
            return;
        };
        let (listeners, waiters) = (leg.listeners, std::mem::take(&mut leg.waiters));
        for &listener in listeners.slots() {
            if Some(listener) != except && !self.forget(slot, listener) {
                self.set_hearing(listener, Hearing::Nobody, now);
            }
        }
        for &waiter in waiters.slots() {
            if let Some(waiter) = &mut self.legs[waiter] {
                waiter.waiting = None;
            }
        }
    }

    /// Takes a source out of what a leg hears; false where it is all of it.
    fn forget(&mut self, source: usize, listener: usize) -> bool {
        let Some(Hearing::Mix(mix)) = self.legs[listener].as_mut().map(|leg| &mut leg.hearing) else {
            return false;
        };
        mix.forget(source);
        if let Some(source) = &mut self.legs[source] {
            source.listeners.remove(listener);
        }
        true
    }

    /// A leg hears another; what it heard goes on being heard if that is the same.
    fn listen(&mut self, listener: usize, source: usize, now: u64) {
        let heard = self.legs[listener].as_ref().is_some_and(|leg| leg.hearing.is_leg(source));
        if heard {
            self.stop_waiting(listener);
        } else {
            self.set_hearing(listener, Hearing::Leg(source), now);
        }
    }

    pub(super) fn hear(&mut self, id: u64, sound: Sound, now: u64) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        match sound {
            // Silence that goes on is no switch.
            Sound::Silence if self.legs[slot].as_ref().is_some_and(|leg| leg.hearing.is_silence()) => {
                self.stop_waiting(slot);
            }
            Sound::Silence => self.set_hearing(slot, Hearing::Silence, now),
            Sound::Prompt(prompt, looped) => {
                self.set_hearing(slot, Hearing::Prompt { prompt, position: 0, looped }, now);
            }
            Sound::Mix(sources) => {
                let places = sources.map(|id| self.slots.get(&id).map(|&source| (source, id)));
                match places {
                    [Some(one), Some(other)] if one != other && one.0 != slot && other.0 != slot => {
                        self.set_hearing(slot, Hearing::Mix(Box::new(Mix::new([one, other]))), now);
                    }
                    _ => {}
                }
            }
            Sound::Leg(source) => {
                if let Some(&source) = self.slots.get(&source).filter(|&&source| source != slot) {
                    self.listen(slot, source, now);
                }
            }
        }
    }

    pub(super) fn hear_when_heard(&mut self, listener: u64, source: u64, within: u64, now: u64) {
        let slots = self.slots.get(&listener).zip(self.slots.get(&source));
        let Some((&slot, &source)) = slots.filter(|(slot, source)| slot != source) else {
            return;
        };
        self.stop_waiting(slot);
        // A call has fewer legs than there is room for waiters; one too many would wait in vain.
        if let Some(source) = &mut self.legs[source] {
            source.waiters.add(slot);
        }
        if let Some(leg) = &mut self.legs[slot] {
            leg.waiting = Some(Waiting { source, deadline: now + within, expired: false });
        }
        self.pace(slot, false, now);
    }

    /// The leg in `source` speaks: who waited for it hears it, this very packet first.
    pub(super) fn end_waits(&mut self, source: usize, now: u64) {
        let Some(waiters) = self.legs[source].as_ref().map(|leg| leg.waiters) else {
            return;
        };
        for &waiter in waiters.slots() {
            let Some((id, waiting)) =
                self.legs[waiter].as_ref().and_then(|leg| Some((leg.id(), leg.waiting?)))
            else {
                continue;
            };
            self.listen(waiter, source, now);
            if !waiting.expired {
                self.events.post(Event::Switched { leg: id, heard: true }, usize::MAX);
            }
        }
    }

    pub(super) fn stop_waiting(&mut self, listener: usize) {
        let waiting = self.legs[listener].as_mut().and_then(|leg| leg.waiting.take());
        if let Some(Some(source)) = waiting.map(|waiting| self.legs[waiting.source].as_mut()) {
            source.waiters.remove(listener);
        }
    }

    /// The leg hears something else and waits for nobody.
    fn set_hearing(&mut self, slot: usize, hearing: Hearing, now: u64) {
        self.stop_waiting(slot);
        let begins = self.replace_source(slot, hearing, now);
        self.pace(slot, begins, now);
    }

    /// The one place where the source of a leg changes. True when it begins to play sound made here.
    pub(super) fn replace_source(&mut self, slot: usize, mut hearing: Hearing, now: u64) -> bool {
        let Some(leg) = &self.legs[slot] else {
            return false;
        };
        let played = leg.hearing.is_made_here();
        for before in leg.hearing.sources().into_iter().flatten() {
            if let Some(before) = &mut self.legs[before] {
                before.listeners.remove(slot);
            }
        }
        for source in hearing.sources().into_iter().flatten() {
            if !self.legs[source].as_mut().is_some_and(|source| source.listeners.add(slot)) {
                match &mut hearing {
                    Hearing::Mix(mix) => mix.forget(source),
                    _ => hearing = Hearing::Silence,
                }
            }
        }
        let begins = hearing.is_made_here() && !played;
        if let Some(leg) = &mut self.legs[slot] {
            leg.set_hearing(hearing, now);
        }
        begins
    }
}
