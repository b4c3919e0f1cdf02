"""`b2bua destinations`: the operator's way to the same edits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from b2bua.cli import app
from b2bua.cli_options import output
from tests.support.config_files import DESTINATIONS, ConfigFiles

BILLING = """
# disputes
billing:
  description: Billing [disputes]
  method: invite
  encryption: udp/rtp
  route: [sip:a@cc.example.com, sip:b@cc.example.com]
  auth: {username: acme, password: "${NOT_IN_THIS_SHELL}"}
  fallback: desk
"""
BEFORE = DESTINATIONS + BILLING

Command = Callable[..., Result]


@pytest.fixture
def files(tmp_path: Path) -> ConfigFiles:
    return ConfigFiles(tmp_path, destinations=BEFORE)


@pytest.fixture
def run(files: ConfigFiles, monkeypatch: pytest.MonkeyPatch) -> Command:
    # Tables are as wide as the terminal, or as COLUMNS was when the program began: pytest-xdist sets it.
    monkeypatch.setattr(output, "width", 200)

    def run(*words: str, typed: str | None = None, env: dict[str, str] | None = None) -> Result:
        command = ["destinations", *words, "--config", str(files.main)]
        return CliRunner().invoke(app, command, input=typed, env=env)

    return run


def text(files: ConfigFiles) -> str:
    return files.destinations.read_text()


def test_they_are_listed(run: Command) -> None:
    listed = run("list")

    assert listed.exit_code == 0
    rows = [line for line in listed.stdout.splitlines() if "udp/rtp" in line]
    assert ["*" in row for row in rows] == [True, False]
    assert "Billing [disputes]" in rows[1]


def test_they_are_listed_for_programs(run: Command) -> None:
    desk, billing = json.loads(run("list", "--json").stdout)

    assert (desk["name"], desk["default"]) == ("desk", True)
    assert billing["auth"] == {"username": "acme", "password": "${NOT_IN_THIS_SHELL}"}
    assert json.loads(run("show", "billing", "--json").stdout) == billing


def test_one_is_shown_without_its_secret(run: Command, files: ConfigFiles) -> None:
    files.destinations.write_text(BEFORE.replace('"${NOT_IN_THIS_SHELL}"', "in-clear"))

    shown = run("show", "billing").stdout

    assert "in-clear" not in shown
    assert "# auth.password is set" in shown
    assert "fallback: desk" in shown


def test_one_is_added_with_a_warning_about_what_this_shell_does_not_know(
    run: Command, files: ConfigFiles
) -> None:
    done = run(
        *("add", "sales", "method=invite", "encryption=udp/rtp", "route=[sip:a@x.example.com]"),
        *("auth.username=us", "auth.password=${SALES_PASSWORD}"),
    )

    assert done.exit_code == 0
    assert "SALES_PASSWORD is not set, here" in done.stderr
    assert text(files).startswith(BEFORE)
    assert text(files).endswith('  auth:\n    username: us\n    password: "${SALES_PASSWORD}"\n')


def test_settings_are_changed_and_taken_out(run: Command, files: ConfigFiles) -> None:
    assert (
        run("edit", "billing", "ring_timeout=20s", "auth.username=us", "--unset", "fallback").exit_code == 0
    )

    assert text(files) == BEFORE.replace("acme", "us").replace("fallback: desk", "ring_timeout: 20s")
    assert "nothing to change" in run("edit", "billing", "ring_timeout=20s").stdout


def test_what_is_wrong_is_told_as_check_tells_it(run: Command, files: ConfigFiles) -> None:
    done = run("edit", "billing", "ring_timeout=20")

    assert done.exit_code == 2
    assert f"{files.destinations}:15:17: billing.ring_timeout: not a duration" in done.stderr
    assert text(files) == BEFORE


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("add", "sales"), 2, "the key 'method' is missing"),
        (("add", "desk", "method=bye"), 1, "there is a destination of this name"),
        (("edit", "billing", "auth.password=clear"), 1, "a secret in clear"),
        (("edit", "billing", "ring_timeout"), 1, "not KEY=VALUE"),
        (("edit", "billing", "route=["), 1, "route: "),
        (("edit", "biling", "ring_timeout=20s"), 1, "did you mean 'billing'?"),
        (("edit", "desk", "default=false"), 1, "it is the default until another one is made so"),
        (("show", "nobody"), 1, "no such destination; there are: "),
        (("duplicate", "nobody", "x"), 1, "no such destination"),
        (("remove", "nobody"), 1, "no such destination"),
        (("remove", "desk", "--confirm", "desk"), 1, "desk is used: routes[0], the fallback of billing"),
        (("remove", "billing", "--confirm", "desk"), 1, "nothing was removed"),
    ],
)
def test_what_is_refused(
    run: Command, files: ConfigFiles, words: tuple[str, ...], status: int, message: str
) -> None:
    done = run(*words)

    assert (done.exit_code, message in done.stderr) == (status, True), done.stderr
    assert text(files) == BEFORE


def test_a_copy_is_made(run: Command, files: ConfigFiles) -> None:
    assert run("duplicate", "billing", "billing-2").exit_code == 0

    assert text(files) == BEFORE + BILLING.replace("# disputes\n", "").replace("billing:", "billing-2:")


def test_another_is_made_the_default(run: Command, files: ConfigFiles) -> None:
    assert run("set-default", "billing").exit_code == 0

    assert text(files) == BEFORE.replace("  default: true\n", "") + "  default: true\n"


def test_one_is_removed_when_its_name_is_typed(run: Command, files: ConfigFiles) -> None:
    assert run("remove", "billing", typed="biling\n").exit_code == 1
    assert text(files) == BEFORE

    assert run("remove", "billing", typed="billing\n").exit_code == 0
    assert text(files) == DESTINATIONS


def editor(folder: Path, script: str) -> dict[str, str]:
    """An $EDITOR that does this to the file it is given."""
    command = folder / "an editor"
    command.write_text(f'#!/bin/sh\n{script} "$1"\n')
    command.chmod(0o755)
    return {"EDITOR": f"'{command}'", "VISUAL": ""}


def test_the_lines_of_one_are_edited_in_an_editor(run: Command, files: ConfigFiles, tmp_path: Path) -> None:
    assert run("edit", "billing", env=editor(tmp_path, "sed -i s/disputes/refunds/")).exit_code == 0

    assert text(files) == BEFORE.replace("disputes", "refunds")


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("sed -i s/invite/invit/", 2, "billing.method: not a known value"),
        ("sed -i s/billing:/desk:/", 2, "duplicate key"),
        ("true", 0, "nothing to change"),
        ("false", 1, "ended with 1"),
    ],
)
def test_what_an_editor_leaves_that_is_no_good(
    run: Command, files: ConfigFiles, tmp_path: Path, script: str, status: int, message: str
) -> None:
    done = run("edit", "billing", env=editor(tmp_path, script))

    assert (done.exit_code, message in done.output) == (status, True), done.output
    assert text(files) == BEFORE


def test_an_editor_that_is_not_there(run: Command) -> None:
    done = run("edit", "billing", env={"EDITOR": "/nonexistent/editor", "VISUAL": ""})

    assert (done.exit_code, "set EDITOR" in done.stderr) == (1, True)


def test_a_configuration_that_is_not_there(run: Command, files: ConfigFiles) -> None:
    files.main.unlink()

    done = run("list")

    assert (done.exit_code, "cannot be read" in done.stderr) == (2, True)


def test_urls_are_shown_without_secrets(run: Command, files: ConfigFiles) -> None:
    url = "https://app.example.com/hook?token=hook-secret"
    files.destinations.write_text(f"{BEFORE}  callback_url: {url}\n")

    for words in (("list",), ("list", "--json"), ("show", "billing"), ("show", "billing", "--json")):
        assert "hook-secret" not in run(*words).stdout
    assert 'callback_url: "https://app.example.com/hook?token=…"\n' in run("show", "billing").stdout


def test_the_example_of_a_list_is_in_the_help(run: Command) -> None:
    # Square brackets are markup where this text goes.
    assert "route=[sip:a@x, sip:b@x]" in " ".join(run("add", "--help").output.replace("│", " ").split())
