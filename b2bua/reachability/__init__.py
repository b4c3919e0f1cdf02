"""Whether the far ends that we dial can be reached, asked by OPTIONS before a call depends on it."""

from b2bua.reachability.health import Health, State
from b2bua.reachability.pinger import Pinger
from b2bua.reachability.reachability import Hop, Reachability, hop_of

__all__ = ["Health", "Hop", "Pinger", "Reachability", "State", "hop_of"]
