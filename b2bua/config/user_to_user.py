"""`user_to_user:` of a destination, RFC 7433."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field, WithJsonSchema

from b2bua.config.dialled import HeaderValue
from b2bua.config.presets import CONTEXT
from b2bua.config.section import Section, matching
from b2bua.user_to_user import Encoding, UserToUser

Parameter = Annotated[
    str,
    matching(r"[A-Za-z0-9.!%*_+`'~-]{1,64}", "a token: letters, digits and -.!%*_+`'~"),
    WithJsonSchema({"type": "string", "maxLength": 64, "examples": ["isdn-uui"]}),
]
Discriminator = Annotated[
    str,
    matching("[0-9A-Fa-f]{2}", 'two hexadecimal digits in quotes: "00", "04"'),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{2}$"}),
]


class UserToUserKeys(Section):
    """What the header says and how; a preset beside it gives the keys that are not written."""

    data: Annotated[HeaderValue, Field(min_length=1)] = CONTEXT
    """Text with variables, which `encoding` makes fit for a header."""
    encoding: Encoding = "hex"
    """`hex` (two digits for each octet) or `ascii` (as it is, in quotes where it must)."""
    protocol_discriminator: Discriminator | None = None
    """The octet that ISDN has before the data."""
    purpose: Parameter | None = None
    """The package, `isdn-uui` for what is to cross into ISDN: then at most 128 octets."""
    content: Parameter | None = None
    """What the data is."""

    def over(self, shape: UserToUser | None) -> UserToUser:
        """The header, with `shape` for the keys that are not written."""
        written = {key: value for key in self.model_fields_set if (value := getattr(self, key)) is not None}
        base = shape or UserToUser(self.data, self.encoding)
        return replace(base, **written)
