//! A media worker: one thread, one epoll, the legs it owns. Commands come through a mailbox, events leave by another.
//!
//! The path of a packet: epoll says a leg's RTP socket is readable -> one `recvfrom` into the worker's buffer ->
//! `Leg::accept` on the leg it came to -> `Leg::send` on each leg that hears it -> one `sendto`. No lock, no allocation.

mod gathering;
mod keeping;
mod looking;
mod moving;
mod pacing;
mod switching;

use crate::allocator::Allocator;
use crate::content::Parameters;
use crate::leg::{Events, Leg};
use crate::listening::answering::Sign;
use crate::mailbox::Mailbox;
use crate::pacer::Pacer;
use crate::prompt::Prompt;
use crate::recording::Tape;
use crate::reporting::NtpClock;
use crate::rtp::{Buffer, MAX_DATAGRAM};
use crate::schedule::Schedule;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;
use rustix::time::{TimerfdClockId, TimerfdFlags, Timespec, timerfd_create};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// What the event loop asks of a worker. Commands for legs that are gone are ignored.
#[derive(Debug)]
pub enum Command {
    /// Takes over a leg.
    Open(Box<Leg>),
    /// Gives a leg away, to be opened on another worker.
    Release(u64, SyncSender<Box<Leg>>),
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
    /// Report keys that the leg's peer sends as tones, or no more.
    ListenForKeys(u64, bool),
    /// Report who answered on the leg, by this sign; None for no more.
    JudgeAnswer(u64, Option<Sign>),
    /// What the leg's peer says and hears goes to this tape.
    Record(u64, Tape),
    /// Drops the leg.
    Close(u64),
    /// Ends the worker.
    Stop,
    /// Stands in for a bug, to test what follows one.
    #[cfg(test)]
    Fail,
}

impl Command {
    /// False for what can wait until a worker looks that had commands a moment ago. With every packet it looks, before
    /// anybody hears that packet, so only what makes sound by itself or is waited for is urgent.
    pub fn is_urgent(&self) -> bool {
        !matches!(
            self,
            Command::Open(_)
                | Command::SetParameters(..)
                | Command::SetTimeout(..)
                | Command::Bridge(..)
                | Command::Unbridge(_)
                | Command::WatchSilence(..)
                | Command::Record(..)
                | Command::Close(_)
        )
    }
}

/// What a leg is told to hear.
#[derive(Debug)]
pub enum Sound {
    /// Silence in time.
    Silence,
    /// The peer of the leg with this id.
    Leg(u64),
    /// The peers of these two together.
    Mix([u64; 2]),
    /// A prompt, again and again or once.
    Prompt(Arc<Prompt>, bool),
}

/// Readiness tokens: four times the slot, plus which socket of the leg it is; the highest are ours.
const RTP: u64 = 0;
const RTCP: u64 = 1;
const CONNECTED: u64 = 2;
const MAILBOX: u64 = u64::MAX;
const KEEPING: u64 = u64::MAX - 1;
const LOOKS: u64 = u64::MAX - 2;
const PACER: u64 = u64::MAX - 3;
/// Sockets served between two looks at the mailbox and the clock.
const BATCH: usize = 256;
/// Microseconds after commands within which the worker looks for more without being woken. Calls give theirs in bursts,
/// and waking a thread for each costs more than all that the thread does.
const LOOK: u64 = 5_000;

/// When the time of all workers of an engine began. It is one time, so that a leg may move from one to another.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    started: Instant,
    /// What `started` was on the wall.
    clock: NtpClock,
}

impl Beginning {
    /// Begins now.
    pub fn now() -> Self {
        Beginning { started: Instant::now(), clock: NtpClock::starting_now() }
    }

    /// When that was.
    pub fn started(&self) -> Instant {
        self.started
    }
}

/// The state of a worker thread.
pub struct Worker {
    mailbox: Arc<Mailbox<Command>>,
    events: Arc<Events>,
    allocator: Arc<Allocator>,
    epoll: OwnedFd,
    /// Goes off when sockets that are kept may have been kept for long enough.
    keeping: OwnedFd,
    /// When it does; `u64::MAX` while it is off.
    next_check: u64,
    started: Instant,
    /// What `started` was on the wall.
    clock: NtpClock,
    looks: Schedule,
    pacer: Pacer,
    legs: Vec<Option<Box<Leg>>>,
    vacant: Vec<usize>,
    slots: HashMap<u64, usize>,
    buffer: Box<Buffer>,
    /// For a packet that more than one leg hears: each rewrites its own.
    copy: Box<Buffer>,
    /// The most microseconds from one look of a busy worker at its sockets to the next; 0 for never a nap.
    gather: u64,
}

