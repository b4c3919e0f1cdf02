"""docs/configuration.md: its full example is true, and it names every key there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from b2bua.config import configuration_schema, destinations_schema
from b2bua.config.class_of_service import parse_class
from b2bua.config.durations import parse_duration
from b2bua.config.yaml_tree import parse_yaml
from tests.support.certificates import Authority
from tests.support.config_files import ConfigFiles

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ENVIRON = {
    "ACME_PASSWORD": "acme-password",
    "GW_PASSWORD": "gw-password",
    "B2BUA_API_KEY": "an-api-key-of-some-length",
    "BILLING_SIP_PASSWORD": "billing-password",
}


def example(name: str) -> str:
    (block,) = re.findall(rf"```yaml\n(# {re.escape(name)}\n.*?)```", PAGE, re.DOTALL)
    return str(block)


def full_example(folder: Path) -> ConfigFiles:
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts/hold.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    certs = folder / "certs"
    if not certs.exists():
        certs.mkdir()
        Authority(certs).issue("b2bua", ["b2bua.example.com"])  # b2bua.pem and b2bua.key
    return ConfigFiles(folder, example("b2bua.yaml"), example("destinations.yaml"))


def test_the_full_example_loads(tmp_path: Path) -> None:
    loaded = full_example(tmp_path).load(ENVIRON)

    assert loaded.advertised_address("10.1.1.1") == "10.0.0.5"
    assert loaded.policy.allows("tel:+1-555-000-1000")
    assert loaded.destinations["billing"].fallback == "front-desk"
    assert [place.method for place in loaded.destinations.values()] == ["invite", "invite", "refer", "bye"]
    assert loaded.hold_music_files() == (tmp_path / "prompts/hold.wav",)
    assert [warning.message for warning in loaded.warnings] == [
        "front-desk is called in clear (udp/rtp), billing with tls/srtp",
    ]


@pytest.mark.parametrize("variable", ENVIRON)
def test_each_secret_of_the_full_example_is_needed_from_the_environment(
    tmp_path: Path, variable: str
) -> None:
    environ = {name: value for name, value in ENVIRON.items() if name != variable}

    messages = [problem.message for problem in full_example(tmp_path).problems(environ)]

    assert f"the environment variable {variable} is not set" in messages


def keys_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for below in schema.values():
            yield from keys_of(below)


def test_every_key_is_explained() -> None:
    keys = {*keys_of(configuration_schema()), *keys_of(destinations_schema())}
    explained = {word for code in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", code)}

    assert keys - explained == set()


def defaults_of(schema: Any) -> Iterator[tuple[str, object]]:
    """Every key that has a default, in any section."""
    for section in (schema, *schema["$defs"].values()):
        for key, value in section.get("properties", {}).items():
            if isinstance(value, dict) and "default" in value:
                yield key, value["default"]


def same(written: str, default: object) -> bool:
    """True when what the page says is what the model has, in whatever spelling."""
    if written == default:
        return True
    value = parse_yaml(written, "").plain()
    if value == default or [value] == default:
        return True
    for parse in (parse_duration, parse_class):
        with suppress(PydanticCustomError):
            return parse(value) == parse(default)
    return False


def test_every_default_is_the_models() -> None:
    defaults: dict[str, list[object]] = {}
    for schema in (configuration_schema(), destinations_schema()):
        for key, default in defaults_of(schema):
            defaults.setdefault(key, []).append(default)
    rows = re.findall(r"^\| `(\w+)` \| `([^`|]+)` \|", PAGE, re.MULTILINE)
    assert len(rows) > 30

    wrong = [
        (key, written, defaults[key])
        for key, written in rows
        if key in defaults and not any(same(written, default) for default in defaults[key])
    ]
    assert wrong == []
