"""What a leg begins with: its descriptions, and its place in the record of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.audio_address import far_host, our_host
from b2bua.call.audio_protection import media_terms
from b2bua.call.codecs import of_new_leg
from b2bua.call.record import LegRecord
from b2bua.sdp_bridge import LegDescription, RemoteOffer
from media.engine import passes_through
from sip_stack.message import format_host_port

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.config import Dialled
    from b2bua.encryption import MediaProtection
    from media.engine import MediaLeg
    from sip_stack.dialog.session import Session
    from sip_stack.message import Request
    from sip_stack.transport import Flow


def read_offer(request: Request) -> RemoteOffer | None:
    """What an INVITE offers; None where it leaves that to us. Raises `RemoteError` (400)."""
    body = request.body_of_type("application/sdp") or b""
    return RemoteOffer.read(body) if body.strip() else None


def open_leg(
    call: Call, role: str, trunk: str | None, signalling: str, offer: RemoteOffer | None = None
) -> MediaLeg:
    """The audio of a new leg whose far end signals from an address. Raises `PortsExhausted` or `NoAddress`."""
    host = far_host(call.configuration, signalling, offer)
    latching = call.configuration.latching_for(trunk)
    return call.media.open_leg(role, latching, ipv6=":" in host, signalling=signalling)


def describe(
    call: Call,
    media: MediaLeg,
    flow: Flow,
    protection: MediaProtection,
    place: Dialled | None = None,
    *,
    offer: RemoteOffer | None = None,
) -> LegDescription:
    """The descriptions of a new leg whose far end is reached over `flow`: dialled at `place`, or with an offer of its
    own. Raises `SrtpRequired` where keys would have to cross in clear, `NoAddress` where no audio gets there."""
    host = media.announced_host or our_host(call.configuration, flow, offer)
    codecs = of_new_leg(call, place)
    plain = not passes_through(codecs)
    others = None if call.caller is None else call.caller.description
    event_type = None
    if others is not None and others.parameters is not None and not media.renumbers_events:
        event_type = others.parameters.telephone_event
    return LegDescription(
        address=(host, media.local_address[1]),
        codecs=codecs,
        session_id=int(call.services.stack.token()[:15], 16),
        terms=media_terms(call, media, flow, protection),
        parameters=None if plain or others is None else others.format_parameters,
        event_type=event_type,
    )


def leg_record(role: str, session: Session, started: float) -> LegRecord:
    """The record of a new leg; tags are filled in as they become known."""
    flow = session.flow
    return LegRecord(
        role=role,
        sip_call_id=session.call_id,
        local_tag=session.local_tag,
        remote_tag=session.remote_tag or "",
        remote_address=format_host_port(*flow.remote),
        transport=flow.transport,
        started=started,
    )
