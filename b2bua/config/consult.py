"""The keys of a destination about the consultation of a human who is not to get the caller right away."""

from __future__ import annotations

from typing import Literal

from b2bua.config.durations import WaitDuration
from b2bua.config.section import Section

CONSULT_TIMEOUT = 120.0
"""Seconds: time for a briefing, and for a human who thinks it over."""


class ConsultKeys(Section):
    """They matter to handoffs that are asked for with `consult`."""

    consult_timeout: WaitDuration = CONSULT_TIMEOUT
    """How long a human is consulted, from their answer on; then they are let go (9110)."""
    consult_without_assistant: Literal["accept", "back"] = "accept"
    """The assistant leaves while it consults: the human gets the caller, or is let go as if they had declined."""
