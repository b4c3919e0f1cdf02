"""Session descriptions (RFC 8866) and the codec-free part of offer/answer (RFC 3264)."""

from sip_stack.sdp.addresses import Address, media_address, offered_host, rtcp_address
from sip_stack.sdp.crypto import CRYPTO, KEY_OCTETS, Crypto, cryptos_of, parse_crypto
from sip_stack.sdp.local_description import LocalDescription
from sip_stack.sdp.media_lines import RTCP_MUX, Attribute, Connection, Direction, MediaLines
from sip_stack.sdp.model import KeyText, Media, Origin, Session, parse
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
from sip_stack.sdp.rtpmap import STATIC_PAYLOADS, RtpMap
from sip_stack.sdp.sections import check_slots, common, refuse, turned

__all__ = [
    "CRYPTO",
    "KEY_OCTETS",
    "RTCP_MUX",
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
    "Crypto",
    "Direction",
    "Glare",
    "KeyText",
    "LocalDescription",
    "Media",
    "MediaLines",
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
    "cryptos_of",
    "media_address",
    "not_acceptable",
    "offered_host",
    "parse",
    "parse_crypto",
    "refuse",
    "rtcp_address",
    "turned",
]
