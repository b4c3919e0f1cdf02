"""Edits of destinations: checked as a whole before anything is written, and never against somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from b2bua.config.editing import (
    DestinationsEditor,
    DestinationsText,
    Edit,
    EditRefused,
    added,
    duplicated,
    made_default,
    removed,
    replaced,
    reworded,
    shown,
    tag_of,
)
from b2bua.config.editing.settings import Settings
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

MORE = (
    DESTINATIONS
    + """
# the night shift
night:
  method: invite
  encryption: udp/rtp
  route: sip:night@pbx.example.com
  auth: {username: acme, password: in-clear}   # moving to the vault
  fallback: desk
"""
)
BYE: Settings = {"method": "bye"}
INVITE: Settings = {"method": "invite", "encryption": "udp/rtp", "route": "sip:a@pbx.example.com"}


class Files(ConfigFiles):
    """Files with an editor."""

    def __init__(self, folder: Path, destinations: str = MORE, own_environment: bool = True) -> None:
        super().__init__(folder, MAIN, destinations)
        self.editor = DestinationsEditor(
            self.main, {"VAULT": "from-the-vault"}, own_environment=own_environment
        )

    @property
    def text(self) -> str:
        return self.destinations.read_text(encoding="utf-8")

    def refusal(self, edit: Edit) -> EditRefused:
        """Why an edit is refused; nothing may have been written."""
        before = self.text
        with pytest.raises(EditRefused) as raised:
            self.editor.apply(edit)
        assert self.text == before
        return raised.value


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_an_edit_is_in_the_file_and_loads(files: Files) -> None:
    applied = files.editor.apply(added("sales", INVITE))

    assert (applied.before.decode(), applied.after.decode()) == (MORE, files.text)
    assert list(files.load().destinations) == ["desk", "night", "sales"]
    assert files.text.startswith(MORE)


def test_an_edit_that_changes_nothing_writes_nothing(files: Files) -> None:
    inode = files.destinations.stat().st_ino

    files.editor.apply(made_default("desk"))

    assert files.destinations.stat().st_ino == inode


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        ({**INVITE, "ring_timeout": 30}, "ring_timeout", "not a duration"),
        ({**INVITE, "rotue": "x"}, "rotue", "unknown key"),
        ({**INVITE, "fallback": "nobody"}, "fallback", "no such destination"),
        ({**INVITE, "auth": {"username": "acme"}}, "auth", "the key 'password' is missing"),
        ({**INVITE, "route": "sip:a@x;transport=tcp"}, "route", "needs a listener for tcp"),
        ({}, None, "the key 'method' is missing"),
    ],
)
def test_what_the_configuration_does_not_allow_is_refused_with_line_and_key(
    files: Files, settings: Settings, field: str | None, message: str
) -> None:
    refused = files.refusal(added("sales", settings))

    assert refused.code == "invalid_destination"
    assert refused.field == field
    assert refused.message.startswith(message)
    assert refused.problems[0].position.file == str(files.destinations)
    assert (refused.problems[0].position.line or 0) >= len(MORE.splitlines())


def test_problems_that_were_there_before_are_not_put_down_to_the_edit(tmp_path: Path) -> None:
    files = Files(tmp_path, MORE + "broken:\n  method: by\n")

    refused = files.refusal(added("sales", INVITE))

    assert refused.code == "configuration_error"
    assert [problem.key for problem in refused.problems] == ["broken.method"]
    files.editor.apply(removed("broken"))
    assert files.text == MORE


@pytest.mark.parametrize("content", [b"desk: [", b"- a\n", b"\xff", b"\0"])
def test_a_file_that_cannot_be_read_is_not_edited(tmp_path: Path, content: bytes) -> None:
    files = Files(tmp_path)
    files.destinations.write_bytes(content)

    with pytest.raises(EditRefused) as refused:
        files.editor.apply(added("sales", INVITE))

    assert refused.value.code == "configuration_error"
    assert files.destinations.read_bytes() == content


def test_what_is_missing_is_told_with_what_was_meant(files: Files) -> None:
    message = files.refusal(removed("nihgt")).message
    assert message.startswith("no such destination; there are: ")
    assert message.endswith("; did you mean 'night'?")


# -- exactly one default, and nobody left behind -----------------------------------------------------------------------


def test_what_something_refers_to_is_not_removed(files: Files) -> None:
    refused = files.refusal(removed("desk"))

    assert refused.code == "destination_in_use"
    assert refused.message == "desk is used: routes[0], the fallback of night"


def test_the_default_is_not_removed(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.editor.apply(made_default("night"))

    assert files.refusal(removed("night")).code == "destination_is_default"


def test_the_mark_moves_in_one_step(files: Files) -> None:
    files.editor.apply(made_default("night"))

    assert files.text.count("default: true") == 1
    assert files.load().default_destination.name == "night"


@pytest.mark.parametrize(
    "edit",
    [
        added("sales", {**INVITE, "default": True}),
        replaced("night", {**INVITE, "default": True}),
        replaced("desk", INVITE),
        replaced("desk", {**INVITE, "default": False}),
    ],
)
def test_no_other_edit_moves_the_mark(files: Files, edit: Edit) -> None:
    refused = files.refusal(edit)

    assert (refused.code, refused.field) == ("destination_is_default", "default")


def test_a_copy_is_not_the_default_and_keeps_what_the_original_refers_to(tmp_path: Path) -> None:
    files = Files(tmp_path, MORE.replace("in-clear", '"${VAULT}"'))

    files.editor.apply(duplicated("desk", "desk-2"))
    files.editor.apply(duplicated("night", "night-2"))

    assert files.text.count("# moving to the vault") == 2
    assert files.text.count('"${VAULT}"') == 2
    assert list(files.load({"VAULT": "x"}).destinations) == ["desk", "desk-2", "night", "night-2"]


@pytest.mark.parametrize("name", ["desk", "night"])
def test_a_name_is_given_once(files: Files, name: str) -> None:
    assert files.refusal(added(name, BYE)).code == "destination_exists"
    assert files.refusal(duplicated("night", name)).code == "destination_exists"


@pytest.mark.parametrize("name", ["", "-x", "a b", "a.b", "x" * 65, "${VAULT}"])
def test_a_name_is_a_name(files: Files, name: str) -> None:
    assert files.refusal(added(name, BYE)).field == "name"


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_password_is_not_shown_and_a_reference_is() -> None:
    def of(auth: dict[str, object]) -> tuple[object, object]:
        whole, secrets = shown({"auth": auth})  # type: ignore[dict-item]
        return whole["auth"], secrets["auth.password"]

    assert of({"username": "u", "password": "in-clear"}) == ({"username": "u"}, "set")
    assert of({"username": "u", "password": "pre-${VAULT}"}) == ({"username": "u"}, "set")
    assert of({"username": "u", "password": "${VAULT}"}) == ({"username": "u", "password": "${VAULT}"}, "set")
    assert of({"username": "u", "password_file": "p"}) == ({"username": "u", "password_file": "p"}, "set")
    assert of({"username": "u"}) == ({"username": "u"}, "unset")


def test_what_is_shown_may_be_sent_back_and_keeps_the_password(files: Files) -> None:
    whole, _ = shown(files.editor.read().settings("night"))

    files.editor.apply(replaced("night", {**whole, "ring_timeout": "20s"}))

    assert files.text == MORE + "  ring_timeout: 20s\n"


def test_a_password_goes_when_its_login_goes_or_another_is_given(files: Files) -> None:
    files.editor.apply(replaced("night", {**INVITE, "auth": {"username": "us", "password": "${VAULT}"}}))
    assert 'auth: {username: us, password: "${VAULT}"}   # moving' in files.text

    files.editor.apply(replaced("night", INVITE))
    assert "VAULT" not in files.text


@pytest.mark.parametrize(
    "password", ["in-clear", "", "a${VAULT}", "$${VAULT}", 12345678, None, ["${VAULT}"], {}]
)
def test_a_password_in_clear_is_refused_and_not_quoted(files: Files, password: object) -> None:
    auth = {"username": "acme", "password": password}

    refused = files.refusal(added("sales", {**INVITE, "auth": auth}))  # type: ignore[dict-item]

    assert refused.code in ("secret_in_clear", "invalid_destination")
    assert "in-clear" not in f"{refused.message} {refused.problems}"


def test_from_afar_the_environment_is_for_passwords_only(files: Files) -> None:
    leak: Settings = {**INVITE, "headers": {"X-A": "${VAULT}"}}

    refused = files.refusal(added("sales", leak, from_afar=True))
    assert (refused.code, refused.field) == ("secret_in_clear", "headers.X-A")

    files.editor.apply(added("sales", leak))
    kept: Settings = {**leak, "description": "$${ is two characters"}
    files.editor.apply(replaced("sales", kept, from_afar=True))
    assert "X-A: " in files.text


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**18, "\ud800", {"x" * 300: 1}, {"\ud800": 1}, [[[[[[[[[[[1]]]]]]]]]]]],
)
def test_what_yaml_cannot_carry_is_refused(files: Files, value: object) -> None:
    refused = files.refusal(added("sales", {**INVITE, "description": value}))  # type: ignore[dict-item]

    assert refused.code == "invalid_request"
    assert (refused.field or "description").startswith("description")


@pytest.mark.parametrize(
    "text", ["\0", "\x85\u2028\ufeff", "a\nb\tc", " x ", "#", "- a", "😀\x01", "'", '"\\']
)
def test_any_text_arrives_as_it_was(files: Files, text: str) -> None:
    files.editor.apply(added("sales", {**INVITE, "description": text}))

    assert files.load().destinations["sales"].description == text


# -- at the same time --------------------------------------------------------------------------------------------------


def editing_meanwhile(files: Files, edit: Edit, hand: Callable[[], None]) -> Edit:
    """The edit, with somebody's hand in the file between its reading and its writing, once."""
    done: list[bool] = []

    def meanwhile(current: DestinationsText) -> str:
        text = edit(current)
        if not done:
            done.append(True)
            hand()
        return text

    return meanwhile


