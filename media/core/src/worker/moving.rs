//! Legs that come and go: opened here, or brought over from another worker with all they have counted and sent so far.

use super::{CONNECTED, RTCP, RTP, Worker, watch};
use crate::leg::Leg;
use crate::schedule::NEVER;
use rustix::event::epoll;
use std::sync::mpsc::SyncSender;

impl Worker {
    /// Takes over a leg, a new one or one that was on another worker.
    pub(super) fn open(&mut self, mut leg: Box<Leg>, now: u64) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        let pair = leg.sockets();
        let sockets =
            [(Some(pair.rtp.fd()), RTP), (Some(pair.rtcp.fd()), RTCP), (leg.connected(), CONNECTED)];
        let refused =
            |(fd, kind): (Option<_>, _)| fd.is_some_and(|fd| watch(&self.epoll, fd, slot, kind).is_err());
        if sockets.into_iter().any(refused) {
            // The kernel's limit of watched descriptors: the leg stays silent and its media timeout tells.
            self.vacant.push(slot);
            return;
        }
        // What another worker has noted is that one's.
        leg.noted = NEVER;
        self.slots.insert(leg.id(), slot);
        self.legs[slot] = Some(leg);
        self.look_later(slot, now);
        self.pace(slot, false, now);
    }

    /// Hands a leg to whoever asked; it hears nobody and nobody hears it. Kept when they do not wait any more.
    pub(super) fn release(&mut self, id: u64, to: &SyncSender<Box<Leg>>, now: u64) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        self.unbridge(Some(slot), now);
        let Some(mut leg) = self.legs[slot].take() else {
            return;
        };
        self.vacant.push(slot);
        if let Some(turn) = leg.turn.take() {
            self.pacer.remove(turn, (slot, id));
        }
        self.unwatch(&leg);
        if let Err(refused) = to.try_send(leg) {
            use std::sync::mpsc::TrySendError::{Disconnected, Full};
            let (Disconnected(leg) | Full(leg)) = refused;
            self.open(leg, now);
        }
    }

    /// Ends a leg, with its sockets left for the next one or closed.
    pub(super) fn retire(&mut self, slot: usize, now: u64) {
        self.vacant.push(slot);
        // Dropped, a leg closes its sockets, which takes them out of the epoll set, and ends its lease.
        if let Some(leg) = self.legs[slot].take().filter(|leg| leg.may_leave_sockets()) {
            self.unwatch(&leg);
            leg.leave_sockets();
            self.check_by(now + self.allocator.kept_for * 1_000);
        }
    }

    fn unwatch(&self, leg: &Leg) {
        // They fail only for descriptors that are not watched.
        let _ = epoll::delete(&self.epoll, leg.sockets().rtp.fd());
        let _ = epoll::delete(&self.epoll, leg.sockets().rtcp.fd());
        if let Some(connected) = leg.connected() {
            let _ = epoll::delete(&self.epoll, connected);
        }
    }
}
