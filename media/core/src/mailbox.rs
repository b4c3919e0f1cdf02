//! Queues between the event loop and the workers: a short lock, and an eventfd that is readable while items wait.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::{read, write};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items for one reader. Nothing here happens per packet.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Mutex<VecDeque<T>>,
    waiting: AtomicBool,
    /// The reader looks by itself before long, and need not be woken for what can wait that long.
    watched: AtomicBool,
    wake: OwnedFd,
}

impl<T> Mailbox<T> {
    /// An empty mailbox with room for `capacity` items before it allocates.
    pub fn new(capacity: usize) -> rustix::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Mailbox {
            queue: Mutex::new(VecDeque::with_capacity(capacity)),
            waiting: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            wake,
        })
    }

    /// Adds an item unless `limit` or more are waiting; returns whether it was added. Wakes the reader.
    pub fn post(&self, item: T, limit: usize) -> bool {
        self.add(item, limit, true)
    }

    /// The same for what can wait until a reader looks that has said `watch`.
    pub fn leave(&self, item: T, limit: usize) -> bool {
        self.add(item, limit, false)
    }

    fn add(&self, item: T, limit: usize, urgent: bool) -> bool {
        let mut queue = lock(&self.queue);
        if queue.len() >= limit {
            return false;
        }
        queue.push_back(item);
        let first = !self.waiting.swap(true, Ordering::SeqCst);
        // Not while the reader is locked out: woken on the same core it runs at once, and would only wait for us.
        drop(queue);
        let wake = if self.watched.load(Ordering::SeqCst) { urgent } else { first };
        if wake {
            // Cannot block or fail in a way that matters: the counter is far from full.
            let _ = write(&self.wake, &1_u64.to_ne_bytes());
        }
        true
    }

    /// Says whether the reader looks by itself before long. After `false` it has to look once more.
    pub fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::SeqCst);
    }

    /// True when there is something to take; costs one load.
    #[inline]
    pub fn waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Exchanges all waiting items for an empty queue.
    pub fn take(&self, into: &mut VecDeque<T>) {
        let mut queue = lock(&self.queue);
        std::mem::swap(&mut *queue, into);
        self.waiting.store(false, Ordering::Release);
        // Under the lock, so that it reads the wake-ups for what was just taken and for nothing else.
        let _ = read(&self.wake, &mut [0; 8]);
    }

    /// Readable while items wait. May get readable once more, with nothing there, when an item is taken before its
    /// sender comes to say so: watch it edge-triggered, or take.
    pub fn fd(&self) -> &OwnedFd {
        &self.wake
    }
}

/// Locks, also after a panic elsewhere: the data behind our locks is valid between any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a worker tells the event loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Latching found the peer of this leg.
    FirstPacket {
        /// Id of the leg.
        leg: u64,
    },
    /// No valid RTP on this leg for its timeout.
    MediaTimeout {
        /// Id of the leg.
        leg: u64,
    },
    /// A digit ended on this leg.
    Digit {
        /// Id of the leg.
        leg: u64,
        /// One of `0-9*#ABCD`.
        character: u8,
        /// In milliseconds.
        duration: u32,
        /// It came as tones in the audio and not as telephone-event.
        in_band: bool,
    },
    /// A recording has ended, and its file is finished as far as it can be.
    RecordingEnded {
        /// Id of the recording.
        recording: u64,
        /// What the system refused, as `errno`; 0 for an end that was wanted.
        error: i32,
    },
    /// Who answered on this leg, as far as that can be told.
    AnswerJudged {
        /// Id of the leg.
        leg: u64,
        /// A machine, not a person.
        machine: bool,
    },
    /// The peer of this leg hears its new source, or silence until that speaks.
    Switched {
        /// Id of the leg.
        leg: u64,
        /// Whether the source was heard.
        heard: bool,
    },
    /// The peer of this leg has been silent for as long as was asked.
    Quiet {
        /// Id of the leg.
        leg: u64,
    },
    /// The peer of this leg has heard a prompt to its end.
    PromptEnded {
        /// Id of the leg.
        leg: u64,
    },
    /// This worker is gone and its legs with it.
    WorkerLost {
        /// Number of the worker.
        worker: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn readable<T>(mailbox: &Mailbox<T>) -> bool {
        let mut fds = [PollFd::new(mailbox.fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_items_wait() {
        let mailbox = Mailbox::new(4).unwrap();
        assert!(!readable(&mailbox));
        mailbox.post(1, usize::MAX);
        mailbox.post(2, usize::MAX);
        assert!(readable(&mailbox) && mailbox.waiting());
        let mut items = VecDeque::new();
        mailbox.take(&mut items);
        assert_eq!(items, [1, 2]);
        assert!(!readable(&mailbox) && !mailbox.waiting());
    }

    #[test]
    fn a_reader_that_watches_is_woken_for_what_is_urgent_only() {
        let mailbox = Mailbox::new(4).unwrap();
        mailbox.watch(true);
        mailbox.leave(1, usize::MAX);
        assert!(!readable(&mailbox) && mailbox.waiting());
        mailbox.post(2, usize::MAX);
        assert!(readable(&mailbox));
        let mut items = VecDeque::new();
        mailbox.take(&mut items);
        assert_eq!(items, [1, 2]);
        mailbox.watch(false);
        mailbox.leave(3, usize::MAX);
        assert!(readable(&mailbox));
    }

    #[test]
    fn a_full_mailbox_refuses() {
        let mailbox = Mailbox::new(1).unwrap();
        assert!(mailbox.post(1, 1));
        assert!(!mailbox.post(2, 1));
    }
}
