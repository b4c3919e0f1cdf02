//! A media worker: one thread, one epoll, the legs it owns. Commands come through a mailbox, events leave by another.
//!
//! The path of a packet: epoll says a leg's RTP socket is readable -> one `recvfrom` into the worker's buffer ->
//! `Leg::accept` on the leg it came to -> `Leg::send` on that leg's partner -> one `sendto`. No lock, no allocation.

use crate::content::Parameters;
use crate::hearing::{Hearing, Waiting};
use crate::leg::{Events, Leg};
use crate::mailbox::{Event, Mailbox};
use crate::prompt::Prompt;
use crate::reporting::NtpClock;
use crate::rtp::MAX_DATAGRAM;
use crate::schedule::Schedule;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::thread::{ClockId, clock_nanosleep_relative, set_current_timer_slack};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

/// What the event loop asks of a worker. Commands for legs that are gone are ignored.
#[derive(Debug)]
pub enum Command {
    /// Takes over a leg.
    Open(Box<Leg>),
    /// What the peer agreed to.
    SetParameters(u64, Parameters),
    /// Media timeout in microseconds, None for none.
    SetTimeout(u64, Option<u64>),
    /// The two legs hear each other and nobody else.
    Bridge(u64, u64),
    /// The leg hears nobody and nobody hears it.
    Unbridge(u64),
    /// The first leg hears this from now on.
    Hear(u64, Sound),
    /// The first leg hears the second as soon as that speaks, and silence after so many microseconds in vain.
    HearWhenHeard(u64, u64, u64),
    /// Report a silence of so many microseconds of the leg's peer; None for no more.
    WatchSilence(u64, Option<u64>),
    /// Drops the leg.
    Close(u64),
    /// Ends the worker.
    Stop,
    /// Stands in for a bug, to test what follows one.
    #[cfg(test)]
    Fail,
}

/// What a leg is told to hear.
#[derive(Debug)]
pub enum Sound {
    /// Silence in time.
    Silence,
    /// The peer of the leg with this id.
    Leg(u64),
    /// A prompt, again and again or once.
    Prompt(Arc<Prompt>, bool),
}

/// Readiness tokens: twice the slot, plus one for RTCP; the highest are ours.
const MAILBOX: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
const REPORTS: u64 = u64::MAX - 2;
const PACER: u64 = u64::MAX - 3;
/// Nanoseconds between two frames of what is made here.
const PACE: i64 = 20_000_000;
/// Frames made up for after a stall; more would only be a burst.
const MOST_FRAMES: u64 = 5;
/// Sockets served between two looks at the mailbox and the clock.
const BATCH: usize = 256;
/// A batch that is large enough as it is.
const ENOUGH: usize = 16;

/// The state of a worker thread.
pub struct Worker {
    mailbox: Arc<Mailbox<Command>>,
    events: Arc<Events>,
    epoll: OwnedFd,
    timer: OwnedFd,
    /// When the timer goes off; `u64::MAX` while it is off.
    next_check: u64,
    started: Instant,
    /// What `started` was on the wall.
    clock: NtpClock,
    reports: Schedule,
    pacer: OwnedFd,
    /// Slots and ids of the legs that are looked at every 20 ms.
    paced: Vec<(usize, u64)>,
    legs: Vec<Option<Box<Leg>>>,
    vacant: Vec<usize>,
    slots: HashMap<u64, usize>,
    buffer: Box<[u8; MAX_DATAGRAM]>,
    /// For a packet that more than one leg hears: each rewrites its own.
    copy: Box<[u8; MAX_DATAGRAM]>,
    /// Microseconds a busy worker lets packets gather between two batches; 0 for never.
    gather: u64,
}

