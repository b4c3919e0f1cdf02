//! Where a leg's peer is: what its SDP names, where it was heard, and what the latching setting makes of both.
//!
//! Times are microseconds of the worker's monotonic clock.

use crate::rank::{Rank, rank};
use crate::socket::{as_seen_by, same};
use std::net::{IpAddr, SocketAddr};

/// How long the packets of a peer's former address may trail in after it named a new one, in microseconds.
const TRAILING: u64 = 1_000_000;
/// How long a peer that was heard from one of its hosts may turn out to be where its SDP says, in microseconds. As long as
/// Asterisk's `strictrtp` learns: early media and audio may come from different ports.
const LEARNING: u64 = 5_000_000;
/// After how long without a packet a source is no longer the peer's for certain, in microseconds.
const SILENT: u64 = 1_000_000;

/// Whom a leg believes about where its peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Latching {
    /// The first valid packet: from then on its source is the only one heard, and the one sent to, unless another has
    /// more to speak for it.
    #[default]
    Auto,
    /// The SDP alone: nothing from elsewhere is heard, nothing is sent elsewhere.
    Strict,
    /// The SDP for sending, the first valid packet for hearing: peers that send from another port than they hear on.
    Disabled,
}

impl Latching {
    /// By the name that `media.engine` gives it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Latching::Auto),
            "strict" => Some(Latching::Strict),
            "disabled" => Some(Latching::Disabled),
            _ => None,
        }
    }
}

/// By what a leg judges a source that it is not latched to.
#[derive(Debug, Clone, Copy)]
pub struct Doubt {
    /// The time.
    pub now: u64,
    /// When the last packet of the latched source came; None when none has since its peer was asked to send.
    pub heard: Option<u64>,
    /// The packet has to prove by its key whose it is.
    pub authenticated: bool,
}

/// What the source of a packet is to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The peer's, as known.
    Latched,
    /// The peer's, if the packet is valid.
    Candidate,
    /// Somebody else's.
    Foreign,
}

/// The addresses that a peer's SDP names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// Where RTP goes; None while held with `c=0.0.0.0`.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes when it is not the port above.
    pub rtcp: Option<SocketAddr>,
    /// RTCP goes where RTP goes (RFC 5761).
    pub mux: bool,
}

/// The addresses of one peer.
#[derive(Debug)]
#[repr(C)]
pub struct Peer {
    // One cache line: what each packet asks for.
    latched: Option<SocketAddr>,
    /// Where packets go.
    destination: Option<SocketAddr>,
    local: SocketAddr,
    latching: Latching,
    /// The RTP address outlives a hold without address.
    named: Named,
    held: bool,
    latched_rtcp: Option<SocketAddr>,
    /// Where its SIP comes from.
    signalling: Option<IpAddr>,
    /// Since when it is latched to whom it is.
    since: u64,
    /// Whom we were latched to before the address changed, and until when it cannot be latched to again.
    former: Option<(SocketAddr, u64)>,
    rtcp_destination: Option<SocketAddr>,
}

impl Peer {
    /// A peer nobody has named yet, of a socket bound to `local`.
    pub fn new(local: SocketAddr, latching: Latching) -> Self {
        Peer {
            local,
            latching,
            named: Named::default(),
            held: true,
            latched: None,
            latched_rtcp: None,
            signalling: None,
            since: 0,
            former: None,
            destination: None,
            rtcp_destination: None,
        }
    }

    /// The same peer, whose SIP comes from this host.
    pub fn signalling_from(self, host: Option<IpAddr>) -> Self {
        let signalling = host.map(|host| as_seen_by(&self.local, SocketAddr::new(host, 0)).ip());
        Peer { signalling, ..self }
    }

    /// Takes what the SDP names. True when the address is another: latching starts anew.
    pub fn name(&mut self, named: Named, now: u64) -> bool {
        let rtp = named.rtp.map(|address| as_seen_by(&self.local, address));
        let moved = rtp.is_some() && rtp != self.named.rtp;
        if moved {
            self.former = self.latched.take().map(|source| (source, now + TRAILING));
            self.latched_rtcp = None;
        }
        self.held = rtp.is_none();
        let rtcp = named.rtcp.map(|address| as_seen_by(&self.local, address));
        self.named = Named { rtp: rtp.or(self.named.rtp), rtcp, mux: named.mux };
        self.route();
        moved
    }

    /// Whether a packet from there may be the peer's.
    #[inline]
    pub fn standing(&self, from: &SocketAddr, doubt: impl FnOnce() -> Doubt) -> Standing {
        match &self.latched {
            Some(latched) if same(latched, from) => Standing::Latched,
            _ if self.may_be(from, doubt()) => Standing::Candidate,
            _ => Standing::Foreign,
        }
    }