def test_a_hand_edit_meanwhile_is_kept_and_the_edit_made_on_top_of_it(files: Files) -> None:
    by_hand = MORE.replace("sip:night@", "sip:nights@") + "# by hand\n"

    files.editor.apply(editing_meanwhile(files, added("sales", BYE), lambda: _write(files, by_hand)))

    assert files.text == by_hand.replace("# by hand\n", "\nsales:\n  method: bye\n# by hand\n")


def test_a_hand_edit_meanwhile_of_the_same_destination_is_told_to_who_said_what_they_had_read(
    files: Files,
) -> None:
    tags = frozenset({tag_of(files.editor.read().settings("night"))})
    by_hand = MORE.replace("sip:night@", "sip:nights@")
    edit = editing_meanwhile(files, replaced("night", INVITE, tags=tags), lambda: _write(files, by_hand))

    with pytest.raises(EditRefused) as refused:
        files.editor.apply(edit)

    assert refused.value.code == "destination_changed"
    assert files.text == by_hand


def test_somebody_who_keeps_writing_is_given_way_to(files: Files) -> None:
    numbers = iter(range(100))

    def restless(current: DestinationsText) -> str:
        _write(files, f"{MORE}# {next(numbers)}\n")
        return current.text + "# ours\n"

    with pytest.raises(EditRefused) as refused:
        files.editor.apply(restless)

    assert refused.value.code == "not_writable"
    assert "# ours" not in files.text


