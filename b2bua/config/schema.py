"""JSON Schemas of the two files, for editors. They describe what may be written, not what becomes of it."""

from __future__ import annotations

from typing import cast

from b2bua.config.durations import PATTERN, format_duration
from b2bua.config.file_models import ConfigurationFile, DestinationsFile

Json = dict[str, "Json"] | list["Json"] | str | float | None
JsonSchema = dict[str, Json]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL: Json = {"type": "null"}


def configuration_schema() -> JsonSchema:
    """The JSON Schema of the main file."""
    return _finish(cast(JsonSchema, ConfigurationFile.model_json_schema()), "b2bua configuration")


def destinations_schema() -> JsonSchema:
    """The JSON Schema of the destinations' file."""
    return _finish(cast(JsonSchema, DestinationsFile.model_json_schema()), "b2bua destinations")


def _finish(schema: JsonSchema, title: str) -> JsonSchema:
    return {"$schema": _DIALECT, "title": title, **cast(JsonSchema, _tidy(schema))}


def _tidy(schema: Json) -> Json:
    """Without what no author needs: titles, null and [] for keys left out, defaults of whole sections."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied: JsonSchema = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            # The keys below are names that people write, such as `default`.
            tidied[key] = {name: _tidy(below) for name, below in value.items()}
        elif key in ("title", "propertyNames"):
            continue
        elif key == "anyOf" and isinstance(value, list) and _NULL in value:
            tidied.update(cast(JsonSchema, _only_other(value)))
        elif key == "default" and schema.get("pattern") == PATTERN and isinstance(value, float):
            # Pydantic tells the default as it is kept, in seconds.
            tidied[key] = format_duration(value)
        elif key != "default" or not (value in (None, []) or isinstance(value, dict)):
            tidied[key] = _tidy(value)
    return tidied


def _only_other(alternatives: list[Json]) -> Json:
    others = [_tidy(alternative) for alternative in alternatives if alternative != _NULL]
    return others[0] if len(others) == 1 else {"anyOf": others}
