"""Routes to an assistant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from b2bua.config import capacity, configuration_schema
from tests.support.handoff_config import ASSISTANT, INVITE, handoff_files, with_assistant


def test_an_assistant_may_be_a_uri_alone(tmp_path: Path) -> None:
    configuration = handoff_files(tmp_path).load()
    (route,) = configuration.routes

    assistant = configuration.assistant_for(route)

    assert assistant is not None
    assert assistant.route == ("sip:bot@ai.example",)
    assert (assistant.name, assistant.method, assistant.encryption) == ("assistant", "invite", "udp/rtp")
    assert (assistant.auth, assistant.from_user, dict(assistant.headers)) == (None, None, {})
    assert (route.destination, route.on_assistant_lost, route.redial_assistant, route.after_agent) == (
        None,
        "hangup",
        False,
        "hangup",
    )
    assert configuration.warnings == ()


def test_an_assistant_has_the_keys_of_what_is_dialled(tmp_path: Path) -> None:
    main = with_assistant(
        "assistant: {route: [sip:a@ai.example, sip:b@ai.example], encryption: udp/rtp, from_user: '12',"
        " auth: {username: bot, password: '${P}'}, headers: {X-Reason: $reason}, ring_timeout: 5s},"
        " on_assistant_lost: default_destination, redial_assistant: true, after_agent: assistant"
    )
    configuration = handoff_files(tmp_path, main=main).load({"P": "bot-secret"})
    (route,) = configuration.routes

    assert route.assistant is not None
    assert route.assistant.route == ("sip:a@ai.example", "sip:b@ai.example")
    assert route.assistant.auth is not None
    assert route.assistant.auth.password.get_secret_value() == "bot-secret"
    assert dict(route.assistant.headers) == {"X-Reason": "$reason"}
    timers = configuration.timers_for(route.assistant)
    assert (timers.ring_timeout, timers.connect_timeout) == (5, 4)
    assert (route.on_assistant_lost, route.redial_assistant, route.after_agent) == (
        "default_destination",
        True,
        "assistant",
    )
    assert "bot-secret" not in repr(configuration)


def test_an_assistant_at_a_number_is_dialled_as_its_trunk_says(tmp_path: Path) -> None:
    main = with_assistant("assistant: {route: '+1 555 0001', trunk: gateway}")
    assistant = handoff_files(tmp_path, main=main).load().routes[0].assistant

    assert assistant is not None
    assert assistant.route == ("sip:+15550001@gw.example:5080",)
    assert assistant.auth is not None
    assert (assistant.auth.username, assistant.from_user) == ("us", "4711")


def test_a_destination_that_is_named_assistant_keeps_its_own_timers(tmp_path: Path) -> None:
    named = INVITE.replace("x:", "assistant:", 1) + "  ring_timeout: 7s\n"
    configuration = handoff_files(tmp_path, named).load()
    (route,) = configuration.routes

    assert route.assistant is not None
    assert configuration.timers_for(route.assistant).ring_timeout == 30
    assert configuration.timers_for(configuration.destinations["assistant"]).ring_timeout == 7


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "assistant: sip:bot@ai.example, destination: desk",
            "9:5: routes[0]: both a destination and an assistant; allowed: one of the two",
        ),
        ("to: x", "9:5: routes[0]: the key 'destination' or 'assistant' is missing"),
        (
            "destination: desk, redial_assistant: true",
            "9:55: routes[0].redial_assistant: of a route without an assistant; "
            "found the boolean true; allowed: with assistant",
        ),
        (
            "destination: desk, on_assistant_lost: hangup",
            "routes[0].on_assistant_lost: of a route without an assistant",
        ),
        ("destination: desk, after_agent: hangup", "routes[0].after_agent: of a route without an assistant"),
        (
            "assistant: sip:bot@ai.example, on_assistant_lost: hang_up",
            "routes[0].on_assistant_lost: not a known value; found 'hang_up'; "
            "allowed: hangup, default_destination; did you mean 'hangup'?",
        ),
        (
            "assistant: sip:bot@ai.example, redial_assistant: 'yes'",
            "routes[0].redial_assistant: of the wrong kind; found 'yes'; allowed: true or false",
        ),
        (
            "assistant: bot@ai.example",
            "9:29: routes[0].assistant: not a URI; found 'bot@ai.example'; allowed: sip:user@host, or a number "
            "with `trunk: <name of a trunk with outbound>`; did you mean 'sip:bot@ai.example'?",
        ),
        (
            "assistant: 5551234",
            "9:29: routes[0].assistant: of the wrong kind; found the number 5551234; allowed: text, in quotes",
        ),
        (
            "assistant: '5551234'",
            "9:29: routes[0].assistant: a bare number says not where to dial it; found '5551234'",
        ),
        (
            "assistant: [sip:a@b]",
            "routes[0].assistant: of the wrong kind; found a list; allowed: a mapping",
        ),
        ("assistant: {encryption: udp/rtp}", "9:29: routes[0].assistant: the key 'route' is missing"),
        ("assistant: {route: sips:a@b}", "routes[0].assistant.route: sips: needs TLS"),
        (
            "assistant: {route: 'sip:a@b', encryption: tls/srtp}",
            "routes[0].assistant.route: needs a listener for tls",
        ),
        (
            "assistant: {route: 'sip:a@b', encryption: udp}",
            "routes[0].assistant.encryption: not a known value; found 'udp'; "
            "allowed: tls/srtp, tls/srtp-preferred, tls/rtp, udp/rtp",
        ),
        (
            "assistant: {route: 'sip:a@b', time_limit: 5s}",
            "9:48: routes[0].assistant.time_limit: unknown key; allowed: 100rel, auth, auth_timeout, connect_timeout",
        ),
        (
            "assistant: {route: '555', trunk: sbc}",
            "routes[0].assistant.trunk: a trunk without outbound; found 'sbc'; allowed: gateway",
        ),
        (
            "assistant: {route: '555', trunk: gatewya}",
            "routes[0].assistant.trunk: no such trunk; found 'gatewya'",
        ),
        (
            "assistant: 'sip:a@b;transport=tcp'",
            "routes[0].assistant: needs a listener for tcp; found 'sip:a@b;transport=tcp'",
        ),
    ],
)
def test_wrong_assistants(tmp_path: Path, written: str, problem: str) -> None:
    (text,) = handoff_files(tmp_path, main=with_assistant(written)).texts()

    assert text.startswith("b2bua.yaml:9:")
    assert problem in text


def test_a_password_in_the_uri_of_an_assistant_is_not_shown(tmp_path: Path) -> None:
    (text,) = handoff_files(tmp_path, main=with_assistant("assistant: 'sip:bot:hunter2@ai'")).texts()

    assert "routes[0].assistant: a password in a URI is sent and logged in clear" in text
    assert "hunter2" not in text


def test_a_call_with_an_assistant_needs_room_for_three_legs(tmp_path: Path) -> None:
    configuration = handoff_files(tmp_path, main=ASSISTANT + "media: {ports: 20000-20599}\n").load()

    assert capacity(configuration, open_files=100_000).calls == 100
    assert capacity(configuration, open_files=64 + 60).calls == 10


def test_an_editor_takes_a_uri_or_a_mapping_for_an_assistant() -> None:
    schema: Any = configuration_schema()
    assistant = schema["$defs"]["Route"]["properties"]["assistant"]

    assert [next(iter(option)) for option in assistant["anyOf"]] == ["type", "$ref"]