impl Worker {
    /// A worker without legs.
    pub fn new(mailbox: Arc<Mailbox<Command>>, events: Arc<Events>, gather: u64) -> rustix::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&epoll, mailbox.fd(), EventData::new_u64(MAILBOX), EventFlags::IN)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let reports = Schedule::new()?;
        epoll::add(&epoll, reports.fd(), EventData::new_u64(REPORTS), EventFlags::IN)?;
        let pacer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &pacer, EventData::new_u64(PACER), EventFlags::IN)?;
        Ok(Worker {
            mailbox,
            events,
            epoll,
            timer,
            next_check: u64::MAX,
            started: Instant::now(),
            clock: NtpClock::starting_now(),
            reports,
            pacer,
            paced: Vec::new(),
            legs: Vec::new(),
            vacant: Vec::new(),
            slots: HashMap::new(),
            buffer: Box::new([0; MAX_DATAGRAM]),
            copy: Box::new([0; MAX_DATAGRAM]),
            gather,
        })
    }

    /// Works until told to stop.
    pub fn run(&mut self) -> rustix::io::Result<()> {
        // Naps end when they are due, not up to 50 us later; refused, they only end later.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut ready = Vec::with_capacity(BATCH);
        let mut before = 0;
        loop {
            ready.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            // One look at the clock for the batch: it is over within a millisecond.
            let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            // Commands first: what was sent after a command was given is handled after it.
            if self.mailbox.waiting() && !self.take_commands(now) {
                return Ok(());
            }
            for event in &ready {
                match event.data.u64() {
                    MAILBOX => {}
                    TIMER => self.check_timeouts(now),
                    REPORTS => self.send_reports(now),
                    PACER => self.keep_pace(now),
                    token => self.readable(token, now),
                }
            }
            let worthwhile = ready.len() as u64 * self.gather >= 2 * (now - before);
            if worthwhile && ready.len() < ENOUGH && self.gather > 0 {
                self.let_packets_gather();
            }
            before = now;
        }
    }

    /// Sleeps without listening. Waking up costs several times what relaying a packet costs, so a worker that would
    /// be woken for every packet takes a few at a time instead. An idle one is woken at once, a loaded one has no
    /// time to sleep.
    fn let_packets_gather(&self) {
        let nap = Timespec { tv_sec: 0, tv_nsec: (self.gather * 1_000) as _ };
        // Interrupted or refused: then the next batch is smaller.
        let _ = clock_nanosleep_relative(ClockId::Monotonic, &nap);
    }

    fn readable(&mut self, token: u64, now: u64) {
        let slot = (token >> 1) as usize;
        let Some(Some(leg)) = self.legs.get_mut(slot) else {
            return; // closed by a command of this very batch
        };
        if token & 1 == 1 {
            return leg.receive_rtcp(&mut self.buffer[..], now, self.clock);
        }
        let Some((length, from)) = leg.receive(&mut self.buffer[..]) else {
            return;
        };
        // Longer than the buffer: hand all of it on, it is too large to be taken for RTP.
        let oversized = length > MAX_DATAGRAM;
        let data = if oversized { &mut self.buffer[..1] } else { &mut self.buffer[..length] };
        let Some(accepted) = leg.accept(data, &from, now, self.clock, &self.events) else {
            return;
        };
        leg.note_sound(&accepted, data, now);
        let listens = leg.listens();
        if let Some(listener) = leg.awaited_by.filter(|_| listens && accepted.is_new_audio()) {
            self.end_wait(listener, slot);
        }
        let Some(Some(leg)) = self.legs.get(slot) else {
            return;
        };
        let listeners = leg.listeners;
        let mut rest = listeners.slots().len();
        for &listener in listeners.slots() {
            rest -= 1;
            let Some(Some(listener)) = self.legs.get_mut(listener) else {
                continue;
            };
            if !listens {
                listener.interrupt();
            } else if rest == 0 {
                listener.send(&accepted, &mut self.buffer[..length], now);
            } else {
                self.copy[..length].copy_from_slice(&self.buffer[..length]);
                listener.send(&accepted, &mut self.copy[..length], now);
            }
        }
    }

    fn take_commands(&mut self, now: u64) -> bool {
        let mut commands = VecDeque::new();
        self.mailbox.take(&mut commands);
        commands.into_iter().all(|command| self.obey(command, now))
    }

    fn obey(&mut self, command: Command, now: u64) -> bool {
        match command {
            Command::Open(leg) => self.open(leg),
            Command::SetParameters(id, parameters) => {
                self.with(id, now, |leg| leg.set_parameters(parameters, now));
                self.begin_reports(id, now);
            }
            Command::SetTimeout(id, timeout) => self.with(id, now, |leg| leg.set_timeout(timeout, now)),
            Command::Bridge(a, b) => self.bridge(a, b),
            Command::Unbridge(id) => self.unbridge(self.slots.get(&id).copied()),
            Command::Hear(id, sound) => self.hear(id, sound),
            Command::HearWhenHeard(listener, source, within) => {
                self.hear_when_heard(listener, source, now + within);
            }
            Command::WatchSilence(id, limit) => {
                self.with(id, now, |leg| leg.watch_silence(limit, now));
                if let Some(&slot) = self.slots.get(&id) {
                    self.pace(slot);
                }
            }
            Command::Close(id) => self.close(id, now),
            Command::Stop => return false,
            #[cfg(test)]
            Command::Fail => panic!("asked to fail"),
        }
        true
    }

    fn open(&mut self, leg: Box<Leg>) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        let token = (slot as u64) << 1;
        let sockets = leg.sockets();
        let added = epoll::add(&self.epoll, sockets.rtp.fd(), EventData::new_u64(token), EventFlags::IN)
            .and_then(|()| {
                epoll::add(&self.epoll, sockets.rtcp.fd(), EventData::new_u64(token | 1), EventFlags::IN)
            });
        if added.is_err() {
            // The kernel's limit of watched descriptors: the leg stays silent and its media timeout tells.
            self.vacant.push(slot);
            return;
        }
        self.slots.insert(leg.id(), slot);
        self.legs[slot] = Some(leg);
    }

    /// Acts on a leg and sets the timer when its media timeout became the next one.
    fn with(&mut self, id: u64, now: u64, action: impl FnOnce(&mut Leg)) {
        let Some(leg) = self.slots.get(&id).and_then(|&slot| self.legs[slot].as_mut()) else {
            return;
        };
        action(leg);
        if let Some(next) = leg.check_timeout(now, &self.events).filter(|&next| next < self.next_check) {
            self.set_timer(next);
        }
    }

    fn bridge(&mut self, a: u64, b: u64) {
        let slots = self.slots.get(&a).zip(self.slots.get(&b));
        let Some((&a, &b)) = slots.filter(|(a, b)| a != b) else {
            return;
        };
        for (slot, other) in [(a, b), (b, a)] {
            self.mute(slot, Some(other));
        }
        self.listen(a, b);
        self.listen(b, a);
    }

    /// The leg hears nobody and nobody hears it.
    fn unbridge(&mut self, slot: Option<usize>) {
        if let Some(slot) = slot {
            self.mute(slot, None);
            self.set_hearing(slot, Hearing::Nobody);
        }
    }

    /// Nobody but `except` hears the leg, and nobody waits for it.
    fn mute(&mut self, slot: usize, except: Option<usize>) {
        let Some(leg) = &mut self.legs[slot] else {
            return;
        };
        let (listeners, awaited_by) = (leg.listeners, leg.awaited_by.take());
        for &listener in listeners.slots() {
            if Some(listener) != except {
                self.set_hearing(listener, Hearing::Nobody);
            }
        }
        if let Some(Some(waiting)) = awaited_by.map(|waiting| self.legs[waiting].as_mut()) {
            waiting.waiting = None;
        }
    }

    /// A leg hears another; what it heard goes on being heard if that is the same.
    fn listen(&mut self, listener: usize, source: usize) {
        let heard = self.legs[listener].as_ref().is_some_and(|leg| {
            leg.waiting.is_none() && matches!(leg.hearing, Hearing::Leg(heard) if heard == source)
        });
        if !heard {
            self.set_hearing(listener, Hearing::Leg(source));
        }
    }

    fn hear(&mut self, id: u64, sound: Sound) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        match sound {
            Sound::Silence => self.set_hearing(slot, Hearing::Silence),
            Sound::Prompt(prompt, looped) => {
                self.set_hearing(slot, Hearing::Prompt { prompt, position: 0, looped });
            }
            Sound::Leg(source) => {
                if let Some(&source) = self.slots.get(&source).filter(|&&source| source != slot) {
                    self.listen(slot, source);
                }
            }
        }
    }

    fn hear_when_heard(&mut self, listener: u64, source: u64, deadline: u64) {
        let slots = self.slots.get(&listener).zip(self.slots.get(&source));
        let Some((&slot, &source)) = slots.filter(|(slot, source)| slot != source) else {
            return;
        };
        self.stop_waiting(slot);
        let Some(leg) = &mut self.legs[slot] else {
            return;
        };
        if matches!(leg.hearing, Hearing::Leg(heard) if heard == source) {
            self.events.post(Event::Switched { leg: listener, heard: true }, usize::MAX);
            return;
        }
        leg.waiting = Some(Waiting { source, deadline, expired: false });
        if let Some(source) = &mut self.legs[source] {
            source.awaited_by = Some(slot);
        }
        self.pace(slot);
    }

    /// The leg in `source` speaks: who waited for it hears it, this very packet first.
    fn end_wait(&mut self, listener: usize, source: usize) {
        let Some(waiting) = self.legs[listener].as_mut().and_then(|leg| leg.waiting) else {
            return;
        };
        self.set_hearing(listener, Hearing::Leg(source));
        if let Some(leg) = self.legs[listener].as_ref().filter(|_| !waiting.expired) {
            self.events.post(Event::Switched { leg: leg.id(), heard: true }, usize::MAX);
        }
    }

    fn stop_waiting(&mut self, listener: usize) {
        let waiting = self.legs[listener].as_mut().and_then(|leg| leg.waiting.take());
        if let Some(Some(source)) = waiting.map(|waiting| self.legs[waiting.source].as_mut()) {
            source.awaited_by = None;
        }
    }

    /// The one place where the source of a leg changes; it waits for nobody afterwards.
    fn set_hearing(&mut self, slot: usize, hearing: Hearing) {
        self.stop_waiting(slot);
        self.change_source(slot, hearing);
    }

    fn change_source(&mut self, slot: usize, mut hearing: Hearing) {
        let before = self.legs[slot].as_ref().and_then(|leg| match leg.hearing {
            Hearing::Leg(source) => Some(source),
            _ => None,
        });
        if let Some(Some(source)) = before.map(|source| self.legs[source].as_mut()) {
            source.listeners.remove(slot);
        }
        if let Hearing::Leg(source) = hearing
            && !self.legs[source].as_mut().is_some_and(|source| source.listeners.add(slot))
        {
            hearing = Hearing::Silence;
        }
        if let Some(leg) = &mut self.legs[slot] {
            leg.set_hearing(hearing);
        }
        self.pace(slot);
    }

    /// Looks at a leg every 20 ms from now on, if it needs that.
    fn pace(&mut self, slot: usize) {
        let Some(leg) = self.legs[slot].as_mut().filter(|leg| leg.needs_pace() && !leg.paced) else {
            return;
        };
        leg.paced = true;
        self.paced.push((slot, leg.id()));
        if self.paced.len() == 1 {
            self.set_pacer(PACE);
        }
    }

    fn keep_pace(&mut self, now: u64) {
        let mut count = [0; 8];
        // Unreadable only when it was turned off meanwhile.
        let due = if read(&self.pacer, &mut count).is_ok() { u64::from_ne_bytes(count) } else { 0 };
        let paced = std::mem::take(&mut self.paced);
        for &(slot, id) in &paced {
            if self.legs[slot].as_ref().is_some_and(|leg| leg.id() == id) {
                self.pace_leg(slot, due.min(MOST_FRAMES), now);
            }
        }
        let mut paced = paced;
        // Legs that came in meanwhile stand behind; those with nothing left to do go.
        paced.append(&mut self.paced);
        paced.retain(|&(slot, id)| {
            let Some(leg) = self.legs[slot].as_mut().filter(|leg| leg.id() == id) else {
                return false;
            };
            leg.paced = leg.needs_pace();
            leg.paced
        });
        self.paced = paced;
        if self.paced.is_empty() {
            self.set_pacer(0);
        }
    }

    fn pace_leg(&mut self, slot: usize, frames: u64, now: u64) {
        let Some(leg) = &mut self.legs[slot] else {
            return;
        };
        let id = leg.id();
        leg.check_quiet(now, &self.events);
        let mut ended = false;
        if leg.hearing.is_made_here() {
            for _ in 0..frames {
                ended |= leg.play(now);
            }
        }
        let vain = leg.waiting.is_some_and(|wait| !wait.expired && wait.deadline <= now);
        if let Some(waiting) = leg.waiting.as_mut().filter(|_| vain) {
            waiting.expired = true;
        }
        if ended || vain {
            self.change_source(slot, Hearing::Silence);
        }
        if vain {
            self.events.post(Event::Switched { leg: id, heard: false }, usize::MAX);
        }
        if ended {
            self.events.post(Event::PromptEnded { leg: id }, usize::MAX);
        }
    }

    fn set_pacer(&self, nanoseconds: i64) {
        let every = Timespec { tv_sec: 0, tv_nsec: nanoseconds as _ };
        let timer = Itimerspec { it_interval: every, it_value: every };
        // Fails only for descriptors that are no timers.
        let _ = timerfd_settime(&self.pacer, TimerfdTimerFlags::empty(), &timer);
    }

    fn begin_reports(&mut self, id: u64, now: u64) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        if let Some(due) = self.legs[slot].as_mut().and_then(|leg| leg.begin_reports(now)) {
            self.reports.add(due, slot, id, now);
        }
    }

    fn send_reports(&mut self, now: u64) {
        while let Some((slot, id)) = self.reports.take(now) {
            // Another leg may have taken the place of the one that was meant.
            if let Some(leg) = self.legs[slot].as_mut().filter(|leg| leg.id() == id) {
                let due = leg.report(now, self.clock);
                self.reports.add(due, slot, id, now);
            }
        }
        self.reports.arm(now);
    }

    fn close(&mut self, id: u64, now: u64) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if let Some(leg) = &mut self.legs[slot] {
            leg.say_goodbye(now, self.clock);
        }
        self.unbridge(Some(slot));
        self.stop_waiting(slot);
        // Dropping the leg closes its sockets, which takes them out of the epoll set, and ends its lease.
        self.legs[slot] = None;
        self.vacant.push(slot);
    }

    /// Looks at every leg. As long as packets come this happens once per timeout, not once per packet.
    fn check_timeouts(&mut self, now: u64) {
        let _ = read(&self.timer, &mut [0; 8]);
        let next =
            self.legs.iter_mut().flatten().filter_map(|leg| leg.check_timeout(now, &self.events)).min();
        self.set_timer(next.unwrap_or(u64::MAX));
    }

    fn set_timer(&mut self, next: u64) {
        self.next_check = next;
        let mut value = Timespec { tv_sec: 0, tv_nsec: 0 };
        if next != u64::MAX {
            let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            // At least a little: zero would turn the timer off.
            let wait = next.saturating_sub(elapsed).max(100);
            value.tv_sec = i64::try_from(wait / 1_000_000).unwrap_or(i64::MAX);
            value.tv_nsec = (wait % 1_000_000 * 1_000) as _;
        }
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Fails only for descriptors that are no timers.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
    }
}
