"""What a daemon is told of a leg: an offer of its inside, and the answer of its peer."""

from __future__ import annotations

from collections.abc import Mapping

from media.engine import Latching, StreamParameters
from media.rtpengine.bencode import Writable
from media.rtpengine.description import DISCARD, EVENT_TYPE, PLAIN, SECURE, Opened, inside, outside
from media.rtpengine.settings import Interfaces
from media.rtpengine.told import Told
from media.srtp import SrtpKeys

INSIDE, OUTSIDE = "int", "ext"
"""The tags of a leg's two sides."""

_FLAGS = ("port-latching", "trust-address", "asymmetric")
_UNKNOWN_SUITES = (
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)
_OFFER: Mapping[str, Writable] = {
    "from-tag": INSIDE,
    "flags": _FLAGS,
    "replace": ["origin"],
    "ICE": "remove",
    "DTLS": "off",
    "rtcp-mux": ["offer"],
    "SDES": [f"no-{suite}" for suite in _UNKNOWN_SUITES],
}
"""What each offer of the inside says."""
_LATCHING: Mapping[Latching, tuple[str, ...]] = {
    Latching.AUTO: ("strict-source",),
    Latching.STRICT: ("asymmetric", "strict-source"),
    Latching.DISABLED: ("asymmetric",),
}
"""By flags of the answer for the peer: `asymmetric` learns no address, `strict-source` hears no other."""


def offer(
    identity: str, family: str, profile: str, description: str, interfaces: Interfaces | None
) -> dict[str, Writable]:
    """An offer of the inside of a leg by its call-id; its peer is to have an address of `family`."""
    sides = {} if interfaces is None else {"direction": [interfaces.inside, interfaces.outside]}
    return {
        **sides,
        **_OFFER,
        "transport-protocol": profile,
        "address-family": family,
        "call-id": identity,
        "sdp": description,
    }


def offer_of(identity: str, family: str, wanted: Told, interfaces: Interfaces | None) -> dict[str, Writable]:
    """The offer for a leg that is in use."""
    parameters = wanted.parameters
    event_type = parameters.telephone_event
    ours = inside(wanted.target, wanted.codec, EVENT_TYPE if event_type is None else event_type)
    profile = PLAIN if parameters.keys is None else SECURE
    told = offer(identity, family, profile, ours, interfaces)
    codecs = wanted.codecs()
    if codecs:
        told["codec"] = codecs
    return told


def answer(
    identity: str, opened: Opened, latching: Latching, parameters: StreamParameters, before: Told | None
) -> dict[str, Writable]:
    """What the peer says; `before` is what the daemon was told the last time."""
    unreachable = (opened.address[0], DISCARD)
    if parameters.remote is None and before is not None and before.parameters.remote is not None:
        # Held: what it is known to be stays, so that nothing is latched anew; nothing is sent to it.
        unreachable = before.parameters.remote
    return {
        "call-id": identity,
        "from-tag": INSIDE,
        "to-tag": OUTSIDE,
        "sdp": outside(parameters, unreachable, opened.keys),
        "flags": ["port-latching", "trust-address", *_LATCHING[latching]],
        "replace": ["origin"],
        "ICE": "remove",
        "DTLS": "off",
        "rtcp-mux": ["demux"],
    }


def has_key(opened: Opened, keys: SrtpKeys | None) -> bool:
    """Whether the daemon sends under the key that the peer was told."""
    key = None if keys is None else opened.keys.get(keys.suite)
    return keys is None or (key is not None and key.octets == keys.local)
