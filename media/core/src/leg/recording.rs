//! What of a leg goes to its tape: the audio of its peer that is listened to, and all audio that is sent.

use super::{Accepted, Leg};
use crate::codec::Codec;
use crate::content::Content;
use crate::recording::{Side, Tape};

impl Leg {
    /// Records from now on. A tape of before ends.
    pub fn record(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    /// Keeps a packet of the peer's.
    #[inline]
    pub fn tape_heard(&self, accepted: &Accepted, data: &[u8], now: u64) {
        if let (Some(tape), Content::Audio(codec)) = (&self.tape, accepted.content)
            && codec.is_g711()
            && self.listens()
        {
            let header = &accepted.header;
            let payload = &data[header.payload.clone()];
            tape.take(Side::Left, accepted.source.epoch, header.timestamp, payload, codec, now);
        }
    }

    /// Keeps audio that is sent to the peer. The stream is one for the leg's whole life, and so is its time.
    #[inline]
    pub(super) fn tape_said(&self, timestamp: u32, payload: &[u8], codec: Codec, now: u64) {
        if let Some(tape) = self.tape.as_ref().filter(|_| codec.is_g711()) {
            tape.take(Side::Right, 0, timestamp, payload, codec, now);
        }
    }
}
