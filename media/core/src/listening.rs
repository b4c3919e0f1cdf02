//! What is listened for in a peer's audio while somebody asks: keys sent as tones, and signs of an answering machine.
//!
//! Nothing here runs for a leg of which nobody asked anything; what runs allocates nothing per packet.

pub mod answering;
pub mod goertzel;
pub mod keys;

use crate::codec::Codec;
use answering::{AnswerJudge, Answerer, Sign};
use keys::KeyTones;

/// What a leg listens for.
#[derive(Debug, Default)]
pub struct Ears {
    /// Keys.
    pub keys: Option<Box<KeyTones>>,
    /// Who answered.
    pub answer: Option<Box<AnswerJudge>>,
}

impl Ears {
    /// Begins or ends listening for keys; what goes on goes on.
    pub fn listen_for_keys(&mut self, wanted: bool) {
        match (&self.keys, wanted) {
            (None, true) => self.keys = Some(Box::default()),
            (Some(_), false) => self.keys = None,
            _ => {}
        }
    }

    /// Judges from `now` on who answered, by one sign; None stops.
    pub fn judge_answer(&mut self, sign: Option<Sign>, now: u64) {
        self.answer = sign.map(|sign| Box::new(AnswerJudge::new(sign, now)));
    }

    /// True while there is anything to do per packet.
    #[inline]
    pub fn listen(&self) -> bool {
        self.keys.is_some() || self.answer.is_some()
    }
}

/// What a packet of audio told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// A key, and how many ticks of it were heard.
    pub key: Option<(u8, u32)>,
    /// Who answered.
    pub answerer: Option<Answerer>,
}

impl Ears {
    /// Takes a packet of audio that was not overtaken. `now` is the worker's clock.
    pub fn hear(&mut self, payload: &[u8], codec: Codec, timestamp: u32, now: u64) -> Heard {
        let mut heard = Heard::default();
        let Some(linear) = codec.linear() else {
            return heard;
        };
        let samples = || payload.iter().map(|&octet| f32::from(linear(octet)));
        if let Some(keys) = &mut self.keys {
            keys.arrive(timestamp, payload.len());
            heard.key = samples().fold(None, |told, sample| keys.hear(sample).or(told));
        }
        if let Some(answer) = &mut self.answer {
            heard.answerer = answer.hear(samples(), now);
        }
        if heard.answerer.is_some() {
            self.answer = None;
        }
        heard
    }

    /// Takes note that time has passed.
    pub fn wait(&mut self, now: u64) -> Option<Answerer> {
        let answerer = self.answer.as_ref().and_then(|answer| answer.wait(now));
        if answerer.is_some() {
            self.answer = None;
        }
        answerer
    }
}
