"""The four ways to protect a leg, and what each asks of its signalling and its media."""

from __future__ import annotations

from typing import Literal

Encryption = Literal["tls/srtp", "tls/srtp-preferred", "tls/rtp", "udp/rtp"]
MediaProtection = Literal["required", "preferred", "disabled"]

DEFAULT: Encryption = "tls/srtp"
UNENCRYPTED: Encryption = "udp/rtp"


def needs_tls(encryption: str) -> bool:
    """True when not one message may leave us but over TLS; "" is of places that are not dialled."""
    return encryption.startswith("tls/")


def media_protection(encryption: str) -> MediaProtection:
    """Whether the audio of a leg has to be SRTP."""
    if encryption == "tls/srtp":
        return "required"
    return "preferred" if encryption == "tls/srtp-preferred" else "disabled"


def signalling_transport(encryption: str, said: str | None) -> str:
    """The transport of a leg's first request; `said` is what its URI asks for, None when it asks for nothing."""
    return "tls" if needs_tls(encryption) else said or "udp"
