//! The event loop's side of a worker thread: commands go in here.

use crate::allocator::Allocator;
use crate::leg::Events;
use crate::mailbox::{Event, Mailbox, lock};
use crate::worker::{Beginning, Command, Worker};
use rustix::io::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

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
    /// Legs that it has.
    pub legs: AtomicUsize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    /// Starts the thread.
    pub fn spawn(
        number: u64,
        gather: u64,
        beginning: Beginning,
        events: &Arc<Events>,
        allocator: &Arc<Allocator>,
    ) -> Result<Arc<Self>, Errno> {
        let mailbox = Arc::new(Mailbox::new(1_024)?);
        let shared = (Arc::clone(events), Arc::clone(allocator));
        let mut worker = Worker::new(Arc::clone(&mailbox), shared, gather, beginning)?;
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

    /// True until the thread has ended.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Hands a command to the worker, unless `limit` or more wait.
    pub fn post(&self, command: Command, limit: usize) -> Result<(), Refused> {
        if !self.is_alive() {
            return Err(Refused::Lost);
        }
        let urgent = command.is_urgent();
        let taken =
            if urgent { self.mailbox.post(command, limit) } else { self.mailbox.leave(command, limit) };
        if taken { Ok(()) } else { Err(Refused::Overloaded) }
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        let _ = self.post(Command::Stop, usize::MAX);
        if let Some(thread) = lock(&self.thread).take() {
            // A panic was caught inside the thread and reported as an event.
            let _ = thread.join();
        }
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
