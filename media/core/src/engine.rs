//! What the event loop holds: the engine with its workers, and handles to legs that live on a worker.

use crate::allocator::{Allocator, OpenError};
use crate::content::Parameters;
use crate::counters::Counters;
use crate::leg::{Events, Leg};
use crate::listening::answering::Sign;
use crate::mailbox::{Event, Mailbox, lock};
use crate::outgoing::Outgoing;
use crate::peer::{Latching, Peer};
use crate::prompt::Prompt;
use crate::reporting::Reporter;
use crate::socket::Options;
use crate::worker::{Beginning, Command, Sound, Worker};
use rustix::io::Errno;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commands that may wait for a worker. Opening and closing always fit: the ports bound them.
const MAX_COMMANDS: usize = 65_536;
/// Events that fit before the queue allocates. Each leg can have only so many waiting, so none is ever refused.
const EVENTS: usize = 4_096;

/// The longest wait for a worker to give a leg away: far beyond any batch, and the event loop stands still meanwhile.
const MOVED_WITHIN: Duration = Duration::from_millis(100);

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to bind.
    pub address: IpAddr,
    /// Lowest port; 0 with `high` 0 means any.
    pub low: u16,
    /// Highest port, included.
    pub high: u16,
    /// Milliseconds a released pair rests.
    pub quarantine: u64,
    /// Threads.
    pub workers: usize,
    /// Of each socket.
    pub options: Options,
    /// Microseconds a busy worker lets packets gather, see `Worker`.
    pub gather: u64,
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The worker is gone.
    Lost,
    /// Too many commands wait.
    Overloaded,
}

/// The event loop's side of one worker.
#[derive(Debug)]
pub struct Link {
    /// Names the worker in `Event::WorkerLost`.
    pub number: u64,
    mailbox: Arc<Mailbox<Command>>,
    alive: AtomicBool,
    legs: AtomicUsize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    fn spawn(
        number: u64,
        gather: u64,
        beginning: Beginning,
        events: &Arc<Events>,
    ) -> Result<Arc<Self>, Errno> {
        let mailbox = Arc::new(Mailbox::new(1_024)?);
        let mut worker = Worker::new(Arc::clone(&mailbox), Arc::clone(events), gather, beginning)?;
        let link = Arc::new(Link {
            number,
            mailbox,
            alive: AtomicBool::new(true),
            legs: AtomicUsize::new(0),
            thread: Mutex::new(None),
        });
        let (shared, events) = (Arc::clone(&link), Arc::clone(events));
        let body = move || {
            // Unwinding drops the worker inside the guard: its sockets close and its ports go back.
            let ended = catch_unwind(AssertUnwindSafe(move || worker.run()));
            shared.alive.store(false, Ordering::Release);
            // Legs that were on their way to it give their ports back as well.
            shared.mailbox.take(&mut Default::default());
            if !matches!(ended, Ok(Ok(()))) {
                events.post(Event::WorkerLost { worker: shared.number }, usize::MAX);
            }
        };
        let thread = std::thread::Builder::new().name(format!("media-{number}")).spawn(body);
        *lock(&link.thread) = Some(thread.map_err(|_| Errno::AGAIN)?);
        Ok(link)
    }

    fn post(&self, command: Command, limit: usize) -> Result<(), Refused> {
        if !self.alive.load(Ordering::Acquire) {
            return Err(Refused::Lost);
        }
        let urgent = command.is_urgent();
        let taken =
            if urgent { self.mailbox.post(command, limit) } else { self.mailbox.leave(command, limit) };
        if taken { Ok(()) } else { Err(Refused::Overloaded) }
    }

    fn stop(&self) {
        let _ = self.post(Command::Stop, usize::MAX);
        if let Some(thread) = lock(&self.thread).take() {
            // A panic was caught inside the thread and reported as an event.
            let _ = thread.join();
        }
    }
}

/// The media engine.
#[derive(Debug)]
pub struct Engine {
    allocator: Arc<Allocator>,
    events: Arc<Events>,
    links: Mutex<Vec<Arc<Link>>>,
    gather: u64,
    beginning: Beginning,
    next_worker: AtomicU64,
    next_leg: AtomicU64,
}

impl Engine {
    /// Starts the workers. Fails when the address cannot be bound or a thread cannot be started.
    pub fn start(settings: &Settings) -> Result<Self, Errno> {
        let Settings { address, low, high, quarantine, workers, options, gather } = *settings;
        let allocator = Allocator::new(address, low, high, quarantine, options);
        allocator.probe()?;
        let engine = Engine {
            allocator: Arc::new(allocator),
            events: Arc::new(Mailbox::new(EVENTS)?),
            links: Mutex::new(Vec::new()),
            gather,
            beginning: Beginning::now(),
            next_worker: AtomicU64::new(0),
            next_leg: AtomicU64::new(0),
        };
        for _ in 0..workers.max(1) {
            let link = engine.spawn()?;
            lock(&engine.links).push(link);
        }
        Ok(engine)
    }

