"""Between session descriptions and the media engine: the only place that knows both."""

from b2bua.sdp_bridge.agreed import Agreed, Offered
from b2bua.sdp_bridge.leg_description import LegDescription
from b2bua.sdp_bridge.media_security import MediaTerms, SrtpRequired
from b2bua.sdp_bridge.offers import Change, LocalOffer, RemoteOffer, Reoffer
from b2bua.sdp_bridge.wish import Wish
from sip_stack.sdp import Glare, StaleOffer

__all__ = [
    "Agreed",
    "Change",
    "Glare",
    "LegDescription",
    "LocalOffer",
    "MediaTerms",
    "Offered",
    "RemoteOffer",
    "Reoffer",
    "SrtpRequired",
    "StaleOffer",
    "Wish",
]
