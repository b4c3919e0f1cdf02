//! SRTP on a leg: taking keys, and the stream that begins when ours is new.

use super::Leg;
use crate::content::Protect;
use crate::srtp::Protection;

impl Leg {
    /// Takes the keys that were agreed on; None for plain RTP. `moved`: the peer is at another address.
    pub(super) fn protect(&mut self, agreed: Option<Box<Protect>>, moved: bool, now: u64) {
        let Some(agreed) = agreed else {
            self.retired = self.protection.take().or_else(|| self.retired.take());
            return;
        };
        let Protect { keys, fresh } = *agreed;
        self.protection = self.protection.take().or_else(|| self.retired.take());
        let renewed = match &mut self.protection {
            Some(protection) => protection.renew(keys, moved, now),
            None => {
                self.protection = Protection::new(keys).map(Box::new);
                // What was sent in the clear moved the sequence on: a receiver counts rollovers from 0.
                self.outgoing.last_sent().is_some()
            }
        };
        if renewed {
            let (ssrc, sequence) = fresh;
            self.outgoing.begin_anew(ssrc, sequence);
            self.reporter.begin_anew(ssrc, &self.counters);
        }
    }
}
