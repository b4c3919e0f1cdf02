"""What a leg begins with: its descriptions, and its place in the record of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.audio_protection import media_terms
from b2bua.call.codecs import of_new_leg
from b2bua.call.record import LegRecord
from b2bua.sdp_bridge import LegDescription
from media.engine import passes_through
from sip_stack.message import format_host_port

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.config import Dialled
    from b2bua.encryption import MediaProtection
    from media.engine import MediaLeg
    from sip_stack.dialog.session import Session
    from sip_stack.transport import Flow


def open_leg(call: Call, role: str, trunk: str | None, host: str) -> MediaLeg:
    """The audio of a new leg whose far end is at `host`. Raises `PortsExhausted` or `NoAddress`."""
    return call.media.open_leg(role, call.configuration.latching_for(trunk), ipv6=":" in host)


def describe(
    call: Call, media: MediaLeg, flow: Flow, protection: MediaProtection, place: Dialled | None = None
) -> LegDescription:
    """The descriptions of a new leg whose far end is reached over `flow`, dialled at `place`. Raises `SrtpRequired`
    where keys would have to cross in clear."""
    configuration = call.configuration
    bound = configuration.media.address
    host = media.announced_host or configuration.advertised_address(flow.remote[0])
    if host is None:
        # An audio address of its own is where the audio is; with the wildcard it is where the signalling is.
        host = flow.advertised[0] if bound in ("0.0.0.0", "::") else bound
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
