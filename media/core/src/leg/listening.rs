//! What a leg is told to listen for in its peer's audio, and what it tells of it: silence, keys, who answered.

use super::{Accepted, Events, Leg};
use crate::content::Content;
use crate::dtmf::Digit;
use crate::hearing::QuietWatch;
use crate::listening::answering::{Answerer, Sign};
use crate::mailbox::Event;

impl Leg {
    /// Reports once that the peer has been silent for `limit`; None stops watching.
    pub fn watch_silence(&mut self, limit: Option<u64>, now: u64) {
        self.quiet = limit.map(|limit| QuietWatch::new(limit, now));
    }

    /// Reports keys that the peer sends as tones, from now on or no more.
    pub fn listen_for_keys(&mut self, wanted: bool) {
        self.ears.listen_for_keys(wanted);
    }

    /// Reports once who answered, as far as one sign tells; None stops.
    pub fn judge_answer(&mut self, sign: Option<Sign>, now: u64) {
        self.ears.judge_answer(sign, now);
    }

    /// Listens to what the peer says, while somebody wants to know.
    #[inline]
    pub fn note_sound(&mut self, accepted: &Accepted, data: &[u8], now: u64, events: &Events) {
        let Content::Audio(codec) = accepted.content else {
            return;
        };
        let payload = &data[accepted.header.payload.clone()];
        if let Some(watch) = &mut self.quiet {
            watch.hear(payload, codec, now);
        }
        if !self.ears.listen() || !accepted.newest || !self.listens() {
            return;
        }
        let heard = self.ears.hear(payload, codec, accepted.header.timestamp, now);
        if let Some((character, duration)) = heard.key {
            self.tell(Digit { character, duration }, true, events);
        }
        self.tell_answerer(heard.answerer, events);
    }

    /// Reports a silence that has lasted long enough, or what it says of who answered. While the peer is asked not to
    /// send, silence means nothing.
    pub fn check_quiet(&mut self, now: u64, events: &Events) {
        let listens = self.listens();
        if let Some(watch) = &mut self.quiet {
            if !listens {
                watch.begin(now);
            } else if watch.is_over(now) {
                self.quiet = None;
                events.post(Event::Quiet { leg: self.id }, usize::MAX);
            }
        }
        let answerer = self.ears.wait(now);
        self.tell_answerer(answerer, events);
    }

    fn tell_answerer(&self, answerer: Option<Answerer>, events: &Events) {
        if let Some(answerer) = answerer {
            let machine = answerer == Answerer::Machine;
            events.post(Event::AnswerJudged { leg: self.id, machine }, usize::MAX);
        }
    }
}
