//! What happens to a packet on the way out: its place in our one stream, our header, one `sendto`.

use super::{Accepted, Leg};
use crate::content::{Agreed, Content};
use crate::g711;
use crate::outgoing::{self, Sent};
use crate::rtp;
use std::ops::Range;

impl Leg {
    /// What the peer agreed to, while it wants to hear us and has an address.
    #[inline]
    pub(super) fn may_send(&self) -> Option<Agreed> {
        self.agreed.filter(|agreed| agreed.send && self.peer.destination().is_some())
    }

    /// Sends a packet that a partner accepted, as part of our own stream. Rewrites `data` in place; it has room behind
    /// the packet for what SRTP adds.
    pub fn send(&mut self, accepted: &Accepted, data: &mut [u8], now: u64) {
        if self.mixes(accepted, data) {
            return;
        }
        let Some(agreed) = self.may_send() else {
            return self.outgoing.interrupt();
        };
        let codec = agreed.codec;
        let (payload_type, ticks) = match accepted.content {
            Content::Audio(heard) if heard.becomes(codec) => {
                (Some(agreed.payload_type), codec.ticks(&data[accepted.header.payload.clone()]))
            }
            // Passed through means not understood.
            Content::Audio(_) => (None, 0),
            // The rest of a digit that began before a switch would be one more digit.
            Content::Event { begins: false, .. } if !self.outgoing.follows(accepted.source) => return,
            Content::Event { ticks, .. } => (agreed.send_event, ticks),
            Content::Noise => (agreed.comfort_noise.then_some(rtp::COMFORT_NOISE), 0),
            Content::Unknown => (None, 0),
        };
        let Some(payload_type) = payload_type else {
            return self.outgoing.leave_out(accepted.source, accepted.extended);
        };
        let packet = outgoing::Packet {
            extended: accepted.extended,
            timestamp: accepted.header.timestamp,
            ticks,
            audio: matches!(accepted.content, Content::Audio(_) | Content::Noise),
            ends: matches!(accepted.content, Content::Event { ends: true, .. }),
            newest: accepted.newest,
            marker: match accepted.content {
                Content::Event { begins, .. } => begins,
                _ => accepted.header.marker,
            },
        };
        let Some(sent) = self.outgoing.place(accepted.source, packet, now) else {
            return;
        };
        let payload = &accepted.header.payload;
        if let Content::Audio(heard) = accepted.content {
            let audio = &mut data[payload.clone()];
            g711::transcode(audio, heard, codec);
            self.tape_said(sent.timestamp, audio, codec, now);
        }
        self.transmit(data, payload.clone(), payload_type, sent);
    }

    /// Sends a payload of `data` under our header. The payload stays where it is: the header takes the octets before, and
    /// what protects it those behind.
    #[inline]
    pub(super) fn transmit(&mut self, data: &mut [u8], payload: Range<usize>, payload_type: u8, sent: Sent) {
        let start = payload.start - rtp::HEADER;
        let (Some(header), Some(destination)) = (data[start..].first_chunk_mut(), self.peer.destination())
        else {
            return;
        };
        rtp::write(header, sent.marker, payload_type, sent.sequence, sent.timestamp, self.outgoing.ssrc());
        let end = match &mut self.protection {
            None => payload.end,
            Some(protection) => {
                let length = payload.end - start;
                let sender = protection.sender();
                let Some(length) = sender.rtp(&mut data[start..], rtp::HEADER, length, sent.index) else {
                    return; // a number that was used once: the listener has that packet
                };
                start + length
            }
        };
        let data = &data[start..end];
        if self.send_connected(data) || self.sockets.rtp.send(data, destination) {
            self.counters.packets_out.bump();
            self.counters.octets_out.add(payload.len() as u64);
        }
    }

    /// The next packet this leg sends follows a switch of the source. Not where its packets are made here.
    pub fn interrupt(&mut self) {
        if !self.hearing.is_made_here() {
            self.outgoing.interrupt();
        }
    }
}
