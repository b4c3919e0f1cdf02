//! Where a leg's peer is: what its SDP names, where it was heard, and what the latching setting makes of both.
//!
//! Times are microseconds of the worker's monotonic clock.

use crate::socket::{as_seen_by, same};
use std::net::SocketAddr;

/// How long the packets of a peer's former address may trail in after it named a new one, in microseconds.
const TRAILING: u64 = 1_000_000;

/// Whom a leg believes about where its peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Latching {
    /// The first valid packet: from then on its source is the only one heard, and the one sent to, unless the peer is
    /// heard where its SDP says.
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
            former: None,
            destination: None,
            rtcp_destination: None,
        }
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

    /// Whether a packet from there may be the peer's. The former address of one that moved may not, for a while. Where the SDP
    /// says always may: a stranger who was first ("RTP bleed") is let go when the peer is heard there.
    #[inline]
    pub fn standing(&self, from: &SocketAddr, now: u64) -> Standing {
        let is_candidate = match (&self.latched, &self.named.rtp) {
            (Some(latched), _) if same(latched, from) => return Standing::Latched,
            (Some(_), named) => named.as_ref().is_some_and(|named| same(named, from)),
            (None, Some(named)) if self.latching == Latching::Strict => same(named, from),
            _ => self.latching != Latching::Strict && !self.trails_in(from, now),
        };
        if is_candidate { Standing::Candidate } else { Standing::Foreign }
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
    pub fn latch(&mut self, from: &SocketAddr) {
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
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn named(rtp: &str) -> Named {
        Named { rtp: Some(address(rtp)), ..Named::default() }
    }

    fn peer(latching: Latching) -> Peer {
        let mut peer = Peer::new(address("127.0.0.1:20000"), latching);
        assert!(peer.name(named("192.0.2.1:4000"), 0));
        peer
    }

    fn goes(peer: &Peer) -> [Option<String>; 2] {
        [peer.destination(), peer.rtcp_destination()].map(|to| to.map(ToString::to_string))
    }

    fn goes_to(rtp: &str, rtcp: &str) -> [Option<String>; 2] {
        [Some(rtp.to_owned()), Some(rtcp.to_owned())]
    }

    fn admits(peer: &Peer, from: &str, now: u64) -> bool {
        peer.standing(&address(from), now) != Standing::Foreign
    }

    const NAT: &str = "198.51.100.7:61000";

    #[test]
    fn auto_follows_the_first_valid_packet_both_ways() {
        let mut peer = peer(Latching::Auto);
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"));
        assert!(admits(&peer, NAT, 0));
        peer.latch(&address(NAT));
        assert_eq!(goes(&peer), goes_to(NAT, "198.51.100.7:61001"));
        assert!(!admits(&peer, "192.0.2.1:4002", 0));
        assert!(
            peer.admits_rtcp(&address("198.51.100.7:9")) && !peer.admits_rtcp(&address("192.0.2.1:4001"))
        );
        peer.latch_rtcp(&address("198.51.100.7:9"));
        peer.latch_rtcp(&address("198.51.100.7:10"));
        assert_eq!(goes(&peer), goes_to(NAT, "198.51.100.7:9"));
    }

    #[test]
    fn whom_the_sdp_names_is_let_in_although_a_stranger_was_first() {
        let mut peer = peer(Latching::Auto);
        peer.latch(&address(NAT));
        peer.latch_rtcp(&address("198.51.100.7:9"));
        assert_eq!(peer.standing(&address(NAT), 0), Standing::Latched);
        assert_eq!(peer.standing(&address("192.0.2.1:4000"), 0), Standing::Candidate);
        peer.latch(&address("192.0.2.1:4000"));
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"), "RTCP too");
        assert_eq!(peer.standing(&address(NAT), 0), Standing::Foreign);
    }

    #[test]
    fn strict_hears_and_answers_what_the_sdp_names_and_nothing_else() {
        let mut peer = peer(Latching::Strict);
        assert!(!admits(&peer, NAT, 0) && !admits(&peer, "192.0.2.1:4002", 0));
        assert!(admits(&peer, "192.0.2.1:4000", 0));
        peer.latch(&address("192.0.2.1:4000"));
        assert!(
            !peer.admits_rtcp(&address("192.0.2.1:4003")) && peer.admits_rtcp(&address("192.0.2.1:4001"))
        );
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"));
        assert!(!admits(&Peer::new(address("127.0.0.1:20000"), Latching::Strict), NAT, 0));
    }

    #[test]
    fn disabled_sends_to_what_the_sdp_names_wherever_it_hears_from() {
        let mut peer = peer(Latching::Disabled);
        assert!(admits(&peer, NAT, 0));
        peer.latch(&address(NAT));
        peer.latch_rtcp(&address("198.51.100.7:9"));
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"));
        assert!(!admits(&peer, "198.51.100.7:61002", 0), "one source is heard");
    }

    #[test]
    fn rtcp_goes_where_the_sdp_says() {
        let mut peer = peer(Latching::Auto);
        let explicit = Named { rtcp: Some(address("192.0.2.1:5555")), ..named("192.0.2.1:4000") };
        assert!(!peer.name(explicit, 0));
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:5555"));
        peer.name(Named { mux: true, ..named("192.0.2.1:4000") }, 0);
        assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4000"));
        peer.name(named("192.0.2.1:65535"), 0);
        assert_eq!(goes(&peer)[1], None, "no port above");
    }

    #[test]
    fn a_hold_without_address_sends_nothing_and_keeps_the_latch() {
        let mut peer = peer(Latching::Auto);
        peer.latch(&address(NAT));
        assert!(!peer.name(Named::default(), 0));
        assert_eq!(goes(&peer), [None, None]);
        assert!(admits(&peer, NAT, 0) && !peer.name(named("192.0.2.1:4000"), 0));
        assert_eq!(goes(&peer)[0].as_deref(), Some(NAT));
    }

    #[test]
    fn a_peer_that_moved_is_not_found_at_its_former_address_for_a_second() {
        let mut peer = peer(Latching::Auto);
        peer.latch(&address("192.0.2.1:4000"));
        assert!(peer.name(named("192.0.2.9:4000"), 0));
        assert!(!admits(&peer, "192.0.2.1:4000", 999_999));
        assert!(admits(&peer, "192.0.2.1:4000", 1_000_000), "it never came to the new one");
    }
}
