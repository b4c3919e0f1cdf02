"""Presets: the headers that known platforms read when a caller comes from a voice agent, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from b2bua.config.trunk import Method
from b2bua.user_to_user import ISDN, UserToUser

PresetName = Literal["five9", "genesys"]

CONTEXT = "$handoff_id"
"""What User-to-User says unless something else is configured: by it the context is fetched."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What one platform expects."""

    methods: tuple[Method, ...]
    """How handoffs reach it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    user_to_user: Mapping[Method, UserToUser] = field(default_factory=dict)
    """Its shape, by method: in a Refer-To it may be another."""
    most_headers: int | None = None
    """Custom headers that it reads of one request, ours included."""


NO_PRESET = Preset(methods=())
PRESETS: Mapping[PresetName, Preset] = {
    # It takes the call back, and reads where it belongs. A caller whom we hand over was not contained.
    "five9": Preset(
        methods=("bye",),
        headers={"X-contained": "false", "X-destination": "$destination"},
        most_headers=10,
    ),
    # A trunk of its own (BYOC). In a Refer-To, which it sends on, User-to-User has but its encoding.
    "genesys": Preset(
        methods=("invite", "refer"),
        user_to_user={
            "invite": UserToUser(CONTEXT, "hex", "00", purpose=ISDN, content=ISDN),
            "refer": UserToUser(CONTEXT, "hex", "00"),
        },
    ),
}
