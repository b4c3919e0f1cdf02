//! The RTCP session of a leg with its peer: reports out, reports in.

use super::Leg;
use crate::reporting::NtpClock;
use crate::rtcp;
use crate::srtp::MAX_TRAILER;
use std::net::SocketAddr;

impl Leg {
    /// One datagram from the RTCP socket.
    pub fn receive_rtcp(&mut self, buffer: &mut [u8], now: u64, clock: NtpClock) {
        let Some((length, from)) = self.sockets.rtcp.receive(buffer) else {
            return;
        };
        if self.agreed.is_none() {
            return self.counters.dropped.bump();
        }
        // Longer than the buffer: too large to be a report.
        if self.take_report(buffer.get_mut(..length).unwrap_or_default(), &from, now, clock) {
            self.peer.latch_rtcp(&from);
        }
    }

    /// Learns from what should be RTCP of the peer; false when it is not.
    pub(super) fn take_report(
        &mut self,
        data: &mut [u8],
        from: &SocketAddr,
        now: u64,
        clock: NtpClock,
    ) -> bool {
        if !self.peer.admits_rtcp(from) {
            self.counters.foreign.bump();
            return false;
        }
        let data: &[u8] = match &mut self.protection {
            None => data,
            Some(protection) => match protection.rtcp(data, now) {
                Ok(length) => &data[..length],
                Err(rejected) => return self.reject::<()>(rejected).is_some(),
            },
        };
        let Some(received) = rtcp::read(data, self.outgoing.ssrc()) else {
            self.counters.malformed.bump();
            return false;
        };
        self.counters.rtcp_in.bump();
        self.reporter.hear(&received, &self.counters, now, clock);
        true
    }

    /// Reports from now on, unless it does already.
    pub fn begin_reports(&mut self, now: u64) {
        self.reporter.begin(now);
    }

    /// Sends the report that is due; false when none is. Without an address there is nobody to report to.
    pub fn report(&mut self, now: u64, clock: NtpClock) -> bool {
        let due = self.reporter.take_turn(now);
        if due {
            self.send_report(now, clock, false);
        }
        due
    }

    /// Sends BYE, if the peer ever heard of us.
    pub fn say_goodbye(&mut self, now: u64, clock: NtpClock) {
        if self.reporter.has_spoken(&self.counters) {
            self.send_report(now, clock, true);
        }
    }

    fn send_report(&mut self, now: u64, clock: NtpClock, last: bool) {
        let Some(destination) = self.peer.rtcp_destination() else {
            return;
        };
        let timestamp = self.outgoing.timestamp_at(now);
        let report = self.reporter.report(timestamp, &mut self.reception, &self.counters, now, clock);
        let report = if last { report.with_goodbye(self.outgoing.ssrc()) } else { report };
        let socket = if self.peer.multiplexes() { &self.sockets.rtp } else { &self.sockets.rtcp };
        let mut packet = [0; rtcp::LONGEST + MAX_TRAILER];
        let plain = report.octets();
        packet[..plain.len()].copy_from_slice(plain);
        let length = match &mut self.protection {
            None => Some(plain.len()),
            Some(protection) => protection.sender().rtcp(&mut packet, plain.len()),
        };
        let Some(length) = length else {
            return;
        };
        if socket.send(&packet[..length], destination) {
            self.counters.rtcp_out.bump();
        }
    }
}
