"""What may be sent as a destination: the keys of the configuration's own model, so that none is missing here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import Field, WithJsonSchema

from b2bua.config import destinations_schema
from b2bua.config.editing import Settings
from b2bua.config.section import NAME_ALLOWED, NAME_PATTERN
from b2bua.config.yaml_tree import Plain

Schema = dict[str, Any]

_SHOWN_ONLY = ("name", "secrets")
"""What answers have beside the settings; sent back with them, it changes nothing."""


def _schema(*, with_name: bool) -> Schema:
    """The JSON Schema of a destination, in one piece: OpenAPI keeps definitions elsewhere."""
    whole = cast(Schema, destinations_schema())
    definitions = whole["$defs"]
    destination = cast(Schema, _in_one_piece(definitions["Destination"], definitions))
    # A password that is there stays when none is sent.
    login = destination["properties"]["auth"]
    login["required"] = ["username"]
    login.pop("oneOf", None)
    name = {"type": "string", "pattern": f"^{NAME_PATTERN}$", "description": f"{NAME_ALLOWED}."}
    destination["properties"]["name"] = name
    destination["properties"]["secrets"] = {
        "type": "object",
        "readOnly": True,
        "description": "Shown only.",
    }
    if with_name:
        destination["required"] = ["name", *destination["required"]]
    destination["examples"] = [_example(with_name=with_name)]
    return destination


def _in_one_piece(value: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_in_one_piece(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        value = {
            **definitions[reference.rpartition("/")[2]],
            **{k: v for k, v in value.items() if k != "$ref"},
        }
    return {key: _in_one_piece(below, definitions) for key, below in value.items()}


def _example(*, with_name: bool) -> Schema:
    name = {"name": "sales"} if with_name else {}
    return {
        **name,
        "description": "Somebody wants to buy",
        "method": "invite",
        "encryption": "udp/rtp",
        "route": ["sip:sales@pbx.example.com", "sip:sales-2@pbx.example.com"],
        "auth": {"username": "acme", "password": "${SALES_SIP_PASSWORD}"},
        "headers": {"X-Reason": "$reason"},
        "ring_timeout": "20s",
    }


NewDestination = Annotated[dict[str, Any], WithJsonSchema(_schema(with_name=True))]
NewSettings = Annotated[dict[str, Any], WithJsonSchema(_schema(with_name=False))]
NameText = Annotated[str, Field(max_length=64)]


def settings_of(body: Mapping[str, Any]) -> Settings:
    """The settings in a body; null is the same as not being there."""
    settings = _without_null({key: value for key, value in body.items() if key not in _SHOWN_ONLY})
    assert isinstance(settings, dict), "made of a mapping"
    return settings


def _without_null(value: Any, levels: int = 64) -> Plain:
    """The value as it is from `levels` below on; what is that deep is refused later."""
    if levels and isinstance(value, dict):
        return {key: _without_null(below, levels - 1) for key, below in value.items() if below is not None}
    return cast(Plain, value)
