"""The commands of docs/configuration.md that edit destinations do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from b2bua.cli import app
from tests.support.config_files import DESTINATIONS, ConfigFiles

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_commands_work_one_after_the_other(tmp_path: Path) -> None:
    before = DESTINATIONS.replace("desk:", "front-desk:")
    files = ConfigFiles(tmp_path, destinations=before)
    files.main.write_text(files.main.read_text().replace("destination: desk", "destination: front-desk"))
    (block,) = re.findall(r"```sh\n(b2bua destinations .*?)```", PAGE, re.DOTALL)
    commands = block.splitlines()
    assert len(commands) == 8

    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        typed = f"{words[-1]}\n" if words[1] == "remove" else None
        done = CliRunner().invoke(
            app, [*words, "--config", str(files.main)], input=typed, env={"EDITOR": "true", "VISUAL": ""}
        )
        assert done.exit_code == 0, f"{command}\n{done.output}"

    desk, sales = files.destinations.read_text().split("\n\n")
    assert desk.splitlines() == [line for line in before.splitlines() if "default" not in line] + [
        "  default: true"
    ]
    assert sales.splitlines() == [
        "sales:",
        "  method: invite",
        "  encryption: udp/rtp",
        "  route: sip:sales@pbx.example.com",
        "  ring_timeout: 20s",
    ]
