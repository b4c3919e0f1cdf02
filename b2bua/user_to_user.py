"""User-to-User (RFC 7433): what goes along with a call for whoever takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sip_stack.message import is_token, quote

Encoding = Literal["hex", "ascii"]

ISDN = "isdn-uui"
"""The package of RFC 7434: what is to cross into ISDN."""
MAX_ISDN = 128
"""Octets that ISDN carries beside the protocol discriminator (RFC 7434)."""


@dataclass(frozen=True, slots=True)
class UserToUser:
    """One User-to-User header before its variables are filled in; parameters that are empty are not written."""

    data: str
    """Text with variables."""
    encoding: Encoding = "hex"
    protocol_discriminator: str = ""
    """Two hexadecimal digits that stand before those of the data."""
    purpose: str = ""
    """The package (RFC 7433 section 4.1); `isdn-uui` is that of RFC 7434."""
    content: str = ""

    def written(self, data: str) -> tuple[str, str | None]:
        """The value of the header for `data`, its variables filled in; and why it must be left out, if it must."""
        octets = data.encode("utf-8", "surrogateescape")
        if self.purpose == ISDN and len(octets) > MAX_ISDN:
            return "", f"longer than the {MAX_ISDN} octets of {ISDN}"
        if self.encoding == "hex":
            uui = self.protocol_discriminator + octets.hex()
        elif data.isascii():
            uui = data if is_token(data) else quote(data)
        else:
            return "", "not ASCII"
        parameters = {"encoding": self.encoding, "purpose": self.purpose, "content": self.content}
        return ";".join([uui, *(f"{key}={value}" for key, value in parameters.items() if value)]), None
