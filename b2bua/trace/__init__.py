"""The SIP messages of each call, kept for a while: what `GET /v1/calls/{id}/trace` and `b2bua trace` show.

Keeping one costs the search for its Call-ID and an entry in a list. Masking and formatting are left to the reader.
"""

from b2bua.trace.ladder import Ladder, Step
from b2bua.trace.rendering import FORMATS, Format, render
from b2bua.trace.ring import Traced, TraceRing

__all__ = ["FORMATS", "Format", "Ladder", "Step", "TraceRing", "Traced", "render"]