    fn spawn(&self) -> Result<Arc<Link>, Errno> {
        let number = self.next_worker.fetch_add(1, Ordering::Relaxed);
        Link::spawn(number, self.gather, self.beginning, &self.events)
    }

    /// The worker for a new call: the one with the fewest legs. A lost worker is replaced here.
    pub fn choose_worker(&self) -> Result<Arc<Link>, Errno> {
        let mut links = lock(&self.links);
        for link in links.iter_mut() {
            if !link.alive.load(Ordering::Acquire) {
                *link = self.spawn()?;
            }
        }
        let chosen = links.iter().min_by_key(|link| link.legs.load(Ordering::Relaxed));
        chosen.map(Arc::clone).ok_or(Errno::SHUTDOWN)
    }

    /// Binds a port pair and hands it to a worker.
    pub fn open_leg(&self, link: &Arc<Link>, latching: Latching) -> Result<LegHandle, OpenError> {
        let (sockets, lease) = self.allocator.open()?;
        let local = sockets.rtp.local_address()?;
        let mut random = [0; 30];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let [a, b, c, d, e, f, g, h, i, j, more @ ..] = random;
        let ssrc = u32::from_ne_bytes([a, b, c, d]);
        let outgoing = Outgoing::new(ssrc, u16::from_ne_bytes([i, j]), u32::from_ne_bytes([e, f, g, h]));
        let id = self.next_leg.fetch_add(1, Ordering::Relaxed);
        let counters = Arc::new(Counters::default());
        let streams = (outgoing, Reporter::new(ssrc, &more));
        let peer = Peer::new(local, latching);
        let leg = Leg::new(id, (sockets, lease), peer, Arc::clone(&counters), streams);
        link.post(Command::Open(Box::new(leg)), usize::MAX)
            .map_err(|_| OpenError::System(Errno::SHUTDOWN))?;
        link.legs.fetch_add(1, Ordering::Relaxed);
        Ok(LegHandle {
            id,
            local,
            ssrc,
            counters,
            link: Mutex::new(Arc::clone(link)),
            closed: AtomicBool::new(false),
        })
    }

    /// Events for the event loop; its descriptor is readable while some wait.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The ports.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Ends every worker and waits for them; all sockets are closed afterwards.
    pub fn stop(&self) {
        let links = std::mem::take(&mut *lock(&self.links));
        links.iter().for_each(|link| link.stop());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl From<Refused> for Errno {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Lost => Errno::SHUTDOWN,
            Refused::Overloaded => Errno::AGAIN,
        }
    }
}

/// A leg as the event loop sees it. Dropping it closes the leg.
#[derive(Debug)]
pub struct LegHandle {
    /// Names the leg in events.
    pub id: u64,
    /// Where its RTP socket is bound.
    pub local: SocketAddr,
    /// The SSRC of everything it sends.
    pub ssrc: u32,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// Of the worker that has it. Locked for a moment per command, and not by the workers.
    link: Mutex<Arc<Link>>,
    closed: AtomicBool,
}

impl LegHandle {
    fn post(&self, command: Command) -> Result<(), Refused> {
        if self.closed.load(Ordering::Relaxed) {
            Ok(())
        } else {
            lock(&self.link).post(command, MAX_COMMANDS)
        }
    }

    /// Brings this leg to another worker, with all it has counted and sent; it hears nobody afterwards, and nobody hears
    /// it. Nothing when it is there. Waits for the worker that has it, which takes a fraction of a millisecond.
    pub fn move_to(&self, link: &Arc<Link>) -> Result<(), Refused> {
        let mut current = lock(&self.link);
        if self.closed.load(Ordering::Relaxed) || current.number == link.number {
            return Ok(());
        }
        let (to, leg) = sync_channel(1);
        current.post(Command::Release(self.id, to), MAX_COMMANDS)?;
        let leg = leg.recv_timeout(MOVED_WITHIN).map_err(|error| match error {
            RecvTimeoutError::Timeout => Refused::Overloaded,
            RecvTimeoutError::Disconnected => Refused::Lost,
        })?;
        link.post(Command::Open(leg), usize::MAX)?;
        current.legs.fetch_sub(1, Ordering::Relaxed);
        link.legs.fetch_add(1, Ordering::Relaxed);
        *current = Arc::clone(link);
        Ok(())
    }

    /// Takes what the peer agreed to.
    pub fn set_parameters(&self, parameters: Parameters) -> Result<(), Refused> {
        self.counters.set_codec(parameters.codec);
        self.post(Command::SetParameters(self.id, parameters))
    }

