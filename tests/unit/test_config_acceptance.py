"""What a destination asks of the human who answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.handoff_config import BYE, INVITE, REFER, WAV, handoff_files


@pytest.mark.parametrize(("written", "key"), [("1", "1"), ('"0"', "0"), ("'*'", "*"), ('"#"', "#")])
def test_a_key_is_what_is_on_a_phone_quoted_or_not(tmp_path: Path, written: str, key: str) -> None:
    place = handoff_files(tmp_path, f"{INVITE}  accept_key: {written}\n").load().destinations["x"]

    assert (place.accept_key, place.accept_timeout, place.must_accept) == (key, 20.0, True)


@pytest.mark.parametrize("written", ["12", '"A"', '""', "true", "1.5", "[1]"])
def test_what_is_no_key(tmp_path: Path, written: str) -> None:
    (text,) = handoff_files(tmp_path, f"{INVITE}  accept_key: {written}\n").texts()

    assert text.startswith("destinations.yaml:10:15: x.accept_key: not a key")
    assert text.endswith("allowed: one of 0-9 * #, the last two in quotes")


def test_a_whisper_is_a_file_beside_the_one_that_names_it(tmp_path: Path) -> None:
    configuration = handoff_files(tmp_path, f"{INVITE}  whisper: hold.wav\n  accept_timeout: 5s\n").load()
    place = configuration.destinations["x"]

    assert (place.whisper, place.accept_key, place.must_accept) == (tmp_path / "hold.wav", None, True)
    assert configuration.whisper_files() == (tmp_path / "hold.wav",)
    assert configuration.hold_music_files() == ()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("nothing.wav", "cannot be read: No such file or directory; found 'nothing.wav'"),
        ("ringback", "cannot be read: No such file or directory; found 'ringback'"),
        ("destinations.yaml", "not a WAV file: no RIFF/WAVE header"),
        ("5", "not the name of a file; found the number 5"),
    ],
)
def test_a_whisper_that_cannot_be_played_is_an_error_at_load(
    tmp_path: Path, written: str, problem: str
) -> None:
    (text,) = handoff_files(tmp_path, f"{INVITE}  whisper: {written}\n").texts()

    assert text.startswith("destinations.yaml:10:12: x.whisper: ")
    assert problem in text
    assert "allowed: the name of a WAV file" in text


def test_digits_and_signs_of_a_machine(tmp_path: Path) -> None:
    written = "  post_dial_digits: 12w34WW#\n  detect_voicemail: long_speech\n"
    place = handoff_files(tmp_path, INVITE + written).load().destinations["x"]

    assert (place.post_dial_digits, place.detect_voicemail) == ("12w34WW#", "long_speech")
    assert place.must_accept


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("0123", "digits without quotes, which are taken for a number; found"),
        ("'12 34'", "not digits; found '12 34'; allowed: up to 64 of 0-9 * # A-D, and the waits w"),
        (f"'{'1' * 65}'", "not digits"),
        ("''", "not digits"),
    ],
)
def test_what_are_no_digits(tmp_path: Path, written: str, problem: str) -> None:
    (text,) = handoff_files(tmp_path, f"{INVITE}  post_dial_digits: {written}\n").texts()

    assert text.startswith(f"destinations.yaml:10:21: x.post_dial_digits: {problem}")


def test_a_sign_that_nobody_knows(tmp_path: Path) -> None:
    (text,) = handoff_files(tmp_path, f"{INVITE}  detect_voicemail: beeps\n").texts()

    assert (
        "x.detect_voicemail: not a known value; found 'beeps'; allowed: beep, long_speech, disabled" in text
    )
    assert "did you mean 'beep'?" in text


def test_an_answer_alone_is_enough_where_nothing_is_said(tmp_path: Path) -> None:
    assert not handoff_files(tmp_path, INVITE).load().destinations["x"].must_accept


@pytest.mark.parametrize("method", [REFER, BYE])
@pytest.mark.parametrize(
    "key", ["accept_key: 1", "accept_timeout: 5s", "whisper: hold.wav", "detect_voicemail: beep"]
)
def test_only_who_is_dialled_by_us_can_be_asked(tmp_path: Path, method: str, key: str) -> None:
    (text,) = handoff_files(tmp_path, f"{method}  {key}\n").texts()

    assert "not a key of method" in text


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "acceptance.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/customer-from-billing-press-one.wav").write_bytes(WAV)

    people = example + INVITE.replace("x:", "front-desk:", 1)
    place = handoff_files(tmp_path, people).load().destinations["night-shift"]

    assert (place.accept_key, place.ring, len(place.route)) == ("1", "together", 2)
