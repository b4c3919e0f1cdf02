"""What the commands print: numbers with their words, and names with the one that was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from b2bua import __version__
from b2bua.cli import app
from b2bua.config.problems import known_names
from tests.support.config_files import ConfigFiles


def test_check_counts_one_as_one(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    configuration = files.load()
    counts = [len(each) for each in (configuration.trunks, configuration.routes, configuration.destinations)]
    assert 1 in counts, "else nothing is seen here"
    names = ("trunk", "route", "destination")
    told = [f"{n} {name}" + "s" * (n != 1) for n, name in zip(counts, names, strict=True)]

    ran = CliRunner().invoke(app, ["check", "--config", str(configuration.origin.path)])

    assert ran.exit_code == 0
    assert ", ".join(told) in ran.output

    ran = CliRunner().invoke(
        app, ["check", "--config", str(configuration.origin.path), "--set", "limits.max_calls=1"]
    )
    assert "1 call at once" in ran.output


def test_a_test_call_to_a_name_that_is_none_tells_the_nearest(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path).load()
    name = configuration.default_destination.name

    ran = CliRunner().invoke(app, ["call", f"{name}s", "--config", str(configuration.origin.path)])

    assert ran.exit_code == 2
    assert f"did you mean '{name}'?" in " ".join(ran.output.split())


@pytest.mark.parametrize(
    ("word", "words", "told"),
    [
        (
            "fornt-desk",
            ["front-desk", "billing"],
            "there are: billing, front-desk; did you mean 'front-desk'?",
        ),
        ("nowhere", ["front-desk"], "there are: front-desk"),
        ("a.wav", [], "there are none"),
        (
            "place-9o",
            [f"place-{n}" for n in range(10, 100)],
            f"there are: {', '.join(f'place-{n}' for n in range(10, 40))}, … (90 in all); did you mean 'place-99'?",
        ),
    ],
)
def test_names_that_there_are(word: str, words: list[str], told: str) -> None:
    assert known_names(word, words) == told


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_the_version_is_told_as_a_command_and_as_an_option(asked: str) -> None:
    ran = CliRunner().invoke(app, [asked])

    assert (ran.exit_code, ran.output.strip()) == (0, __version__)
