//! The sockets of all peers, and when what comes to them came, by the system's own stamp.

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, recvmmsg, setsockopt,
    sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use std::io::{IoSliceMut, Result};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// Datagrams that are read with one call at most.
const AT_ONCE: usize = 32;
/// Longer than all that a relay sends.
const DATAGRAM: usize = 256;

/// An UDP socket with room for so many octets, and its address.
pub fn open(receive_buffer: usize) -> Result<(OwnedFd, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_recv_buffer_size(&fd, receive_buffer)?;
    bind(&fd, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = SocketAddr::try_from(getsockname(&fd)?)?;
    Ok((fd, address))
}

/// A packet of a relay.
pub struct Arrival<'a> {
    pub data: &'a [u8],
    pub from: SocketAddr,
    /// Since 1970: on loopback, while the relay was in the call that sent it.
    pub at: Duration,
}

/// The sockets.
pub struct Peers {
    pub sockets: Vec<(OwnedFd, SocketAddr)>,
    next: usize,
    headers: MultiHeaders<SockaddrIn>,
    buffers: [[u8; DATAGRAM]; AT_ONCE],
}

impl Peers {
    /// So many sockets.
    pub fn open(count: usize) -> Result<Self> {
        let sockets: Vec<_> = (0..count).map(|_| open(4_194_304)).collect::<Result<_>>()?;
        for (socket, _) in &sockets {
            setsockopt(socket, ReceiveTimestampns, &true)?;
        }
        let headers = MultiHeaders::preallocate(AT_ONCE, Some(cmsg_space!(TimeSpec)));
        Ok(Peers { sockets, next: 0, headers, buffers: [[0; DATAGRAM]; AT_ONCE] })
    }

    /// Hands on what waits in one socket, the next of them with each call: when it is read makes no difference.
    pub fn read(&mut self, mut each: impl FnMut(Arrival<'_>)) {
        let (socket, _) = &self.sockets[self.next];
        self.next = (self.next + 1) % self.sockets.len();
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let Ok(messages) = recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut slices, flags, None) else {
            return;
        };
        for message in messages {
            if let Some(arrival) = arrival(&message) {
                each(arrival);
            }
        }
    }
}

fn arrival<'a>(message: &RecvMsg<'a, 'a, SockaddrIn>) -> Option<Arrival<'a>> {
    let stamp = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    Some(Arrival {
        data: message.iovs().next()?,
        from: SocketAddrV4::from(message.address?).into(),
        at: stamp?,
    })
}