impl Worker {
    /// A worker without legs.
    pub fn new(
        mailbox: Arc<Mailbox<Command>>,
        (events, allocator): (Arc<Events>, Arc<Allocator>),
        gather: u64,
        beginning: Beginning,
    ) -> rustix::io::Result<Self> {
        let Beginning { started, clock } = beginning;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let keeping =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&epoll, mailbox.fd(), EventData::new_u64(MAILBOX), EventFlags::IN | EventFlags::ET)?;
        epoll::add(&epoll, &keeping, EventData::new_u64(KEEPING), EventFlags::IN)?;
        let looks = Schedule::new()?;
        epoll::add(&epoll, looks.fd(), EventData::new_u64(LOOKS), EventFlags::IN)?;
        let pacer = Pacer::new(started)?;
        epoll::add(&epoll, pacer.fd(), EventData::new_u64(PACER), EventFlags::IN)?;
        Ok(Worker {
            mailbox,
            events,
            allocator,
            epoll,
            keeping,
            next_check: u64::MAX,
            started,
            clock,
            looks,
            pacer,
            legs: Vec::new(),
            vacant: Vec::new(),
            slots: HashMap::new(),
            buffer: Box::new([0; size_of::<Buffer>()]),
            copy: Box::new([0; size_of::<Buffer>()]),
            gather,
        })
    }

    /// Works until told to stop.
    pub fn run(&mut self) -> rustix::io::Result<()> {
        // Naps end when they are due, not up to 50 us later; refused, they only end later.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut ready = Vec::with_capacity(BATCH);
        let (mut before, mut looked) = (0, None);
        let soon = Timespec { tv_sec: 0, tv_nsec: (LOOK * 1_000) as _ };
        loop {
            ready.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), looked.map(|_| &soon)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            // One look at the clock for the batch: it is over within a millisecond.
            let now = self.elapsed();
            if looked.is_some_and(|at| now - at >= LOOK) {
                looked = None;
                self.mailbox.watch(false);
            }
            // Commands first: what was sent after a command was given is handled after it.
            if self.mailbox.waiting() {
                if !self.take_commands(now) {
                    return Ok(());
                }
                looked = Some(now);
                self.mailbox.watch(true);
            }
            for event in &ready {
                match event.data.u64() {
                    MAILBOX => {}
                    KEEPING => self.close_unused(now),
                    LOOKS => self.look_at_legs(now),
                    PACER => self.keep_pace(now),
                    token => self.readable(token, now),
                }
            }
            if let Some(after) = gathering::next_look(ready.len() as u64, now - before, self.gather) {
                self.let_packets_gather(now + after);
            }
            before = now;
        }
    }

    /// Microseconds since the beginning.
    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn readable(&mut self, token: u64, now: u64) {
        let slot = (token >> 2) as usize;
        let Some(Some(leg)) = self.legs.get_mut(slot) else {
            return; // closed by a command of this very batch
        };
        let buffer = &mut self.buffer[..MAX_DATAGRAM];
        let received = match token & 3 {
            RTCP => return leg.receive_rtcp(buffer, now, self.clock),
            CONNECTED => leg.receive_connected(buffer),
            _ => leg.receive(buffer),
        };
        let Some((length, from)) = received else {
            return;
        };
        // Longer than the buffer: hand all of it on, it is too large to be taken for RTP.
        let oversized = length > MAX_DATAGRAM;
        let data = if oversized { &mut self.buffer[..1] } else { &mut self.buffer[..length] };
        let Some(accepted) = leg.accept(data, &from, now, self.clock, &self.events) else {
            return;
        };
        leg.note_sound(&accepted, data, now, &self.events);
        leg.tape_heard(&accepted, data, now);
        let listens = leg.listens();
        if listens && accepted.is_new_audio() && !leg.waiters.slots().is_empty() {
            self.end_waits(slot, now);
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
                listener.send(&accepted, &mut self.buffer[..], now);
            } else {
                self.copy[..length].copy_from_slice(&self.buffer[..length]);
                listener.send(&accepted, &mut self.copy[..], now);
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
            Command::Open(leg) => self.open(leg, now),
            Command::Release(id, to) => self.release(id, &to, now),
            Command::SetParameters(id, parameters) => {
                self.with(id, now, |leg| {
                    leg.set_parameters(parameters, now);
                    leg.begin_reports(now);
                });
            }
            Command::SetTimeout(id, timeout) => self.with(id, now, |leg| leg.set_timeout(timeout, now)),
            Command::Bridge(a, b) => self.bridge(a, b, now),
            Command::Unbridge(id) => self.unbridge(self.slots.get(&id).copied(), now),
            Command::Hear(id, sound) => self.hear(id, sound, now),
            Command::HearWhenHeard(listener, source, within) => {
                self.hear_when_heard(listener, source, within, now);
            }
            Command::WatchSilence(id, limit) => {
                self.with(id, now, |leg| leg.watch_silence(limit, now));
                self.pace_if_open(id, now);
            }
            Command::ListenForKeys(id, wanted) => self.with(id, now, |leg| leg.listen_for_keys(wanted)),
            Command::JudgeAnswer(id, sign) => {
                self.with(id, now, |leg| leg.judge_answer(sign, now));
                self.pace_if_open(id, now);
            }
            Command::Record(id, tape) => self.with(id, now, |leg| leg.record(tape)),
            Command::Close(id) => self.close(id, now),
            Command::Stop => return false,
            #[cfg(test)]
            Command::Fail => panic!("asked to fail"),
        }
        true
    }

    /// Acts on a leg and notes when to look at it next.
    fn with(&mut self, id: u64, now: u64, action: impl FnOnce(&mut Leg)) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        if let Some(leg) = self.legs[slot].as_mut() {
            action(leg);
            self.look_later(slot, now);
        }
    }

    fn close(&mut self, id: u64, now: u64) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if let Some(leg) = &mut self.legs[slot] {
            leg.say_goodbye(now, self.clock);
        }
        self.unbridge(Some(slot), now);
        self.retire(slot, now);
    }
}

/// Has an epoll tell of a leg's socket. Fails at the kernel's limit of watched descriptors.
fn watch(epoll: &OwnedFd, fd: &OwnedFd, slot: usize, kind: u64) -> rustix::io::Result<()> {
    epoll::add(epoll, fd, EventData::new_u64((slot as u64) << 2 | kind), EventFlags::IN)
}
