"""What pydantic finds wrong with a value, in words of our own: its texts name types of Python, and how it works."""

from __future__ import annotations

import re
from collections.abc import Mapping

_QUOTED = re.compile(r"'([^']*)'")


def choices(context: Mapping[str, object]) -> list[str]:
    """The words of which a value has to be one, by the context of the error; [] for an error of another kind."""
    return _QUOTED.findall(str(context.get("expected", "")))


def in_words(kind: str, context: Mapping[str, object]) -> tuple[str, str | None] | None:
    """What is wrong and what is allowed, of a value that is no choice or out of bounds; None for another `kind`."""
    match kind:
        case "literal_error" | "enum":
            return "not a known value", ", ".join(choices(context))
        case "string_too_short" | "too_short":
            least = context["min_length"]
            return "empty" if least == 1 else f"shorter than {least}{_unit(context)}", None
        case "string_too_long" | "too_long":
            return f"longer than {context['max_length']}{_unit(context)}", None
        case "greater_than_equal":
            return "too small", f"{context['ge']} or more"
        case "less_than_equal":
            return "too large", f"{context['le']} or less"
    return None


def _unit(context: Mapping[str, object]) -> str:
    # Text that a validator of ours has read before is a "Value" to pydantic.
    return " characters" if context.get("field_type", "Value") == "Value" else " entries"
