//! How likely a source of packets is to be the peer, going by the addresses that its SDP and its signalling have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::socket::same;

/// What speaks for a source, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Nothing: the peer's media may come from anywhere, and so may a stranger's.
    Anybody,
    /// It has the host of the peer's SDP, or the one that its SIP comes from, which a NAT gives its audio, too.
    Host,
    /// It is the address and port of the peer's SDP.
    Named,
}

/// The rank of a source, for a peer that names `named` and signals from `signalling`. An address that the peer cannot have,
/// as its signalling comes from farther away, gives no rank: it is the one that it has behind its NAT, and anybody's here.
pub fn rank(from: &SocketAddr, named: Option<&SocketAddr>, signalling: Option<IpAddr>) -> Rank {
    let real =
        named.filter(|named| signalling.is_none_or(|signalling| reach(named.ip()) >= reach(signalling)));
    match real {
        Some(named) if same(named, from) => Rank::Named,
        Some(named) if named.ip() == from.ip() => Rank::Host,
        _ if signalling == Some(from.ip()) => Rank::Host,
        _ => Rank::Anybody,
    }
}

/// From how far an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine,
    Link,
    /// RFC 1918, RFC 4193.
    Site,
    /// Behind the NAT of a provider (RFC 6598).
    Provider,
    World,
}

fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Reach::Machine,
        IpAddr::V4(v4) if v4.is_link_local() => Reach::Link,
        IpAddr::V4(v4) if v4.is_private() => Reach::Site,
        IpAddr::V4(v4) if is_shared(v4) => Reach::Provider,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Reach::Link,
        IpAddr::V6(v6) if v6.is_unique_local() => Reach::Site,
        _ => Reach::World,
    }
}

fn is_shared(v4: Ipv4Addr) -> bool {
    matches!(v4.octets(), [100, 64..=127, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(from: &str, named: &str, signalling: &str) -> Rank {
        rank(&from.parse().unwrap(), named.parse().ok().as_ref(), signalling.parse().ok())
    }

    #[test]
    fn the_named_address_ranks_before_its_host_and_the_signalling_host_and_these_before_all_else() {
        let (named, signalling) = ("198.51.100.7:4000", "203.0.113.5");
        assert_eq!(ranked("198.51.100.7:4000", named, signalling), Rank::Named);
        assert_eq!(ranked("198.51.100.7:4002", named, signalling), Rank::Host);
        assert_eq!(ranked("203.0.113.5:9", named, signalling), Rank::Host);
        assert_eq!(ranked("192.0.2.1:4000", named, signalling), Rank::Anybody);
        assert_eq!(ranked("192.0.2.1:4000", "", ""), Rank::Anybody);
    }

    #[test]
    fn a_private_address_ranks_only_for_who_signals_from_as_near() {
        for (named, signalling, ranks) in [
            ("192.168.1.5:4000", "203.0.113.5", false),
            ("192.168.1.5:4000", "100.64.0.9", false),
            ("100.64.0.9:4000", "203.0.113.5", false),
            ("192.168.1.5:4000", "10.0.0.1", true),
            ("169.254.1.1:4000", "10.0.0.1", false),
            ("127.0.0.1:4000", "10.0.0.1", false),
            ("127.0.0.1:4000", "127.0.0.1", true),
            // A trunk's proxy inside, its gateways outside.
            ("198.51.100.7:4000", "10.0.0.1", true),
            ("[fd00::5]:4000", "2001:db8::1", false),
            ("[fe80::5]:4000", "fd00::1", false),
            ("[2001:db8::5]:4000", "2001:db8::1", true),
            // As a socket of both versions has them.
            ("[::ffff:10.0.0.7]:4000", "::ffff:203.0.113.5", false),
            ("[2001:db8::5]:4000", "203.0.113.5", true),
        ] {
            let expected = if ranks { Rank::Named } else { Rank::Anybody };
            assert_eq!(ranked(named, named, signalling), expected, "{named} and {signalling}");
        }
    }
}
