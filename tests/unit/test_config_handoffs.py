"""Hold music, and how destinations, routes and trunks fit together for handoffs."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config import parse_hold_music
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.handoff_config import ASSISTANT, BYE, INVITE, REFER, WAV, handoff_files, with_assistant


@pytest.mark.parametrize("word", ["ringback", "early_media", "silence"])
def test_hold_music_may_be_a_word(tmp_path: Path, word: str) -> None:
    configuration = handoff_files(tmp_path, f"{INVITE}  hold_music: {word}\n").load()

    assert configuration.destinations["x"].hold_music == parse_hold_music(word)
    assert str(configuration.destinations["x"].hold_music) == word
    assert configuration.hold_music_files() == ()


def test_files_of_hold_music_are_beside_the_file_that_names_them_and_listed_once(tmp_path: Path) -> None:
    (tmp_path / "people/prompts").mkdir(parents=True)
    people = (
        INVITE
        + "  hold_music: prompts/a.wav\n"
        + INVITE.replace("x:", "y:")
        + "  hold_music: prompts/a.wav\n"
    )
    both = handoff_files(tmp_path, people, ASSISTANT.replace("destinations.yaml", "people/all.yaml"))
    both.destinations.rename(tmp_path / "people/all.yaml")
    (tmp_path / "people/prompts/a.wav").write_bytes(WAV)

    configuration = both.load(overrides=[f"destinations.desk.hold_music={tmp_path}/hold.wav"])

    assert configuration.hold_music_files() == (
        tmp_path / "hold.wav",
        tmp_path / "people/prompts/a.wav",
    )


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "nothing.wav",
            "cannot be read: No such file or directory; found 'nothing.wav'; allowed: the name of a",
        ),
        (
            "rinback",
            "cannot be read: No such file or directory; found 'rinback'; allowed: the name of a WAV file, ",
        ),
        ("rinback", "ringback, early_media or silence; did you mean 'ringback'?"),
        (".", "cannot be read: not a file"),
        ("destinations.yaml", "not a WAV file: no RIFF/WAVE header; found 'destinations.yaml'"),
        ("short.wav", "not a WAV file: no RIFF/WAVE header"),
        ("''", "not hold music; found ''; allowed: the name of a WAV file, ringback, early_media or silence"),
        ('"a\\0b"', "not hold music"),
        ("5", "not hold music; found the number 5"),
        ("${NOWHERE}/a.wav", "the environment variable NOWHERE is not set"),
    ],
)
def test_hold_music_that_is_none(tmp_path: Path, written: str, problem: str) -> None:
    (tmp_path / "short.wav").write_bytes(WAV[:11])

    (text,) = handoff_files(tmp_path, f"{INVITE}  hold_music: {written}\n").texts()

    assert text.startswith("destinations.yaml:10:15: x.hold_music: ")
    assert problem in text


def test_a_new_call_is_answered_by_method_invite_only(tmp_path: Path) -> None:
    assert handoff_files(tmp_path, REFER, with_assistant("destination: x")).texts() == [
        "b2bua.yaml:9:31: routes[0].destination: a new call needs method invite, and it has method refer; "
        "found 'x'; allowed: desk"
    ]


def test_so_are_the_fallbacks_of_a_new_call(tmp_path: Path) -> None:
    people = f"  fallback: other\n{INVITE.replace('x:', 'other:', 1)}  fallback: x\n{BYE}"

    assert handoff_files(tmp_path, people, with_assistant("destination: desk")).texts() == [
        "b2bua.yaml:9:31: routes[0].destination: a new call needs method invite, and its fallback x has method bye; "
        "found 'desk'; allowed: desk, other"
    ]


@pytest.mark.parametrize("method", [REFER, BYE])
def test_a_handoff_may_fall_back_to_any_method(tmp_path: Path, method: str) -> None:
    by_refer = REFER.replace("x:", "first:", 1) + "  fallback: x\n"

    assert handoff_files(tmp_path, by_refer + method).load().destinations["first"].fallback == "x"


def test_a_method_that_no_trunk_with_an_assistant_permits(tmp_path: Path) -> None:
    main = ASSISTANT.replace(
        "{addresses: [192.0.2.0/24]}", "{addresses: [192.0.2.0/24]}\n    allowed_methods: bye"
    )
    (first, second) = handoff_files(tmp_path, REFER, main).load().warnings

    assert str(first).endswith(
        "destinations.yaml:3:11: desk.method: no handoff to desk: trunk sbc does not permit method invite"
    )
    assert str(second).endswith(
        "destinations.yaml:7:11: x.method: no handoff to x: trunk sbc does not permit method refer"
    )


def test_a_method_that_one_of_the_trunks_permits_is_fine(tmp_path: Path) -> None:
    others = (
        "  one: {accept: {addresses: 10.0.0.1}, allowed_methods: [invite]}\n"
        "  two: {accept: {addresses: 10.0.0.2}, allowed_methods: [invite, bye]}\n"
    )
    main = ASSISTANT.replace("{trunk: sbc, ", "{").replace("  sbc:", f"{others}  sbc:")
    narrow = main.replace("[192.0.2.0/24]}", "[192.0.2.0/24]}\n    allowed_methods: [invite]")

    assert handoff_files(tmp_path, REFER, main).load().warnings == ()
    assert handoff_files(tmp_path, BYE, narrow).load().warnings == ()
    (warning,) = handoff_files(tmp_path, REFER, narrow).load().warnings
    assert warning.message == "no handoff to x: the trunks one, sbc, two do not permit method refer"


def test_destinations_of_new_calls_and_trunks_without_assistants_need_no_permission(tmp_path: Path) -> None:
    main = MAIN.replace("[192.0.2.0/24]}", "[192.0.2.0/24]}\n    allowed_methods: [bye]")
    routes = "  - {trunk: sbc, to: a, assistant: 'sip:a@b'}\n  - {trunk: sbc, destination: desk}\n"

    assert handoff_files(tmp_path, REFER, main).load().warnings == ()
    assert (
        handoff_files(tmp_path, "", main.replace("  - {trunk: sbc, destination: desk}\n", routes))
        .load()
        .warnings
        == ()
    )


def test_other_warnings_about_handoffs(tmp_path: Path) -> None:
    main = with_assistant(
        "assistant: {route: 'sip:a@b', connect_timeout: 40s, headers: {X-Twilio-A: b}},"
        " on_assistant_lost: default_destination"
    )
    desk = REFER.replace("x:", "desk:\n  default: true", 1)
    released = INVITE + "  release_assistant: on_start\n  accept_timeout: 9s\n"
    asked = INVITE.replace("x:", "y:") + "  accept_key: 1\n"
    loaded = ConfigFiles(tmp_path, main, desk + released + asked).load()

    assert [f"{warning.key}: {warning.message}" for warning in loaded.warnings] == [
        "routes[0].assistant.headers.X-Twilio-A: never sent: reserved name",
        "routes[0].on_assistant_lost: desk has method refer: no use when the assistant never answered",
        "x.release_assistant: the caller hears ringing once the assistant was released: set hold_music",
        "x.accept_timeout: nothing is awaited without accept_key",
        "y.accept_key: the human hears nothing that asks for the key: set whisper",
        "routes[0].assistant.connect_timeout: connect_timeout is longer than ring_timeout, "
        "which ends the attempt before it",
    ]


def test_requests_within_the_calls_of_a_trunk_are_made_as_its_outbound_says(tmp_path: Path) -> None:
    trunks = handoff_files(tmp_path).load().trunks

    assert trunks["gateway"].auth is not None
    assert trunks["gateway"].auth.username == "us"
    assert trunks["sbc"].auth is None
