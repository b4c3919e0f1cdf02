"""Metrics in the format of Prometheus: a catalogue of families, each with what it reads, and their exposition.

Nothing is counted here. Whoever does something counts it in plain numbers, and what cannot be counted is looked at when
somebody asks; so a call pays for an addition here and there, whether anybody scrapes or not.
"""

from b2bua.metrics.catalogue import FAMILIES
from b2bua.metrics.family import Family, Sources

__all__ = ["FAMILIES", "Family", "Sources"]
