//! The addresses of a peer: whom it believes, and where it sends.

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

/// Of a packet that proves nothing, while the latched source sends.
fn stands(peer: &Peer, from: &str, now: u64) -> Standing {
    peer.standing(&address(from), || Doubt { now, heard: Some(now), authenticated: false })
}

fn admits(peer: &Peer, from: &str, now: u64) -> bool {
    stands(peer, from, now) != Standing::Foreign
}

const NAT: &str = "198.51.100.7:61000";

#[test]
fn auto_follows_the_first_valid_packet_both_ways() {
    let mut peer = peer(Latching::Auto);
    assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"));
    assert!(admits(&peer, NAT, 0));
    peer.latch(&address(NAT), 0);
    assert_eq!(goes(&peer), goes_to(NAT, "198.51.100.7:61001"));
    assert!(!admits(&peer, "192.0.2.2:4000", 0));
    assert!(peer.admits_rtcp(&address("198.51.100.7:9")) && !peer.admits_rtcp(&address("192.0.2.1:4001")));
    peer.latch_rtcp(&address("198.51.100.7:9"));
    peer.latch_rtcp(&address("198.51.100.7:10"));
    assert_eq!(goes(&peer), goes_to(NAT, "198.51.100.7:9"));
}

#[test]
fn whom_the_sdp_names_is_let_in_although_a_stranger_was_first() {
    let mut peer = peer(Latching::Auto);
    peer.latch(&address(NAT), 0);
    peer.latch_rtcp(&address("198.51.100.7:9"));
    assert_eq!(stands(&peer, NAT, 0), Standing::Latched);
    assert_eq!(stands(&peer, "192.0.2.1:4000", 0), Standing::Candidate);
    peer.latch(&address("192.0.2.1:4000"), 0);
    assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"), "RTCP too");
    assert_eq!(stands(&peer, NAT, 0), Standing::Foreign);
}

#[test]
fn strict_hears_and_answers_what_the_sdp_names_and_nothing_else() {
    let mut peer = peer(Latching::Strict);
    assert!(!admits(&peer, NAT, 0) && !admits(&peer, "192.0.2.1:4002", 0));
    assert!(admits(&peer, "192.0.2.1:4000", 0));
    peer.latch(&address("192.0.2.1:4000"), 0);
    assert!(!peer.admits_rtcp(&address("192.0.2.1:4003")) && peer.admits_rtcp(&address("192.0.2.1:4001")));
    assert_eq!(goes(&peer), goes_to("192.0.2.1:4000", "192.0.2.1:4001"));
    assert!(!admits(&Peer::new(address("127.0.0.1:20000"), Latching::Strict), NAT, 0));
}

#[test]
fn disabled_sends_to_what_the_sdp_names_wherever_it_hears_from() {
    let mut peer = peer(Latching::Disabled);
    assert!(admits(&peer, NAT, 0));
    peer.latch(&address(NAT), 0);
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
    peer.latch(&address(NAT), 0);
    assert!(!peer.name(Named::default(), 0));
    assert_eq!(goes(&peer), [None, None]);
    assert!(admits(&peer, NAT, 0) && !peer.name(named("192.0.2.1:4000"), 0));
    assert_eq!(goes(&peer)[0].as_deref(), Some(NAT));
}

#[test]
fn a_peer_that_moved_is_not_found_at_its_former_address_for_a_second() {
    let mut peer = peer(Latching::Auto);
    peer.latch(&address("192.0.2.1:4000"), 0);
    assert!(peer.name(named("192.0.2.9:4000"), 0));
    assert!(!admits(&peer, "192.0.2.1:4000", 999_999));
    assert!(admits(&peer, "192.0.2.1:4000", 1_000_000), "it never came to the new one");
}

/// Says that it is at `named`, signals from `SIGNALLING`, and was heard from `heard` at 0.
fn behind_nat(named_at: &str, heard: &str) -> Peer {
    let mut peer = Peer::new(address("0.0.0.0:20000"), Latching::Auto)
        .signalling_from(Some("203.0.113.5".parse().unwrap()));
    peer.name(named(named_at), 0);
    peer.latch(&address(heard), 0);
    peer
}

const PRIVATE: &str = "192.168.1.5:4000";
const PUBLIC: &str = "198.51.100.9:4000";
const SIGNALLING: &str = "203.0.113.5:61000";

#[test]
fn who_signals_takes_the_place_of_a_stranger_at_any_time_and_keeps_it() {
    let mut peer = behind_nat(PRIVATE, NAT);
    assert_eq!(stands(&peer, SIGNALLING, 60_000_000), Standing::Candidate);
    peer.latch(&address(SIGNALLING), 60_000_000);
    assert_eq!(goes(&peer), goes_to(SIGNALLING, "203.0.113.5:61001"));
    for stranger in [NAT, PRIVATE, "203.0.113.5:9"] {
        assert!(!admits(&peer, stranger, 60_000_000), "{stranger}");
    }
}

#[test]
fn a_private_address_of_who_signals_from_far_away_has_no_say_over_anybody() {
    assert!(!admits(&behind_nat(PRIVATE, NAT), PRIVATE, 0));
    assert!(!admits(&behind_nat(PRIVATE, SIGNALLING), PRIVATE, 0));
    let mut unheard = behind_nat(PRIVATE, NAT);
    unheard.name(named("192.168.1.6:4000"), 0);
    assert!(admits(&unheard, "192.168.1.6:4000", 0), "it may be first: there is more than one network");
}

#[test]
fn who_is_heard_from_one_of_its_hosts_is_found_where_it_says_at_first_or_once_it_is_silent_there() {
    let peer = behind_nat(PUBLIC, SIGNALLING);
    let may_move = |now, heard| {
        let doubt = || Doubt { now, heard, authenticated: false };
        peer.standing(&address(PUBLIC), doubt) == Standing::Candidate
    };
    assert!(may_move(4_999_999, Some(4_999_999)));
    assert!(!may_move(5_000_000, Some(5_000_000)), "it sends");
    assert!(!may_move(5_999_999, Some(5_000_000)));
    assert!(may_move(6_000_000, Some(5_000_000)) && may_move(6_000_000, None));
}

#[test]
fn whom_a_key_proves_is_found_where_it_says_however_private_that_is() {
    let peer = behind_nat(PRIVATE, SIGNALLING);
    let proven = || Doubt { now: 60_000_000, heard: Some(60_000_000), authenticated: true };
    assert_eq!(peer.standing(&address(PRIVATE), proven), Standing::Candidate);
    assert_eq!(peer.standing(&address(NAT), proven), Standing::Foreign);
}

#[test]
fn another_address_in_the_sdp_lets_anybody_in_until_the_peer_is_heard() {
    let mut peer = behind_nat(PRIVATE, SIGNALLING);
    assert!(peer.name(named("192.168.1.5:4002"), 60_000_000));
    assert!(admits(&peer, NAT, 60_000_000));
    peer.latch(&address(NAT), 60_000_000);
    assert!(admits(&peer, "203.0.113.5:61002", 60_000_000));
}

#[test]
fn a_socket_of_both_versions_knows_who_signals_over_ipv4() {
    let mut peer = Peer::new(address("[::]:20000"), Latching::Auto)
        .signalling_from(Some("203.0.113.5".parse().unwrap()));
    peer.name(named(PRIVATE), 0);
    peer.latch(&address("[2001:db8::1]:9"), 0);
    assert!(admits(&peer, "[::ffff:203.0.113.5]:61000", 0));
    assert!(!admits(&peer, "[::ffff:192.168.1.5]:4000", 0));
}
