"""Session descriptions (RFC 8866) and the codec-free part of offer/answer (RFC 3264)."""

from sip_stack.sdp.addresses import Address, media_address, rtcp_address
from sip_stack.sdp.local_description import LocalDescription
from sip_stack.sdp.model import (
    STATIC_PAYLOADS,
    Attribute,
    Connection,
    Direction,
    Media,
    Origin,
    RtpMap,
    Session,
    parse,
)
from sip_stack.sdp.negotiation import BodyRole, Glare, Negotiation, OfferToken, StaleOffer, State, body_role
from sip_stack.sdp.not_acceptable import (
    WARN_ADDRESS,
    WARN_FORMAT,
    WARN_MEDIA,
    WARN_MULTICAST,
    WARN_OTHER,
    WARN_TRANSPORT,
    not_acceptable,
)
from sip_stack.sdp.sections import check_slots, common, refuse, turned

__all__ = [
    "STATIC_PAYLOADS",
    "WARN_ADDRESS",
    "WARN_FORMAT",
    "WARN_MEDIA",
    "WARN_MULTICAST",
    "WARN_OTHER",
    "WARN_TRANSPORT",
    "Address",
    "Attribute",
    "BodyRole",
    "Connection",
    "Direction",
    "Glare",
    "LocalDescription",
    "Media",
    "Negotiation",
    "OfferToken",
    "Origin",
    "RtpMap",
    "Session",
    "StaleOffer",
    "State",
    "body_role",
    "check_slots",
    "common",
    "media_address",
    "not_acceptable",
    "parse",
    "refuse",
    "rtcp_address",
    "turned",
]
