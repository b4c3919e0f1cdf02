//! Both directions of one leg, and what happens to them when keys or addresses change.
//!
//! Times are microseconds of the worker's monotonic clock.

use super::Rejected;
use super::receiver::Receiver;
use super::sender::Sender;
use super::suite::MasterKey;

/// How long packets under the peer's key before may still come in, in microseconds: it changes keys when it hears our answer.
const TRAILING: u64 = 2_000_000;

/// What an offer and its answer said of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// We send under this one.
    pub ours: MasterKey,
    /// The peer sends under this one.
    pub theirs: MasterKey,
    /// Octets of the master key identifier in the peer's packets; 0 for none.
    pub their_identifier: usize,
}

/// The keys of a leg at work.
#[derive(Debug)]
pub struct Protection {
    keys: Keys,
    sender: Sender,
    receiver: Receiver,
    /// Of the peer's key before, and until when.
    former: Option<(Receiver, u64)>,
}

impl Protection {
    /// Nothing was sent or heard yet. `None` never, as the lengths of master keys are right.
    pub fn new(keys: Keys) -> Option<Self> {
        let sender = Sender::new(&keys.ours)?;
        let receiver = Receiver::new(&keys.theirs, keys.their_identifier)?;
        Some(Protection { keys, sender, receiver, former: None })
    }

    /// Takes what a later offer and answer said; `moved`: the peer is at another address. What did not change goes on as it
    /// was. True when our key is new: it needs an SSRC that was never used.
    pub fn renew(&mut self, keys: Keys, moved: bool, now: u64) -> bool {
        let theirs = (&keys.theirs, keys.their_identifier);
        if theirs != (&self.keys.theirs, self.keys.their_identifier) {
            if let Some(mut receiver) = Receiver::new(&keys.theirs, keys.their_identifier) {
                receiver.remember(&self.receiver);
                self.former = Some((std::mem::replace(&mut self.receiver, receiver), now + TRAILING));
            }
        } else if moved {
            self.receiver.expect_restart();
        }
        let renewed = keys.ours != self.keys.ours;
        if renewed && let Some(sender) = Sender::new(&keys.ours) {
            self.sender = sender;
        }
        self.keys = keys;
        renewed
    }

    /// What we send.
    #[inline]
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Authenticates and decrypts an SRTP packet in place. Returns the length of what is left.
    #[inline]
    pub fn rtp(&mut self, data: &mut [u8], now: u64) -> Result<usize, Rejected> {
        let result = self.receiver.rtp(data);
        if result.is_err() && self.former.is_some() {
            return self.by_former(result, now, |receiver| receiver.rtp(data));
        }
        result
    }

    /// Authenticates and decrypts an SRTCP packet in place. Returns the length of what is left.
    pub fn rtcp(&mut self, data: &mut [u8], now: u64) -> Result<usize, Rejected> {
        let result = self.receiver.rtcp(data);
        self.by_former(result, now, |receiver| receiver.rtcp(data))
    }

    fn by_former(
        &mut self,
        result: Result<usize, Rejected>,
        now: u64,
        attempt: impl FnOnce(&mut Receiver) -> Result<usize, Rejected>,
    ) -> Result<usize, Rejected> {
        self.former.take_if(|(_, until)| *until <= now);
        match (&mut self.former, result) {
            (Some((former, _)), Err(rejected)) => attempt(former).map_err(|_| rejected),
            _ => result,
        }
    }
}
