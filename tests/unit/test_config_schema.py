"""The JSON Schemas that editors complete from."""

from __future__ import annotations

import json
import re
from typing import Any

from b2bua.config import configuration_schema, destinations_schema


def test_the_schemas_are_json_without_what_only_python_knows() -> None:
    for schema in (configuration_schema(), destinations_schema()):
        text = json.dumps(schema)
        assert '"null"' not in text
        assert json.loads(text)["$schema"].startswith("https://json-schema.org/")


def test_unknown_keys_are_marked_by_the_editor() -> None:
    schema: Any = configuration_schema()

    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"sip", "destinations"}
    assert schema["$defs"]["Timers"]["additionalProperties"] is False
    assert schema["$defs"]["Sip"]["properties"]["listen"]["description"]


def test_an_editor_can_explain_every_key() -> None:
    for schema in (configuration_schema(), destinations_schema()):
        of_sections: Any = [schema, *schema["$defs"].values()]  # type: ignore[union-attr]
        for section in of_sections:
            for key, value in section.get("properties", {}).items():
                # What is a section of its own is explained there.
                assert value.get("description") or "$ref" in value, key


def test_durations_are_texts_with_a_pattern() -> None:
    schema: Any = configuration_schema()
    ring = schema["$defs"]["Timers"]["properties"]["ring_timeout"]

    assert ring["default"] == "30s"
    people: Any = destinations_schema()
    assert people["$defs"]["Destination"]["properties"]["accept_timeout"]["default"] == "20s"
    assert re.search(ring["pattern"], "500ms")
    assert not re.search(ring["pattern"], "soon")


def test_a_destination_needs_its_route_and_one_source_for_its_password() -> None:
    schema: Any = destinations_schema()
    definitions = schema["$defs"]

    by_invite = definitions["Destination"]["allOf"][0]
    assert by_invite["if"]["properties"]["method"]["const"] == "invite"
    assert by_invite["then"]["required"] == ["route"]
    assert {option["type"] for option in definitions["Destination"]["properties"]["route"]["anyOf"]} == {
        "string",
        "array",
    }
    assert "password_file" in definitions["Auth"]["properties"]
    assert [option["required"] for option in definitions["Auth"]["oneOf"]] == [
        ["password"],
        ["password_file"],
    ]
