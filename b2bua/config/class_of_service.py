"""`dscp:` the class of service that our packets ask the network for (RFC 2474), by number or by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from b2bua.config.section import refusal

_NAMES = {
    "EF": 46,
    **{f"CS{number}": 8 * number for number in range(8)},
    **{f"AF{group}{drop}": 8 * group + 2 * drop for group in range(1, 5) for drop in range(1, 4)},
}
"""As RFC 4594 section 1.4.4 has them."""

_ALLOWED = "0 to 63, or EF, CS0 to CS7, AF11 to AF43"


def parse_class(value: object) -> int:
    """The code point of `46` or `EF`. Raises a refusal for anything else."""
    if isinstance(value, str):
        number = int(value) if value.isascii() and value.isdigit() else _NAMES.get(value.upper(), -1)
    else:
        number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if not 0 <= number <= 63:
        raise refusal("not a class of service", allowed=_ALLOWED)
    return number


ClassOfService = Annotated[
    int,
    BeforeValidator(parse_class),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 63}, {"type": "string", "enum": [*_NAMES]}]}
    ),
]
"""A differentiated services code point, 0..63."""
