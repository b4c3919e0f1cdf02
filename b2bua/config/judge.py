"""From pydantic's errors to problems with file, line, column, key, what was found and what is allowed."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from b2bua.config.in_words import choices, in_words
from b2bua.config.masking import masked
from b2bua.config.problems import KeyPath, Problem, closest, key_text, listing
from b2bua.config.secrets import is_secret
from b2bua.config.section import keys_of
from b2bua.config.yaml_tree import Node

S = TypeVar("S", bound=BaseModel)

MAX_SHOWN = 60
"""Characters of a value that are shown."""

_URI_PASSWORD = re.compile(r"(:[^:@]*):[^@]*@")
_WRONG_KIND = {
    "string_type": "text, in quotes where YAML would read something else",
    "int_type": "a number without a fraction",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "path_type": "the name of a file",
}


class Judge:
    """Judges parts of one file's tree and collects what is wrong with them.

    `silent` are values already reported. `prefix` is what the names in this file are known as elsewhere:
    the destinations' file is a mapping that `--set` calls `destinations`.
    """

    def __init__(
        self, root: Node, problems: list[Problem], silent: Iterable[KeyPath] = (), prefix: KeyPath = ()
    ) -> None:
        self.root = root
        self._problems = problems
        self._silent = frozenset(silent)
        self._prefix = prefix

    def section(self, model: type[S], path: KeyPath) -> S | None:
        """The part at `path` as a model; None after its problems have been noted.

        At the root other parts stand beside those of `model`; `unknown_keys` looks for those of nobody.
        """
        node = self.root.at(path)
        plain = node.plain() if node is not None and node.value is not None else {}
        if not path and isinstance(plain, dict):
            known = keys_of(model)
            plain = {key: value for key, value in plain.items() if key in known}
        try:
            return model.model_validate(plain)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        self._note(details, model, path)
        return None

    def is_silent(self, path: KeyPath) -> bool:
        """True when the value at `path`, or what it is part of, has been reported already."""
        return any(path[: len(silent)] == silent for silent in self._silent)

    def unknown_keys(self, model: type[BaseModel]) -> None:
        """Note the keys of the file that `model` does not have."""
        if isinstance(self.root.value, dict):
            known = keys_of(model)
            for key in self.root.value:
                if key not in known:
                    self._unknown_key((key,), known)

    def note(
        self,
        path: KeyPath,
        message: str,
        *,
        allowed: str | None = None,
        suggestion: str | None = None,
        show: bool = False,
        at_key: bool = False,
    ) -> None:
        """Note a problem with the value at `path`; `show` quotes the value unless it is secret."""
        path = self._as_written(path)
        if not self.is_silent(path):
            self._problems.append(
                self.problem(path, message, allowed=allowed, suggestion=suggestion, show=show, at_key=at_key)
            )

    def problem(
        self,
        path: KeyPath,
        message: str,
        *,
        allowed: str | None = None,
        suggestion: str | None = None,
        show: bool = False,
        at_key: bool = False,
    ) -> Problem:
        """A problem with the value at `path`, or with its key."""
        position = self.root.position_of_key(path) if at_key else self.root.position_of(path)
        found = self._found(path) if show else None
        return Problem(position, key_text(path), message, found, allowed, suggestion)

    def _note(self, details: list[ErrorDetails], model: type[object], path: KeyPath) -> None:
        for detail in details:
            # A bad key is reported by pydantic below the key, as "[key]".
            location = tuple(step for step in detail["loc"] if step != "[key]")
            where = self._as_written((*path, *location))
            kind, context = detail["type"], detail.get("ctx", {})
            if kind == "too_short" and any(_is_inside(other["loc"], detail["loc"]) for other in details):
                continue  # pydantic counts only the good items, and the bad ones are reported
            at_key = len(location) < len(detail["loc"])
            if kind == "extra_forbidden":
                self._unknown_key(where, keys_at(model, location[:-1]))
            elif kind == "missing":
                empty = self._value(where[:-1]) is None
                self.note(where[:-1], f"the key {where[-1]!r} is missing", at_key=empty)
            elif kind == "refused":
                self._note_refusal(context, where, at_key)
            else:
                self._note_builtin(kind, context, detail["msg"], where)

    def _note_refusal(self, context: Mapping[str, str | None], where: KeyPath, at_key: bool) -> None:
        """The errors of our own types (`section.refusal`)."""
        node = self.root.at(where)
        # A suggestion is made from the value: none where that is secret or came from the environment.
        open_value = node is not None and "${" not in node.text and not is_secret(where)
        self.note(
            where,
            context["message"] or "refused",
            allowed=context["allowed"],
            suggestion=context["suggestion"] if open_value or at_key else None,
            show=not at_key and node is not None and not isinstance(node.value, dict),
            at_key=at_key,
        )

    def _note_builtin(self, kind: str, context: Mapping[str, object], text: str, where: KeyPath) -> None:
        """The errors of pydantic's own types."""
        if kind in _WRONG_KIND:
            # Text in the place of a mapping, `auth: secret`, may be a secret of the mapping.
            value = self._value(where)
            show = _WRONG_KIND[kind] != "a mapping" or not isinstance(value, str)
            number = kind == "string_type" and isinstance(value, int | float) and not is_secret(where)
            suggestion = f'"{node.text}"' if number and (node := self.root.at(where)) is not None else None
            self.note(where, "of the wrong kind", allowed=_WRONG_KIND[kind], suggestion=suggestion, show=show)
        elif (words := in_words(kind, context)) is not None:
            message, allowed = words
            node = self.root.at(where)
            suggestion = closest(node.text, choices(context)) if node is not None else None
            self.note(where, message, allowed=allowed, suggestion=suggestion, show=allowed is not None)
        else:
            self.note(where, text[:1].lower() + text[1:], show=True)

    def _unknown_key(self, path: KeyPath, known: Iterable[str]) -> None:
        known = list(known)
        suggestion = closest(str(path[-1]), known)
        message = "unknown key"
        if self._prefix and len(path) == 2 and isinstance(self._value(path), dict) and suggestion is None:
            message = "unknown key, unless it is a destination: then it begins its line"
        self.note(path, message, allowed=listing(known), suggestion=suggestion, at_key=True)

    def _value(self, path: KeyPath) -> object:
        node = self.root.at(path)
        return node.value if node is not None else None

    def _as_written(self, path: KeyPath) -> KeyPath:
        """The path up to where one value stands in the place of a list or a mapping."""
        for length in range(1, len(path)):
            around = self._value(path[:length])
            if around is None:
                break
            if not isinstance(around, list | dict):
                return path[:length]
        return path

    def _found(self, path: KeyPath) -> str | None:
        """What stands at `path`, as written: references to secrets are shown, never what they stand for."""
        node = self.root.at(path)
        if node is None:
            return None
        if isinstance(node.value, list | dict):
            return "a list" if isinstance(node.value, list) else "a mapping"
        if node.value is None:
            return "nothing"
        if is_secret(path):
            return "a value that is not shown"
        text = _URI_PASSWORD.sub(r"\1:…@", masked(node.text))
        shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
        return repr(shown) if isinstance(node.value, str) else f"the {_kind(node.value)} {shown}"


def _is_inside(path: KeyPath, around: KeyPath) -> bool:
    return len(path) > len(around) and path[: len(around)] == around


def _kind(value: object) -> str:
    return "boolean" if isinstance(value, bool) else "number"


def keys_at(annotation: object, location: KeyPath) -> list[str]:
    """The keys of the model that stands at `location` inside `annotation`; [] when none does."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = keys_of(annotation)
        if not location:
            # What stands in for `password` and is gone before pydantic looks.
            return [*fields, "password_file"] if "password" in fields else list(fields)
        field = fields.get(str(location[0]))
        return keys_at(field.annotation, location[1:]) if field is not None else []
    arguments = typing.get_args(annotation)
    if not arguments:
        return []
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return keys_at(arguments[0], location)
    if origin in (typing.Union, types.UnionType):
        return [key for argument in arguments for key in keys_at(argument, location)]
    return keys_at(arguments[0] if origin is tuple else arguments[-1], location[1:])
