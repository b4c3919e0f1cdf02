"""The base of every part of the configuration, and how its validators say no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

K = TypeVar("K")
V = TypeVar("V")


class Section(BaseModel):
    """A part of the configuration: frozen, with the keys it knows and no others."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, without what was worked out of the values that it had before: its cached properties."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a part as they are written: `100rel` is no name in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


class NamedSection(Section):
    """A part that is the value of a name."""

    _name: str = PrivateAttr(default="")

    @cached_property
    def name(self) -> str:
        """Its key in the file."""
        # Read a dozen times in each call, and a private attribute of pydantic's costs two microseconds each time.
        return self._name

    def named(self, name: str) -> Self:
        """A copy that knows its name."""
        copy = self.model_copy()
        copy._name = name
        return copy


def refusal(
    message: str, *, allowed: str | None = None, suggestion: str | None = None
) -> PydanticCustomError:
    """The error a validator raises. `message` says what is wrong and never quotes the value."""
    context = {"message": message, "allowed": allowed, "suggestion": suggestion}
    return PydanticCustomError("refused", "{message}", context)


def _freeze(value: Mapping[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(value))


FrozenMapping = Annotated[Mapping[K, V], AfterValidator(_freeze)]
"""A mapping that cannot be changed."""


def matching(pattern: str, allowed: str) -> AfterValidator:
    """A validator for text that matches `pattern` as a whole; `allowed` says so in words."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise refusal("not allowed characters, or too long", allowed=allowed)
        return value

    return AfterValidator(check)


def one_or_list(written: object = str | list[str]) -> BeforeValidator:
    """A validator for lists of texts, one of which may stand alone; `written` is the type for editors."""

    def listed(value: object) -> object:
        return [value] if isinstance(value, str | int | float) else value

    return BeforeValidator(listed, json_schema_input_type=written)


def text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    """What an editor is told about such a text."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


NAME_PATTERN = "[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
NAME_ALLOWED = "up to 64 letters, digits, '-' and '_', not '-' at the beginning"

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Name = Annotated[
    str,
    matching(NAME_PATTERN, NAME_ALLOWED),
    text_schema(f"^{NAME_PATTERN}$", "front-desk"),
]
"""Names of trunks and destinations; they stand in URIs, metrics and `--set` paths."""
