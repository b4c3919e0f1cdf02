"""RTP peers that speak SRTP by libsrtp (pylibsrtp): an implementation that is not ours."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pylibsrtp import Error, Policy, Session

from media.engine import Address, Codec, StreamParameters
from media.srtp import CryptoSuite, SrtpKeys
from tests.support.rtp_peer import Packet, RtpPeer

PROFILES = {
    CryptoSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    CryptoSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    CryptoSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    CryptoSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
"""What pylibsrtp has of our suites; RFC 6188 is checked by vectors and against PJSIP."""


def new_key(suite: CryptoSuite) -> bytes:
    """A master key with its salt."""
    return secrets.token_bytes(suite.key_octets)


class SrtpPeer(RtpPeer):
    """Protects what it says, and reads what it hears."""

    def __init__(self, suite: CryptoSuite, codec: Codec = Codec.PCMU, *, ssrc: int = 0x1234) -> None:
        super().__init__(codec, ssrc=ssrc)
        self.suite = suite
        self.key = new_key(suite)
        self.our_key = new_key(suite)
        self.outbound = self.inbound = Session()
        self.begin()

    @property
    def keys(self) -> SrtpKeys:
        """As the engine under test is told them."""
        return SrtpKeys(self.suite, local=self.our_key, remote=self.key)

    def begin(self) -> None:
        """Forgets how far both directions had come."""
        profile = PROFILES[self.suite]
        self.outbound = Session(Policy(self.key, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        inbound = Policy(self.our_key, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        inbound.window_size = 1024
        self.inbound = Session(inbound)

    def parameters(
        self, *, remote: Address | None = None, send: bool = True, receive: bool = True
    ) -> StreamParameters:
        """What a leg is told about this peer."""
        return replace(super().parameters(remote=remote, send=send, receive=receive), keys=self.keys)

    def send(self, to: Address, data: bytes) -> None:
        """Protects a packet and sends it."""
        super().send(to, self.outbound.protect(data))

    def send_raw(self, to: Address, data: bytes) -> None:
        """Sends a datagram as it is."""
        super().send(to, data)

    async def hear_wire(self) -> bytes:
        """The next datagram as it came."""
        return await super().hear_data()

    async def hear_data(self) -> bytes:
        """The next datagram that arrives, read. Raises `pylibsrtp.Error` for what is not protected."""
        return self.inbound.unprotect(await super().hear_data())


@contextmanager
def srtp_peers(*suites: CryptoSuite | None) -> Iterator[list[RtpPeer]]:
    """A peer for each suite; None for plain RTP."""
    opened = [
        RtpPeer(ssrc=0x1000 + n) if suite is None else SrtpPeer(suite, ssrc=0x1000 + n)
        for n, suite in enumerate(suites)
    ]
    try:
        yield opened
    finally:
        for peer in opened:
            peer.close()


__all__ = ["PROFILES", "Error", "Packet", "SrtpPeer", "new_key", "srtp_peers"]
