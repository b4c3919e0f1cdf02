"""What is wrong with a request, where, and what is allowed: without words of Python, or of what was sent."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.routing import APIRoute

from b2bua.config.in_words import choices, in_words
from b2bua.config.judge import keys_at
from b2bua.config.problems import closest, key_text, listing
from b2bua.runtime import PYPY

MAX_FIELD = 200
"""Characters of `field`: names of unknown keys come from the client."""

_OBJECT = "an object, in braces"
_WRONG_KIND = {
    "string_type": "text, in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false, without quotes",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
}
"""What a value of another kind of JSON has to be, by pydantic's name for the error."""


def field_of(problem: Mapping[str, object]) -> str | None:
    """`auth.password`, `route[1]`, `Idempotency-Key`; None for the body as a whole."""
    if problem["type"] == "json_invalid":
        return None
    path = tuple(step for step in _location(problem)[1:] if step != "[key]")
    return key_text(path)[:MAX_FIELD] or None


def message_of(problem: Mapping[str, object], route: object) -> str:
    """What is wrong; `route` is what the request was for."""
    kind, location, facts = str(problem["type"]), _location(problem), problem.get("ctx")
    context: Mapping[str, object] = facts if isinstance(facts, Mapping) else {}
    if kind == "json_invalid":
        at = location[1] if len(location) > 1 else "?"
        # PyPy quotes the octet that it did not expect, even one inside a character: no text, on which format() fails.
        error = "syntax error" if PYPY else str(context.get("error", "syntax error"))
        return f"the body is not JSON: {_lower(error)} at character {at}"
    if kind == "missing":
        return "the body is missing" if location == ("body",) else "it is missing"
    if kind == "extra_forbidden":
        known = _keys_beside(location, route)
        return _parts("unknown key", listing(known), closest(str(location[-1]), known))
    if kind == "refused":
        return _parts(str(problem["msg"]), context.get("allowed"), context.get("suggestion"))
    if kind in _WRONG_KIND:
        wrong = "the body is of the wrong kind" if location == ("body",) else "of the wrong kind"
        return _parts(wrong, _WRONG_KIND[kind], None)
    words = in_words(kind, context)
    if words is None:
        return _lower(str(problem["msg"]))
    message, allowed = words
    if "[key]" in location:
        message = f"a key that is {message}"
    sent = problem.get("input")
    return _parts(message, allowed, closest(sent, choices(context)) if isinstance(sent, str) else None)


def _parts(message: str, allowed: object, suggestion: object) -> str:
    parts = [message]
    parts += [f"allowed: {allowed}"] if allowed else []
    parts += [f"did you mean {suggestion!r}?"] if suggestion else []
    return "; ".join(parts)


def _keys_beside(location: tuple[str | int, ...], route: object) -> list[str]:
    """The keys that the body has where an unknown one stands."""
    body = route.body_field if isinstance(route, APIRoute) else None
    known = [] if body is None else keys_at(body.field_info.annotation, location[1:-1])
    return [key for key in known if key != "password_file"]  # That one is for configurations.


def _location(problem: Mapping[str, object]) -> tuple[str | int, ...]:
    location = problem["loc"]
    assert isinstance(location, tuple), "pydantic's locations are tuples"
    return location


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
