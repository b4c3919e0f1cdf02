"""Over which version of IP the audio of a new leg goes, and which address of ours its far end is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.config.media import WILDCARDS
from media.engine import NoAddress
from sip_stack.aio.advertise import facing_address
from sip_stack.errors import TransportError

if TYPE_CHECKING:
    from b2bua.config import Configuration
    from b2bua.sdp_bridge import RemoteOffer
    from sip_stack.transport import Flow


def far_host(configuration: Configuration, signalling: str, offer: RemoteOffer | None) -> str:
    """An address whose version of IP the audio has: the one that is offered, which need not be of the version that the
    signalling has."""
    if offer is not None and offer.host is not None:
        return offer.host
    return configuration.media.own_address or signalling


def our_host(configuration: Configuration, flow: Flow, offer: RemoteOffer | None) -> str:
    """What the far end of `flow` is told. Raises `NoAddress`."""
    signalling, bound = flow.remote[0], configuration.media.address
    theirs = far_host(configuration, signalling, offer)
    crosses = (":" in theirs) is not (":" in signalling)
    # `sip.advertise` goes by where they signal from, if it can: a phone behind a NAT offers a private address.
    host = configuration.advertised_address(theirs if crosses else signalling)
    if host is not None:
        return host
    if bound not in WILDCARDS:
        return bound
    if not crosses:
        return flow.advertised[0]
    try:
        return facing_address(theirs, bound)
    except TransportError as error:
        raise NoAddress(str(error)) from error
