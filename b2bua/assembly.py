"""What a process is put together from, as it is configured: the SIP stack, the media engine, the resolver."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from b2bua import __version__
from b2bua.call.services import METHODS, SUPPORTED, Records, Services
from b2bua.config import Configuration, Media
from b2bua.journal import Journal
from b2bua.trace import TraceRing
from media.engine import Engine
from media.native import NativeEngine, NativeSettings
from media.rtpengine import Interfaces, NgAddress, RtpengineEngine, RtpengineSettings
from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.network import Listen
from sip_stack.aio.resolver import Resolver
from sip_stack.aio.stack import SipStack
from sip_stack.message import format_host_port
from sip_stack.settings import EndpointSettings

if TYPE_CHECKING:
    from b2bua.journal.seal import Seal


def build_engine(media: Media) -> Engine:
    """The engine that is configured."""
    if media.rtpengine is None:
        ports = media.ports.first, media.ports.last
        return NativeEngine(NativeSettings(address=media.address, ports=ports, dscp=media.dscp))
    configured = media.rtpengine
    nodes = tuple(NgAddress(node.transport, node.host, node.port) for node in configured.nodes)
    digits, names = configured.dtmf_listen, configured.interfaces
    return RtpengineEngine(
        RtpengineSettings(
            nodes,
            None if digits is None else (digits.host, digits.port),
            configured.spare_legs,
            None if names is None else Interfaces(names.inside, names.outside),
        )
    )


def build_services(
    current: Callable[[], Configuration], records: Records, journal: Journal | None = None
) -> Services:
    """Stack, engine and resolver for the configuration in force; nothing is opened yet.

    `current` is asked again for what a reload may change.
    """
    sip, media = current().sip, current().media
    advertise = AdvertisedAddresses(lambda peer: current().advertised_address(peer))
    families = sorted({6 if ":" in where.host else 4 for where in sip.listen})
    # UDP first, where a domain leaves it to us (RFC 3263 section 4.1).
    transports = sorted({where.transport for where in sip.listen}, key=["udp", "tcp", "tls"].index)
    stack = SipStack(
        EndpointSettings(user_agent=f"b2bua/{__version__}", allow=METHODS, supported=SUPPORTED),
        advertise=advertise,
    )
    telemetry = current().telemetry
    trace = TraceRing(telemetry.trace) if telemetry.trace or telemetry.hep else None
    stack.tap = trace
    return Services(
        stack=stack,
        trace=trace,
        journal=journal,
        engine=build_engine(media),
        resolver=Resolver(families=families, transports=transports, nameservers=sip.name_servers or None),
        records=records,
        node=current().node or socket.gethostname(),
    )


def listens(configuration: Configuration) -> list[Listen]:
    """What `sip.listen` asks for, in the stack's words."""
    sip = configuration.sip
    return [Listen(where.transport, where.host, where.port, sip.dscp) for where in sip.listen]


def listening(bound: Iterable[Listen]) -> str:
    """Sockets as the ready line has them."""
    return ",".join(f"{where.transport}:{format_host_port(where.host, where.port)}" for where in bound)


def group_of(configuration: Configuration, bound: Iterable[Listen]) -> str:
    """By what a process finds what the one before it has left in the store."""
    # A name that was given says it all; hosts may have several nodes, whose sockets differ.
    return configuration.node or f"{socket.gethostname()} {listening(bound)}"


def seal_of(configuration: Configuration) -> Seal | None:
    """What hides keys of SRTP in the journal; None where there is no TLS. Raises `OSError`."""
    tls = configuration.sip.tls
    if tls is None:
        return None
    # Imported here: who has no TLS need not pay for it.
    from b2bua.journal.seal import Seal

    return Seal(Path(tls.private_key).read_bytes())
