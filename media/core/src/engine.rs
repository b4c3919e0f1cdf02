//! What the event loop holds: the engine with its workers, its ports and its recorder.

use crate::allocator::{Allocator, OpenError};
use crate::counters::Counters;
use crate::leg::{Events, Leg};
pub use crate::leg_handle::LegHandle;
pub use crate::link::{Link, Refused};
use crate::mailbox::{Mailbox, lock};
use crate::outgoing::Outgoing;
use crate::peer::{Latching, Peer};
use crate::recording::recorder::Recorder;
use crate::recording::{Recording, Tape};
use crate::reporting::Reporter;
use crate::socket::Options;
use crate::worker::{Beginning, Command};
use rustix::io::Errno;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Events that fit before the queue allocates. Each leg can have only so many waiting, so none is ever refused.
const EVENTS: usize = 4_096;

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
    recorder: Recorder,
    next_recording: AtomicU64,
}

impl Engine {
    /// Starts the workers. Fails when the address cannot be bound or a thread cannot be started.
    pub fn start(settings: &Settings) -> Result<Self, Errno> {
        let Settings { address, low, high, quarantine, workers, options, gather } = *settings;
        let allocator = Allocator::new(address, low, high, quarantine, options);
        allocator.probe()?;
        let events = Arc::new(Mailbox::new(EVENTS)?);
        let engine = Engine {
            allocator: Arc::new(allocator),
            recorder: Recorder::new(Arc::clone(&events)),
            events,
            links: Mutex::new(Vec::new()),
            gather,
            beginning: Beginning::now(),
            next_worker: AtomicU64::new(0),
            next_leg: AtomicU64::new(0),
            next_recording: AtomicU64::new(0),
        };
        for _ in 0..workers.max(1) {
            let link = engine.spawn()?;
            lock(&engine.links).push(link);
        }
        Ok(engine)
    }

    fn spawn(&self) -> Result<Arc<Link>, Errno> {
        let number = self.next_worker.fetch_add(1, Ordering::Relaxed);
        Link::spawn(number, self.gather, self.beginning, &self.events, &self.allocator)
    }

    /// The worker for a new call: the one with the fewest legs. A lost worker is replaced here.
    pub fn choose_worker(&self) -> Result<Arc<Link>, Errno> {
        let mut links = lock(&self.links);
        for link in links.iter_mut() {
            if !link.is_alive() {
                *link = self.spawn()?;
            }
        }
        let chosen = links.iter().min_by_key(|link| link.legs.load(Ordering::Relaxed));
        chosen.map(Arc::clone).ok_or(Errno::SHUTDOWN)
    }

    /// Binds a port pair and hands it to a worker; `signalling` is where the peer's SIP comes from.
    pub fn open_leg(
        &self,
        link: &Arc<Link>,
        latching: Latching,
        signalling: Option<IpAddr>,
    ) -> Result<LegHandle, OpenError> {
        let (sockets, lease) = self.allocator.open()?;
        let local = sockets.local;
        let mut random = [0; 30];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let [a, b, c, d, e, f, g, h, i, j, more @ ..] = random;
        let ssrc = u32::from_ne_bytes([a, b, c, d]);
        let outgoing = Outgoing::new(ssrc, u16::from_ne_bytes([i, j]), u32::from_ne_bytes([e, f, g, h]));
        let id = self.next_leg.fetch_add(1, Ordering::Relaxed);
        let counters = Arc::new(Counters::default());
        let streams = (outgoing, Reporter::new(ssrc, &more));
        let peer = Peer::new(local, latching).signalling_from(signalling);
        let leg = Leg::new(id, (sockets, lease), peer, Arc::clone(&counters), streams);
        link.post(Command::Open(Box::new(leg)), usize::MAX)
            .map_err(|_| OpenError::System(Errno::SHUTDOWN))?;
        Ok(LegHandle::new(id, local, ssrc, counters, link))
    }

    /// Records what the peer of a leg says and hears, in a new WAV file. Whatever goes wrong with the file is told by
    /// `Event::RecordingEnded`, as is the end.
    pub fn record(&self, leg: &LegHandle, path: PathBuf) -> Result<Arc<Recording>, Errno> {
        let id = self.next_recording.fetch_add(1, Ordering::Relaxed);
        let recording = Recording::begin(id, self.beginning.started());
        leg.record(Tape::new(Arc::clone(&recording)))?;
        self.recorder.write(Arc::clone(&recording), path).inspect_err(|_| recording.finish())?;
        Ok(recording)
    }

    /// Events for the event loop; its descriptor is readable while some wait.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The ports.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Ends every worker and waits for them; all sockets are closed and all recordings finished afterwards.
    pub fn stop(&self) {
        let links = std::mem::take(&mut *lock(&self.links));
        links.iter().for_each(|link| link.stop());
        self.allocator.close_kept();
        self.recorder.stop();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Event;
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    fn engine(workers: usize) -> Engine {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = Settings {
            address,
            low: 0,
            high: 0,
            quarantine: 0,
            workers,
            options: Options { receive_buffer: 65_536, dscp: 46 },
            gather: 250,
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
        let leg = engine.open_leg(&link, Latching::Auto, None).unwrap();
        link.post(Command::Fail, usize::MAX).unwrap();
        becomes_true(|| engine.events().waiting());
        let mut events = VecDeque::new();
        engine.events().take(&mut events);
        assert_eq!(events, [Event::WorkerLost { worker: link.number }]);
        assert_eq!(engine.allocator().free(), free);
        assert_eq!(leg.unbridge(), Err(Refused::Lost));
        leg.close();
        assert_eq!(
            engine.open_leg(&link, Latching::Auto, None).unwrap_err(),
            OpenError::System(Errno::SHUTDOWN)
        );
        let replacement = engine.choose_worker().unwrap();
        assert_ne!(replacement.number, link.number);
        engine.open_leg(&replacement, Latching::Auto, None).unwrap();
    }

    #[test]
    fn calls_spread_over_workers_and_stopping_frees_everything() {
        let engine = engine(2);
        let free = engine.allocator().free();
        let first = engine.choose_worker().unwrap();
        let legs: Vec<_> = (0..2).map(|_| engine.open_leg(&first, Latching::Auto, None).unwrap()).collect();
        assert_ne!(engine.choose_worker().unwrap().number, first.number);
        engine.stop();
        assert_eq!(engine.allocator().free(), free);
        assert!(!engine.events().waiting(), "stopping is no loss");
        drop(legs);
    }
}
