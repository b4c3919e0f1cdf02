//! A third socket for a leg whose peer has settled, connected to it: the system then looks for neither the way nor the
//! socket with every packet, a tenth of what relaying one costs. The first socket goes on hearing everybody else, so that
//! strangers are counted, and a peer may move. What comes in by either is judged in the same way.

use super::Leg;
use crate::allocator::PLENTY;
use crate::socket::Socket;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;

/// Descriptors for each bound pair of ports below which there are two for a leg; from `PLENTY` on there are three.
const SCARCE: usize = 4;

/// The third socket of a leg.
#[derive(Debug)]
pub(super) struct Beside {
    socket: Socket,
    /// False after the peer named another address, until it is heard there.
    connected: bool,
}

impl Leg {
    /// Connects to a peer that has settled, or gives the socket back where descriptors are scarce; asked every few seconds,
    /// so that calls that fail or are short do without. Returns a new descriptor, for epoll.
    pub fn connect(&mut self) -> Option<&OwnedFd> {
        let descriptors = self.lease.descriptors_each();
        if descriptors < SCARCE {
            self.beside = None;
        }
        let peer = self.peer.settled()?;
        if let Some(beside) = &mut self.beside {
            beside.connected = beside.connected || beside.socket.connect(peer).is_ok();
            return None;
        }
        if descriptors < PLENTY {
            return None;
        }
        let socket = self.lease.beside(&self.sockets.rtp, peer)?;
        Some(self.beside.insert(Beside { socket, connected: true }).socket.fd())
    }

    /// Does without.
    pub fn drop_connection(&mut self) {
        self.beside = None;
    }

    /// The socket is open to anybody until the peer has settled anew; closed, it would take a packet with it.
    pub(super) fn disconnect(&mut self) {
        if let Some(beside) = &mut self.beside {
            beside.connected = false;
            if beside.socket.disconnect().is_err() {
                self.beside = None;
            }
        }
    }

    /// Its descriptor, for epoll.
    pub fn connected(&self) -> Option<&OwnedFd> {
        self.beside.as_ref().map(|beside| beside.socket.fd())
    }

    /// One datagram from it.
    #[inline]
    pub fn receive_connected(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.beside.as_ref()?.socket.receive(buffer)
    }

    /// Sends on it; false where there is none or the system refused, and the packet is still to be sent.
    #[inline]
    pub(super) fn send_connected(&self, data: &[u8]) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.connected && beside.socket.send_on(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Allocator;
    use crate::counters::Counters;
    use crate::outgoing::Outgoing;
    use crate::peer::{Latching, Named, Peer};
    use crate::reporting::Reporter;
    use crate::socket::{Options, SocketPair};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
    const THERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_002);

    fn allocator(descriptors: usize) -> Arc<Allocator> {
        let options = Options { receive_buffer: 65_536, dscp: 46 };
        Arc::new(Allocator::new(HERE.ip(), 0, 0, 0, options).with_descriptors(descriptors))
    }

    fn leg(allocator: &Arc<Allocator>, latching: Latching) -> Leg {
        let (sockets, lease) = allocator.open().unwrap();
        let mut peer = Peer::new(sockets.rtp.local_address().unwrap(), latching);
        peer.name(Named { rtp: Some(HERE), ..Named::default() }, 0);
        let streams = (Outgoing::new(1, 0, 0), Reporter::new(1, &[0; 20]));
        Leg::new(1, (sockets, lease), peer, Arc::new(Counters::default()), streams)
    }

    #[test]
    fn a_leg_is_connected_when_its_peer_was_heard_where_it_is_sent_to() {
        let mut auto = leg(&allocator(100), Latching::Auto);
        assert!(auto.connect().is_none(), "not heard");
        auto.peer.latch(&THERE, 0);
        assert!(auto.connect().is_some());
        assert!(auto.connect().is_none(), "only once");
        let mut disabled = leg(&allocator(100), Latching::Disabled);
        disabled.peer.latch(&THERE, 0);
        assert!(disabled.connect().is_none(), "hears one address and sends to another");
    }

    #[test]
    fn it_keeps_its_socket_through_holds_and_moves() {
        let mut leg = leg(&allocator(100), Latching::Auto);
        leg.peer.latch(&HERE, 0);
        assert!(leg.connect().is_some());
        leg.peer.name(Named::default(), 1);
        assert!(leg.connect().is_none());
        assert!(leg.beside.as_ref().is_some_and(|beside| beside.connected), "held");
        leg.peer.name(Named { rtp: Some(THERE), ..Named::default() }, 2);
        leg.disconnect();
        assert!(!leg.send_connected(b"to the former address"));
        leg.peer.latch(&THERE, 0);
        assert!(leg.connect().is_none() && leg.connected().is_some(), "the same descriptor");
        assert!(leg.send_connected(b"to the new one"));
    }

    #[test]
    fn the_next_leg_on_its_sockets_hears_the_former_peer_as_anybody() {
        let options = Options { receive_buffer: 65_536, dscp: 46 };
        let peer = Socket::bind(SocketAddr::new(HERE.ip(), 0), options).unwrap();
        let at = peer.local_address().unwrap();
        let port = SocketPair::bind_any(HERE.ip(), options).unwrap().local.port();
        let allocator = Arc::new(Allocator::new(HERE.ip(), port, port + 1, 0, options).with_descriptors(100));
        let mut first = leg(&allocator, Latching::Auto);
        first.peer.latch(&at, 0);
        assert!(first.connect().is_some());
        first.leave_sockets();
        let mut next = leg(&allocator, Latching::Auto);
        assert!(next.connected().is_none());
        assert!(peer.send(b"hello", &next.sockets.local));
        assert_eq!(next.receive(&mut [0; 16]), Some((5, at)), "by the socket that hears everybody");
        next.peer.latch(&THERE, 0);
        assert!(next.connect().is_some());
    }

    #[test]
    fn where_descriptors_are_scarce_legs_have_two() {
        let allocator = allocator(12);
        let mut legs: Vec<_> = (0..2).map(|_| leg(&allocator, Latching::Auto)).collect();
        for leg in &mut legs {
            leg.peer.latch(&HERE, 0);
            assert!(leg.connect().is_some(), "six for each");
        }
        legs.push(leg(&allocator, Latching::Auto));
        legs[2].peer.latch(&HERE, 0);
        assert!(legs[2].connect().is_none(), "four for each");
        assert!(legs[0].connect().is_none() && legs[0].connected().is_some());
        legs.push(leg(&allocator, Latching::Auto));
        assert!(legs[0].connect().is_none() && legs[0].connected().is_none(), "three: given back");
    }
}
