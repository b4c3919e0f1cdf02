//! The one thread that writes recordings. A disk that stands still holds up this thread and nothing else: meanwhile
//! packets wait in their rings, and what does not fit is silence in the file.

use super::Recording;
use super::file::WavFile;
use super::ring::LARGEST;
use super::timeline::{HORIZON, Timeline};
use crate::leg::Events;
use crate::mailbox::{Event, lock};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// From one look at all recordings to the next; the rings hold several times as much.
const TURN: Duration = Duration::from_millis(400);
/// Recordings that may wait to be begun.
const WAITING: usize = 1_024;
/// How long the end of the engine waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The event loop's side of the thread, which begins with the first recording.
#[derive(Debug)]
pub struct Recorder {
    events: Arc<Events>,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    begin: SyncSender<Reel>,
    /// Nothing ever comes here; it is closed when the thread has ended.
    ended: Receiver<()>,
}

impl Recorder {
    /// Tells of the end of each recording by `events`.
    pub fn new(events: Arc<Events>) -> Self {
        Recorder { events, thread: Mutex::new(None) }
    }

    /// Writes a recording to a new file at `path`; whatever goes wrong with that is its end.
    pub fn write(&self, recording: Arc<Recording>, path: PathBuf) -> Result<(), Errno> {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            *thread = Some(self.start()?);
        }
        let reel = Reel { recording, path, file: None, timeline: Timeline::default() };
        let begun = thread.as_ref().is_some_and(|thread| thread.begin.try_send(reel).is_ok());
        if begun { Ok(()) } else { Err(Errno::AGAIN) }
    }

    fn start(&self) -> Result<Thread, Errno> {
        let (begin, reels) = sync_channel(WAITING);
        let (ends, ended) = sync_channel(0);
        let events = Arc::clone(&self.events);
        let body = move || {
            run(&reels, &events);
            drop(ends);
        };
        std::thread::Builder::new().name("recorder".into()).spawn(body).map_err(|_| Errno::AGAIN)?;
        Ok(Thread { begin, ended })
    }

    /// Finishes every file; after the legs have ended. Does not wait for a disk that stands still.
    pub fn stop(&self) {
        if let Some(Thread { begin, ended }) = lock(&self.thread).take() {
            drop(begin);
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

fn run(new: &Receiver<Reel>, events: &Events) {
    let mut reels: Vec<Reel> = Vec::new();
    let mut turn = Instant::now();
    loop {
        let wait =
            if reels.is_empty() { Duration::MAX } else { turn.saturating_duration_since(Instant::now()) };
        match new.recv_timeout(wait) {
            Ok(reel) if reels.is_empty() => {
                reels.push(reel);
                turn = Instant::now();
            }
            Ok(reel) => reels.push(reel),
            Err(RecvTimeoutError::Timeout) => {
                turn = Instant::now() + TURN;
                reels.retain_mut(|reel| reel.goes_on(events));
            }
            Err(RecvTimeoutError::Disconnected) => {
                reels.iter().for_each(|reel| reel.recording.finish());
                reels.retain_mut(|reel| reel.goes_on(events));
                return;
            }
        }
    }
}

/// A recording as its writer sees it.
#[derive(Debug)]
struct Reel {
    recording: Arc<Recording>,
    path: PathBuf,
    file: Option<WavFile>,
    timeline: Timeline,
}

impl Reel {
    /// Writes what has come; false once it has ended, well or not, which is told.
    fn goes_on(&mut self, events: &Events) -> bool {
        let result = self.turn();
        if let Ok(true) = result {
            return true;
        }
        self.recording.finish();
        let error = result.err().map_or(0, |error| error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()));
        events.post(Event::RecordingEnded { recording: self.recording.id, error }, usize::MAX);
        false
    }

    fn turn(&mut self) -> io::Result<bool> {
        let Reel { recording, path, file, timeline } = self;
        // Before the ring is emptied: whatever was put there before the end is in it.
        let end = recording.end();
        let file = open(file, path)?;
        let mut octets = [0; LARGEST];
        let mut late = 0;
        while let Some((packet, payload)) = recording.ring.pop(&mut octets) {
            late += u64::from(!timeline.take(packet, payload, file)?);
        }
        recording.dropped.fetch_add(late, Ordering::Relaxed);
        match end {
            Some(end) => timeline.finish(end, file)?,
            None => timeline.write(recording.now().saturating_sub(HORIZON), file)?,
        }
        file.update()?;
        Ok(end.is_none())
    }
}

fn open<'a>(file: &'a mut Option<WavFile>, path: &Path) -> io::Result<&'a mut WavFile> {
    if file.is_none() {
        *file = Some(WavFile::create(path)?);
    }
    file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
}