def test_lines_that_somebody_has_changed_meanwhile_are_not_written_over(files: Files) -> None:
    assert files.refusal(reworded("night", "what it was", "what it is")).code == "destination_changed"


def test_an_edit_can_be_taken_back_unless_somebody_went_on(files: Files) -> None:
    applied = files.editor.apply(added("sales", INVITE))
    files.editor.undo(applied)
    assert files.text == MORE

    applied = files.editor.apply(added("sales", INVITE))
    _write(files, applied.after.decode() + "# by hand\n")
    files.editor.undo(applied)
    assert files.text.endswith("# by hand\n")


def _write(files: Files, text: str) -> None:
    files.destinations.write_text(text, encoding="utf-8")


# -- where the file is -------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_stays(files: Files) -> None:
    files.destinations.write_bytes(b"\xef\xbb\xbf" + MORE.encode())

    files.editor.apply(made_default("night"))

    assert files.destinations.read_bytes().startswith(b"\xef\xbb\xbfdesk:\n  method")


def test_an_override_names_another_file(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(DESTINATIONS)
    editor = DestinationsEditor(
        files.main, {}, (f"destinations={other}", "destinations.desk.ring_timeout=5s")
    )

    editor.apply(added("sales", INVITE))

    assert "sales" in other.read_text()
    assert files.text == MORE


def test_without_the_servers_environment_its_secrets_are_not_judged(tmp_path: Path) -> None:
    files = Files(tmp_path, MORE.replace("in-clear", '"${ELSEWHERE}"'), own_environment=False)

    applied = files.editor.apply(added("sales", INVITE))

    assert [problem.message for problem in applied.unset] == ["the environment variable ELSEWHERE is not set"]
    assert files.refusal(added("more", {"method": "by"})).code == "invalid_destination"
    strict = DestinationsEditor(files.main, {})
    with pytest.raises(EditRefused, match="problems already"):
        strict.apply(added("more", INVITE))
