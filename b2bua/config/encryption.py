"""`encryption:` what protects the signalling and the audio of a leg that we dial.

What comes before the slash decides how the INVITE travels, what comes after it is the media's. The two are one word
so that nobody encrypts the audio and sends its keys in clear.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import BeforeValidator, WithJsonSchema

from b2bua.config.not_yet import later
from b2bua.config.problems import closest, listing
from b2bua.config.section import refusal
from b2bua.encryption import UNENCRYPTED, Encryption

ENCRYPTIONS: tuple[Encryption, ...] = get_args(Encryption)

AVAILABLE: tuple[Encryption, ...] = ("tls/rtp", UNENCRYPTED)
"""What this version speaks."""

ENCRYPTION_SCHEMA = WithJsonSchema({"type": "string", "enum": list(AVAILABLE)})


def check_encryption(value: object) -> Encryption:
    """A value of `encryption` that this version speaks. Raises a refusal for the others."""
    found = next((each for each in ENCRYPTIONS if each == value), None)
    allowed = listing(AVAILABLE)
    if found in AVAILABLE:
        return found
    if found is not None:
        raise later(found, use=allowed)
    meant = closest(value, AVAILABLE) if isinstance(value, str) else None
    raise refusal("not a known value", allowed=allowed, suggestion=meant)


EncryptionChoice = Annotated[Encryption, BeforeValidator(check_encryption), ENCRYPTION_SCHEMA]
