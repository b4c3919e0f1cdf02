//! The native core of `media`: worker threads that own RTP sockets and everything that happens per packet.
//!
//! Python decides per call, this acts per packet. Only `python` knows Python (feature `python`); `_native.pyi`
//! beside the package is the contract of what it exports.

pub mod allocator;
pub mod codec;
pub mod content;
pub mod counters;
pub mod dialling;
pub mod dtmf;
pub mod engine;
pub mod g711;
pub mod hearing;
pub mod leg;
pub mod leg_handle;
pub mod link;
pub mod listening;
pub mod mailbox;
pub mod mix;
pub mod outgoing;
pub mod pacer;
pub mod peer;
pub mod ports;
pub mod prompt;
#[cfg(feature = "python")]
mod python;
pub mod rank;
pub mod reception;
pub mod recording;
pub mod reporting;
pub mod resample;
pub mod ringback;
pub mod rtcp;
pub mod rtp;
pub mod schedule;
pub mod socket;
pub mod srtp;
pub mod wav;
pub mod worker;
