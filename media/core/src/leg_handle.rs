//! A leg that lives on a worker, as the event loop holds it.

use crate::content::Parameters;
use crate::counters::Counters;
use crate::link::{Link, Refused};
use crate::listening::answering::Sign;
use crate::mailbox::lock;
use crate::prompt::Prompt;
use crate::recording::Tape;
use crate::worker::{Command, Sound};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Commands that may wait for a worker. Opening and closing always fit: the ports bound them.
const MAX_COMMANDS: usize = 65_536;
/// The longest wait for a worker to give a leg away: far beyond any batch, and the event loop stands still meanwhile.
const MOVED_WITHIN: Duration = Duration::from_millis(100);

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
    /// A leg that was handed to the worker of `link` just now.
    pub fn new(id: u64, local: SocketAddr, ssrc: u32, counters: Arc<Counters>, link: &Arc<Link>) -> Self {
        link.legs.fetch_add(1, Ordering::Relaxed);
        let link = Mutex::new(Arc::clone(link));
        LegHandle { id, local, ssrc, counters, link, closed: AtomicBool::new(false) }
    }

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
        self.counters.set_codec(parameters.agreed.codec);
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

    /// What this leg's peer says and hears goes to this tape from now on, and to none of before.
    pub fn record(&self, tape: Tape) -> Result<(), Refused> {
        self.post(Command::Record(self.id, tape))
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