    /// Whether one who is not latched to may be the peer. A stranger who was first ("RTP bleed") is let go as soon as a
    /// source of a higher rank is heard. So is, where packets prove nothing, one of the peer's hosts, but only at first or
    /// when it has fallen silent: the address in an SDP can be forged.
    #[cold]
    fn may_be(&self, from: &SocketAddr, doubt: Doubt) -> bool {
        let Doubt { now, heard, authenticated } = doubt;
        let named = self.named.rtp.as_ref();
        if self.latching == Latching::Strict {
            return named.is_some_and(|named| same(named, from));
        }
        let Some(latched) = &self.latched else {
            return !self.trails_in(from, now);
        };
        if authenticated {
            return named.is_some_and(|named| same(named, from));
        }
        let [old, new] = [latched, from].map(|source| rank(source, named, self.signalling));
        let is_silent = heard.is_none_or(|heard| now.saturating_sub(heard) >= SILENT);
        new > old && (old == Rank::Anybody || is_silent || now.saturating_sub(self.since) < LEARNING)
    }

    fn trails_in(&self, from: &SocketAddr, now: u64) -> bool {
        self.former.is_some_and(|(former, until)| same(&former, from) && now < until)
            && self.named.rtp != Some(*from)
    }

    /// True once its first valid packet was heard.
    #[inline]
    pub fn is_latched(&self) -> bool {
        self.latched.is_some()
    }

    /// Takes the source of a valid packet as the peer's.
    pub fn latch(&mut self, from: &SocketAddr, now: u64) {
        self.since = now;
        if self.latched.replace(*from).is_some() {
            // It was the stranger's.
            self.latched_rtcp = None;
        }
        self.route();
    }

    /// True when RTCP from there may be the peer's. NATs change ports, so only `strict` looks at them.
    pub fn admits_rtcp(&self, from: &SocketAddr) -> bool {
        if self.latching == Latching::Strict {
            let named = [self.named.rtp, self.named_rtcp()];
            return named.iter().flatten().any(|named| same(named, from));
        }
        let known =
            [self.latched, self.latched.is_none().then_some(self.named.rtp).flatten(), self.named.rtcp];
        known.iter().flatten().any(|known| known.ip() == from.ip())
    }

    /// Answers valid RTCP on the RTCP port where it came from, if the setting lets us; the first source stands.
    pub fn latch_rtcp(&mut self, from: &SocketAddr) {
        if self.latching == Latching::Auto && self.latched_rtcp.is_none() {
            self.latched_rtcp = Some(*from);
            self.route();
        }
    }

    /// Where RTP goes; None while nothing may be sent.
    #[inline]
    pub fn destination(&self) -> Option<&SocketAddr> {
        self.destination.as_ref()
    }

    /// Where RTP both goes and comes from, once the peer was heard; None while held, or while that is two addresses.
    pub fn settled(&self) -> Option<&SocketAddr> {
        self.latched.as_ref().filter(|_| self.latched == self.destination)
    }

    /// Where RTCP goes.
    pub fn rtcp_destination(&self) -> Option<&SocketAddr> {
        self.rtcp_destination.as_ref()
    }

    /// True when RTCP shares the RTP port.
    #[inline]
    pub fn multiplexes(&self) -> bool {
        self.named.mux
    }

    fn named_rtcp(&self) -> Option<SocketAddr> {
        self.named.rtcp.or_else(|| self.named.rtp.and_then(port_above))
    }

    fn route(&mut self) {
        self.destination = None;
        self.rtcp_destination = None;
        // Held without an address: nothing is sent, not even to where the peer was heard.
        let Some(named) = self.named.rtp.filter(|_| !self.held) else {
            return;
        };
        let heard = self.latched.filter(|_| self.latching == Latching::Auto);
        let rtp = heard.unwrap_or(named);
        let rtcp = match heard.filter(|heard| !same(heard, &named)) {
            _ if self.named.mux => Some(rtp),
            // Behind a NAT what the SDP names is of no use.
            Some(heard) => self.latched_rtcp.or_else(|| port_above(heard)),
            None => self.latched_rtcp.or_else(|| self.named_rtcp()),
        };
        self.destination = Some(rtp);
        self.rtcp_destination = rtcp;
    }
}

/// The port of RTCP unless something else was said (RFC 3550 section 11).
fn port_above(mut address: SocketAddr) -> Option<SocketAddr> {
    address.set_port(address.port().checked_add(1)?);
    Some(address)
}

#[cfg(test)]
mod tests;