    /// Sets the media timeout in microseconds, or ends it.
    pub fn set_timeout(&self, timeout: Option<u64>) -> Result<(), Refused> {
        self.post(Command::SetTimeout(self.id, timeout))
    }

    /// This leg and another hear each other from now on.
    pub fn bridge(&self, other: &LegHandle) -> Result<(), Refused> {
        self.post(Command::Bridge(self.id, other.id))
    }

    /// The peer of this leg hears that of another.
    pub fn hear(&self, other: &LegHandle) -> Result<(), Refused> {
        self.post(Command::Hear(self.id, Sound::Leg(other.id)))
    }

    /// The peer of this leg hears those of two others together.
    pub fn mix(&self, one: &LegHandle, other: &LegHandle) -> Result<(), Refused> {
        self.post(Command::Hear(self.id, Sound::Mix([one.id, other.id])))
    }

    /// The peer of this leg hears silence in time.
    pub fn hear_silence(&self) -> Result<(), Refused> {
        self.post(Command::Hear(self.id, Sound::Silence))
    }

    /// The peer of this leg hears a prompt, again and again or once.
    pub fn play(&self, prompt: Arc<Prompt>, looped: bool) -> Result<(), Refused> {
        self.post(Command::Hear(self.id, Sound::Prompt(prompt, looped)))
    }

    /// The peer of this leg hears that of another from its next packet on, silence after `within` microseconds.
    pub fn hear_when_heard(&self, other: &LegHandle, within: u64) -> Result<(), Refused> {
        self.post(Command::HearWhenHeard(self.id, other.id, within))
    }

    /// Reports a silence of so many microseconds of this leg's peer, once.
    pub fn watch_silence(&self, limit: Option<u64>) -> Result<(), Refused> {
        self.post(Command::WatchSilence(self.id, limit))
    }

    /// Reports keys that this leg's peer sends as tones.
    pub fn listen_for_keys(&self, wanted: bool) -> Result<(), Refused> {
        self.post(Command::ListenForKeys(self.id, wanted))
    }

    /// Reports once who answered on this leg, as far as the sign tells.
    pub fn judge_answer(&self, sign: Option<Sign>) -> Result<(), Refused> {
        self.post(Command::JudgeAnswer(self.id, sign))
    }

    /// This leg hears nobody and nobody hears it.
    pub fn unbridge(&self) -> Result<(), Refused> {
        self.post(Command::Unbridge(self.id))
    }

    /// Ends the leg; harmless when repeated.
    pub fn close(&self) {
        if !self.closed.swap(true, Ordering::Relaxed) {
            let link = lock(&self.link);
            link.legs.fetch_sub(1, Ordering::Relaxed);
            // A lost worker has dropped the leg already.
            let _ = link.post(Command::Close(self.id), usize::MAX);
        }
    }
}

impl Drop for LegHandle {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;
    use std::time::Instant;

    fn engine(workers: usize) -> Engine {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = Settings {
            address,
            low: 0,
            high: 0,
            quarantine: 0,
            workers,
            options: Options { receive_buffer: 65_536, dscp: 46 },
            gather: 150,
        };
        Engine::start(&settings).unwrap()
    }

    fn becomes_true(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(5), "stalled");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_failing_worker_is_reported_frees_its_ports_and_is_replaced() {
        let engine = engine(1);
        let free = engine.allocator().free();
        let link = engine.choose_worker().unwrap();
        let leg = engine.open_leg(&link, Latching::Auto).unwrap();
        link.post(Command::Fail, usize::MAX).unwrap();
        becomes_true(|| engine.events().waiting());
        let mut events = VecDeque::new();
        engine.events().take(&mut events);
        assert_eq!(events, [Event::WorkerLost { worker: link.number }]);
        assert_eq!(engine.allocator().free(), free);
        assert_eq!(leg.unbridge(), Err(Refused::Lost));
        leg.close();
        assert_eq!(engine.open_leg(&link, Latching::Auto).unwrap_err(), OpenError::System(Errno::SHUTDOWN));
        let replacement = engine.choose_worker().unwrap();
        assert_ne!(replacement.number, link.number);
        engine.open_leg(&replacement, Latching::Auto).unwrap();
    }

    #[test]
    fn calls_spread_over_workers_and_stopping_frees_everything() {
        let engine = engine(2);
        let free = engine.allocator().free();
        let first = engine.choose_worker().unwrap();
        let legs: Vec<_> = (0..2).map(|_| engine.open_leg(&first, Latching::Auto).unwrap()).collect();
        assert_ne!(engine.choose_worker().unwrap().number, first.number);
        engine.stop();
        assert_eq!(engine.allocator().free(), free);
        assert!(!engine.events().waiting(), "stopping is no loss");
        drop(legs);
    }
}
