//! UDP sockets, non-blocking: one that hears everybody, compared by source address, and one beside it for the peer.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, connect_unspec, getsockname,
    ipproto, recv, recvfrom, send, sendto, socket_with, sockopt,
};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The most packets of a finished call that are read to have its socket: more than a second of audio.
const LEFT_OVER: usize = 64;

/// What every socket is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// SO_RCVBUF in octets.
    pub receive_buffer: usize,
    /// Differentiated services code point of what we send (RFC 2474), 0..=63.
    pub dscp: u8,
}

/// One bound UDP socket, closed when dropped.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Binds an address. An IPv6 wildcard takes IPv4 peers too, as mapped addresses.
    pub fn bind(address: SocketAddr, options: Options) -> Result<Self> {
        let socket = Self::open(address, options)?;
        bind(&socket.fd, &address)?;
        Ok(socket)
    }

    fn open(address: SocketAddr, options: Options) -> Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&fd, false)?;
        }
        sockopt::set_socket_recv_buffer_size(&fd, options.receive_buffer)?;
        let class = options.dscp << 2;
        if address.is_ipv6() {
            sockopt::set_ipv6_tclass(&fd, u32::from(class))?;
        }
        // Also for IPv6: what goes to IPv4 peers through it is marked by this one.
        sockopt::set_ip_tos(&fd, class)?;
        Ok(Socket { fd })
    }

    /// Another socket at the same address, connected to a peer: what comes from there comes to it, all else to this one.
    /// What came while it was made may be of anybody.
    pub fn beside(&self, peer: &SocketAddr, options: Options) -> Result<Self> {
        let address = self.local_address()?;
        let beside = Self::open(address, options)?;
        // Not longer than it takes: another program of this user could join us.
        sockopt::set_socket_reuseport(&self.fd, true)?;
        let bound = sockopt::set_socket_reuseport(&beside.fd, true).and_then(|()| bind(&beside.fd, &address));
        sockopt::set_socket_reuseport(&self.fd, false)?;
        bound?;
        sockopt::set_socket_reuseport(&beside.fd, false)?;
        beside.connect(peer)?;
        Ok(beside)
    }

    /// Hears and sends to one peer only.
    pub fn connect(&self, peer: &SocketAddr) -> Result<()> {
        connect(&self.fd, peer)
    }

    /// Hears anybody, as before it was connected.
    pub fn disconnect(&self) -> Result<()> {
        connect_unspec(&self.fd)
    }

    /// Where it is bound.
    pub fn local_address(&self) -> Result<SocketAddr> {
        SocketAddr::try_from(getsockname(&self.fd)?)
    }

    /// One datagram, or `None` when there is none. The length may exceed the buffer's: the rest is cut off.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (_, length, from) = recvfrom(&self.fd, buffer, RecvFlags::TRUNC).ok()?;
        Some((length, SocketAddr::try_from(from?).ok()?))
    }

    /// Takes next to nothing from now on, as nobody reads: a few packets, and what waits already.
    fn rest(&self) -> Result<()> {
        sockopt::set_socket_recv_buffer_size(&self.fd, 0)
    }

    /// As it was when it was bound: what waits is thrown away.
    fn renew(&self, options: Options) -> Result<()> {
        for _ in 0..LEFT_OVER {
            match recv(&self.fd, &mut [0; 1], RecvFlags::empty()) {
                Ok(_) => {}
                Err(Errno::AGAIN) => {
                    return sockopt::set_socket_recv_buffer_size(&self.fd, options.receive_buffer);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Errno::NOBUFS)
    }

    /// Sends one datagram; an error loses it, as the network would.
    #[inline]
    pub fn send(&self, data: &[u8], to: &SocketAddr) -> bool {
        sendto(&self.fd, data, SendFlags::empty(), to).is_ok()
    }

    /// Sends one datagram to whom it is connected to. The system knows the way, and what it was told of earlier packets
    /// (ICMP) is an error of this one.
    #[inline]
    pub fn send_on(&self, data: &[u8]) -> bool {
        send(&self.fd, data, SendFlags::empty()).is_ok()
    }

    /// The descriptor, for epoll.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// An RTP socket on an even port and the RTCP socket on the port above.
#[derive(Debug)]
pub struct SocketPair {
    /// Even port.
    pub rtp: Socket,
    /// The port above.
    pub rtcp: Socket,
    /// Where `rtp` is bound.
    pub local: SocketAddr,
}

impl SocketPair {
    /// Binds `port` and the one above it; neither stays bound when one fails.
    pub fn bind(address: IpAddr, port: u16, options: Options) -> Result<Self> {
        let above = port.checked_add(1).ok_or(Errno::ADDRNOTAVAIL)?;
        let local = SocketAddr::new(address, port);
        let rtp = Socket::bind(local, options)?;
        let rtcp = Socket::bind(SocketAddr::new(address, above), options)?;
        Ok(SocketPair { rtp, rtcp, local })
    }

    /// Both stay bound for another call, and what the peers of this one send still does not pile up.
    pub fn rest(&self) -> Result<()> {
        self.rtp.rest().and_then(|()| self.rtcp.rest())
    }

    /// Both are ready for another call: nothing that came so far reaches it. An error when it takes new ones.
    pub fn renew(&self, options: Options) -> Result<()> {
        self.rtp.renew(options).and_then(|()| self.rtcp.renew(options))
    }

    /// Binds any pair the system has.
    pub fn bind_any(address: IpAddr, options: Options) -> Result<Self> {
        let mut result = Err(Errno::ADDRINUSE);
        for _ in 0..64 {
            let probe = Socket::bind(SocketAddr::new(address, 0), options)?;
            let port = probe.local_address()?.port();
            drop(probe);
            // An odd port is the RTCP half of the pair below it.
            result = Self::bind(address, port & !1, options);
            match result {
                Err(Errno::ADDRINUSE | Errno::ACCESS) => {}
                _ => return result,
            }
        }
        result
    }
}

/// The form in which a socket of the given family names an address: IPv6 sockets see IPv4 peers as mapped.
pub fn as_seen_by(local: &SocketAddr, address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if local.is_ipv6() => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        _ => address,
    }
}

/// Compares what identifies a peer, leaving IPv6 flow labels and scopes out.
#[inline]
pub fn same(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const OPTIONS: Options = Options { receive_buffer: 65_536, dscp: 46 };
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn any_pair_is_even_and_odd() {
        let pair = SocketPair::bind_any(LOOPBACK, OPTIONS).unwrap();
        let port = pair.rtp.local_address().unwrap().port();
        assert_eq!(port % 2, 0);
        assert_eq!(pair.local.port(), port);
        assert_eq!(pair.rtcp.local_address().unwrap().port(), port + 1);
    }

    #[test]
    fn a_pair_whose_second_half_is_taken_leaves_the_first_unbound() {
        let pair = SocketPair::bind_any(LOOPBACK, OPTIONS).unwrap();
        let port = pair.rtp.local_address().unwrap().port();
        drop(pair.rtp);
        assert_eq!(SocketPair::bind(LOOPBACK, port, OPTIONS).unwrap_err(), Errno::ADDRINUSE);
        Socket::bind(SocketAddr::new(LOOPBACK, port), OPTIONS).unwrap();
    }

    #[test]
    fn nothing_of_the_call_before_reaches_the_next_one() {
        let pair = SocketPair::bind_any(LOOPBACK, OPTIONS).unwrap();
        let above = SocketAddr::new(LOOPBACK, pair.local.port() + 1);
        let peer = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        let say = |data| assert!(peer.send(data, &pair.local) && peer.send(data, &above));
        say(b"before");
        pair.rest().unwrap();
        say(b"while it rests");
        pair.renew(OPTIONS).unwrap();
        assert_eq!((heard(&pair.rtp), heard(&pair.rtcp)), (None, None));
        say(b"the next call");
        assert_eq!(heard(&pair.rtp), Some(b"the next call".to_vec()));
        assert_eq!(heard(&pair.rtcp), Some(b"the next call".to_vec()));
        let fresh = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        let room = |socket: &Socket| sockopt::socket_recv_buffer_size(&socket.fd).unwrap();
        assert_eq!((room(&pair.rtp), room(&pair.rtcp)), (room(&fresh), room(&fresh)));
    }

    #[test]
    fn a_pair_that_rests_takes_next_to_nothing() {
        let pair = SocketPair::bind_any(LOOPBACK, OPTIONS).unwrap();
        let peer = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        pair.rest().unwrap();
        for _ in 0..200 {
            peer.send(b"late", &pair.local);
        }
        let taken = std::iter::from_fn(|| heard(&pair.rtp)).count();
        assert!(taken < 8, "{taken}");
    }

    #[test]
    fn a_pair_with_more_than_a_second_of_audio_waiting_is_not_renewed() {
        let pair = SocketPair::bind_any(LOOPBACK, OPTIONS).unwrap();
        let peer = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        for _ in 0..LEFT_OVER {
            peer.send(b"late", &pair.local);
        }
        assert_eq!(pair.renew(OPTIONS), Err(Errno::NOBUFS));
    }

    fn heard(socket: &Socket) -> Option<Vec<u8>> {
        let mut buffer = [0; 16];
        socket.receive(&mut buffer).map(|(length, _)| buffer[..length].to_vec())
    }

    /// On loopback a packet is there when it was sent.
    fn story_of_a_socket_beside(any: IpAddr) {
        let everybody = Socket::bind(SocketAddr::new(any, 0), OPTIONS).unwrap();
        let local = everybody.local_address().unwrap();
        let to = SocketAddr::new(LOOPBACK, local.port());
        let [peer, stranger] = [(); 2].map(|()| Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap());
        let [at, elsewhere] =
            [&peer, &stranger].map(|socket| as_seen_by(&local, socket.local_address().unwrap()));
        let beside = everybody.beside(&at, OPTIONS).unwrap();
        assert!(peer.send(b"peer", &to) && stranger.send(b"stranger", &to));
        assert_eq!((heard(&everybody), heard(&everybody)), (Some(b"stranger".to_vec()), None));
        assert_eq!((heard(&beside), heard(&beside)), (Some(b"peer".to_vec()), None));
        assert!(beside.send_on(b"from one port"));
        let (_, from) = peer.receive(&mut [0; 16]).unwrap();
        assert_eq!(from, SocketAddr::new(LOOPBACK, local.port()));
        let another = Socket::open(local, OPTIONS).unwrap();
        sockopt::set_socket_reuseport(&another.fd, true).unwrap();
        assert_eq!(bind(&another.fd, &local).unwrap_err(), Errno::ADDRINUSE, "nobody else may join");

        beside.disconnect().unwrap();
        assert!(peer.send(b"peer", &to) && stranger.send(b"stranger", &to));
        let mut all: Vec<_> =
            [&everybody, &everybody, &beside, &beside].into_iter().filter_map(heard).collect();
        all.sort();
        assert_eq!(all, [b"peer".to_vec(), b"stranger".to_vec()], "by one of them or the other");

        beside.connect(&elsewhere).unwrap();
        assert!(peer.send(b"peer", &to) && stranger.send(b"stranger", &to));
        assert_eq!((heard(&everybody), heard(&beside)), (Some(b"peer".to_vec()), Some(b"stranger".to_vec())));
        drop(beside);
        assert!(stranger.send(b"stranger", &to));
        assert_eq!(heard(&everybody), Some(b"stranger".to_vec()));
        let another = everybody.beside(&elsewhere, OPTIONS).unwrap();
        assert!(stranger.send(b"stranger", &to));
        assert_eq!((heard(&everybody), heard(&another)), (None, Some(b"stranger".to_vec())));
    }

    #[test]
    fn a_socket_beside_hears_the_peer_and_the_first_one_all_others() {
        story_of_a_socket_beside(LOOPBACK);
        story_of_a_socket_beside(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        story_of_a_socket_beside(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }

    #[test]
    fn what_is_sent_is_marked_in_both_families() {
        let four = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        assert_eq!(sockopt::ip_tos(&four.fd).unwrap(), 0xb8);
        let six = Socket::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0), OPTIONS).unwrap();
        assert_eq!(sockopt::ipv6_tclass(&six.fd).unwrap(), 0xb8);
        assert_eq!(sockopt::ip_tos(&six.fd).unwrap(), 0xb8);
    }

    #[test]
    fn an_ipv6_wildcard_hears_ipv4() {
        let six = Socket::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0), OPTIONS).unwrap();
        let four = Socket::bind(SocketAddr::new(LOOPBACK, 0), OPTIONS).unwrap();
        let local = six.local_address().unwrap();
        four.send(b"hello", &SocketAddr::new(LOOPBACK, local.port()));
        let (length, from) = six.receive(&mut [0; 16]).unwrap();
        assert_eq!(length, 5);
        assert!(same(&from, &as_seen_by(&local, four.local_address().unwrap())));
    }
}
