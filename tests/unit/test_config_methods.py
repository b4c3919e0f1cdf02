"""What destinations of each method may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from b2bua.config import HoldMusic, destinations_schema
from tests.support.handoff_config import ASSISTANT, BYE, INVITE, REFER, handoff_files


def test_an_invite_says_what_the_caller_hears_and_what_follows(tmp_path: Path) -> None:
    people = INVITE + (
        "  ring: together\n  hold_music: hold.wav\n  release_assistant: before_dial\n  wait_for_silence: 0s\n"
        "  hangup_on_star: true\n  after_agent: assistant\n  time_limit: 10m\n"
    )
    configuration = handoff_files(tmp_path, people).load()
    place, desk = configuration.destinations["x"], configuration.destinations["desk"]

    assert place.hold_music == HoldMusic("file", tmp_path / "hold.wav")
    assert (place.ring, place.release_assistant, place.wait_for_silence) == ("together", "before_dial", 0)
    assert (place.hangup_on_star, place.after_agent) == (True, "assistant")
    assert configuration.timers_for(place).time_limit == 600
    assert (desk.ring, desk.hold_music, desk.release_assistant) == ("in_order", None, "on_answer")
    assert (desk.wait_for_silence, desk.hangup_on_star, desk.after_agent) == (None, False, None)
    assert configuration.warnings == ()


def test_a_refer_leaves_dialling_to_the_sbc(tmp_path: Path) -> None:
    people = REFER + "  headers: {X-Reason: $reason}\n  wait_for_silence: 10s\n  fallback: desk\n"
    configuration = handoff_files(tmp_path, people).load()
    place = configuration.destinations["x"]

    assert (place.method, place.route, place.encryption) == ("refer", ("sip:operator@sbc.example.com",), "")
    assert (place.refer_headers, place.on_refer_timeout, place.refer_fallback) == ("refer_to", "fail", None)
    assert not place.dials
    assert configuration.timers_for(place).refer_timeout == 30


def test_a_refer_may_have_its_own_timeout_and_say_what_it_means(tmp_path: Path) -> None:
    main = ASSISTANT + "timers: {refer_timeout: 12s}\n"
    people = REFER + "  on_refer_timeout: assume_done\n  refer_headers: both\n"
    configuration = handoff_files(tmp_path, people, main).load()
    place = configuration.destinations["x"]

    assert (place.on_refer_timeout, place.refer_headers) == ("assume_done", "both")
    assert configuration.timers_for(place).refer_timeout == 12
    own = handoff_files(tmp_path, people + "  refer_timeout: 3s\n", main).load()
    assert own.timers_for(own.destinations["x"]).refer_timeout == 3


def test_a_refer_that_may_become_an_invite_has_the_keys_of_both(tmp_path: Path) -> None:
    people = REFER + (
        "  refer_fallback: invite\n  encryption: udp/rtp\n  auth: {username: a, password: b}\n"
        "  hold_music: ringback\n  ring_timeout: 9s\n  refer_timeout: 3s\n"
    )
    place = handoff_files(tmp_path, people).load().destinations["x"]

    assert place.dials
    assert (place.method, place.refer_fallback, place.encryption) == ("refer", "invite", "udp/rtp")
    assert place.hold_music == HoldMusic("ringback")


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("sips:a@b.example", "sips:a@b.example"),
        ("sip:a@b.example;transport=tls", "sip:a@b.example;transport=tls"),
        ("sip:a@b.example;transport=tcp", "sip:a@b.example;transport=tcp"),
        ("'tel:+1-555-0001'", "tel:+1-555-0001"),
        ("'+1 555 0001'\n  trunk: gateway", "sip:+15550001@gw.example:5080"),
        ("'tel:+1-555-0001'\n  trunk: gateway", "sip:+15550001@gw.example:5080"),
    ],
)
def test_what_a_caller_may_be_referred_to(tmp_path: Path, written: str, target: str) -> None:
    people = REFER.replace("sip:operator@sbc.example.com", written)
    place = handoff_files(tmp_path, people).load().destinations["x"]

    assert place.route == (target,)
    assert (place.auth, place.from_user) == (None, None)


def test_a_bye_has_headers_and_no_route(tmp_path: Path) -> None:
    place = (
        handoff_files(tmp_path, BYE + "  headers: {X-Destination: $reason}\n  wait_for_silence: 2s\n")
        .load()
        .destinations["x"]
    )

    assert (place.method, place.route, place.encryption, place.dials) == ("bye", (), "", False)
    assert dict(place.headers) == {"X-Destination": "$reason"}
    assert place.wait_for_silence == 2


@pytest.mark.parametrize(
    ("place", "lines", "problem"),
    [
        (
            REFER,
            "encryption: udp/rtp",
            "9:3: x.encryption: not a key of method refer: the SBC decides; "
            "allowed: with method invite, or `refer_fallback: invite` beside it",
        ),
        (
            BYE,
            "encryption: tls/srtp",
            "8:3: x.encryption: not a key of method bye: the SBC decides; allowed: with method invite",
        ),
        (
            BYE,
            "route: sip:a@b",
            "8:3: x.route: not a key of method bye: the SBC takes the caller back; "
            "allowed: with method invite or refer",
        ),
        (BYE, "trunk: gateway", "x.trunk: not a key of method bye: the SBC takes the caller back"),
        (BYE, "fallback: desk", "x.fallback: not a key of method bye: nothing can follow a BYE"),
        (BYE, "refer_timeout: 5s", "x.refer_timeout: not a key of method bye; allowed: with method refer"),
        (
            BYE,
            "hold_music: nothing.wav",
            "x.hold_music: not a key of method bye; allowed: with method invite",
        ),
        (BYE, "refer_fallback: invite", "x.refer_fallback: not a key of method bye"),
        (
            INVITE,
            "refer_headers: both",
            "10:3: x.refer_headers: not a key of method invite; allowed: with method refer",
        ),
        (INVITE, "on_refer_timeout: fail", "x.on_refer_timeout: not a key of method invite"),
        (INVITE, "refer_fallback: invite", "x.refer_fallback: not a key of method invite"),
        (REFER, "hold_music: nothing.wav", "x.hold_music: not a key of method refer"),
        (REFER, "release_assistant: on_start", "x.release_assistant: not a key of method refer"),
        (REFER, "ring: together", "x.ring: not a key of method refer"),
        (REFER, "hangup_on_star: true", "x.hangup_on_star: not a key of method refer"),
        (REFER, "after_agent: hangup", "x.after_agent: not a key of method refer"),
        (REFER, "auth: {username: a, password: b}", "x.auth: not a key of method refer"),
        (REFER, "from_user: a", "x.from_user: not a key of method refer"),
        (REFER, "ring_timeout: 5s", "x.ring_timeout: not a key of method refer"),
        (REFER, "time_limit: 5s", "x.time_limit: not a key of method refer"),
    ],
)
def test_keys_of_another_method(tmp_path: Path, place: str, lines: str, problem: str) -> None:
    (text,) = handoff_files(tmp_path, f"{place}  {lines}\n").texts()

    assert problem in text


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("x:\n  method: refer\n", "destinations.yaml:7:3: x: the key 'route' is missing"),
        ("x:\n  method: invite\n  encryption: udp/rtp\n", "7:3: x: the key 'route' is missing"),
        (REFER + "  refer_fallback: invite\n", "x.route: needs a listener for tls"),
        (
            REFER + "  refer_fallback: dial\n",
            "x.refer_fallback: not a known value; found 'dial'; allowed: invite",
        ),
        (
            REFER + "  refer_headers: uri\n",
            "not a known value; found 'uri'; allowed: refer_to, request, both",
        ),
        (
            REFER + "  on_refer_timeout: assume\n",
            "not a known value; found 'assume'; allowed: assume_done, fail; did you mean 'assume_done'?",
        ),
        (REFER + "  refer_timeout: 0\n", "x.refer_timeout: out of range"),
        (
            "x:\n  method: refer\n  route: [sip:a@b, sip:c@d]\n",
            "8:10: x.route: more than one URI with method refer; found a list; "
            "allowed: one; `fallback` names what follows",
        ),
        ("x:\n  method: refer\n  route: []\n", "8:10: x.route: empty"),
        (
            "x:\n  method: refer\n  route: '5551234'\n",
            "8:10: x.route: a bare number says not where to dial it; found '5551234'; "
            "allowed: sip:user@host, tel:+15550001000, or `trunk: <name of a trunk with outbound>` beside it",
        ),
        ("x:\n  method: refer\n  route: sip:host\n", "x.route: a URI without a user"),
        ("x:\n  method: refer\n  route: 'sip:a@b?X-A=1'\n", "x.route: headers in a URI"),
        ("x:\n  method: refer\n  route: http://a\n", "x.route: not a URI that can be dialled"),
        (
            "x:\n  method: refer\n  route: sips:a@b\n  refer_fallback: invite\n  encryption: udp/rtp\n",
            "x.route: sips: needs TLS",
        ),
        (
            "x:\n  method: refer\n  route: 'tel:+1555'\n  refer_fallback: invite\n  encryption: udp/rtp\n",
            "x.route: a bare number says not where to dial it",
        ),
        (INVITE + "  ring: all\n", "x.ring: not a known value; found 'all'; allowed: in_order, together"),
        (
            INVITE + "  release_assistant: on_ring\n",
            "x.release_assistant: not a known value; found 'on_ring'; allowed: on_answer, on_start, before_dial",
        ),
        (
            INVITE + "  wait_for_silence: 11s\n",
            "10:21: x.wait_for_silence: out of range; found '11s'; allowed: 0 to 10s",
        ),
        (
            INVITE + "  hangup_on_star: '*'\n",
            "x.hangup_on_star: of the wrong kind; found '*'; allowed: true or false",
        ),
        (
            INVITE + "  after_agent: bye\n",
            "x.after_agent: not a known value; found 'bye'; allowed: hangup, assistant",
        ),
        (INVITE + "  redial_assistant: true\n", "10:3: x.redial_assistant: unknown key"),
        (
            BYE.replace("bye", "bey"),
            "7:11: x.method: not a known value; found 'bey'; allowed: refer, invite, bye",
        ),
    ],
)
def test_wrong_values_of_each_method(tmp_path: Path, place: str, problem: str) -> None:
    (text,) = handoff_files(tmp_path, place).texts()

    assert problem in text


def test_an_editor_marks_the_keys_of_another_method() -> None:
    schema: Any = destinations_schema()
    of_invite, of_refer, of_bye = (rule["then"] for rule in schema["$defs"]["Destination"]["allOf"])

    assert of_invite["properties"]["refer_headers"] is False
    assert of_refer["if"] == {"required": ["refer_fallback"]}
    assert of_refer["else"]["properties"]["encryption"] is False
    assert "refer_timeout" not in of_refer["else"]["properties"]
    assert of_bye["properties"]["route"] is False
    assert "headers" not in of_bye["properties"]
