"""Every metric there is, in the order of docs/metrics.md."""

from b2bua.metrics import of_calls, of_rtpengine, of_sip, of_surroundings
from b2bua.metrics.family import Family

FAMILIES: tuple[Family, ...] = (
    *of_calls.FAMILIES,
    *of_rtpengine.FAMILIES,
    *of_sip.FAMILIES,
    *of_surroundings.FAMILIES,
)
