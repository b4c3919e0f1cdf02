"""What every benchmark says and how: progress, the machine, spreads, and samples that several runs add to."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

S = TypeVar("S")
ROOT = Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    """Progress, to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def spread(values: Sequence[float], form: str) -> str:
    """Minimum, median and maximum, the way the tables show them."""
    low, middle, high = (form.format(f(values)) for f in (min, statistics.median, max))
    return middle if len(values) == 1 else f"{low} / **{middle}** / {high}"


def machine() -> str:
    """One line about where this ran."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "name" in line), platform.machine())
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}"


def heading() -> str:
    """When, of which commit and where."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d}, {commit or 'no commit'}, {machine()}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report: its columns, and rows that are made of samples."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


class Samples(Generic[S]):
    """Measurements by what was measured, in order. With a file, those of earlier runs are among them.

    For a machine that is quiet for minutes only: each run adds a round, and the last one has them all to report.
    """

    def __init__(self, kind: type[S], section: str, file: Path | None) -> None:
        """`kind` is the dataclass of one measurement, `section` what sets it apart in the file."""
        self._section = section
        self._file = file
        self._taken: dict[str, list[S]] = {}
        lines = file.read_text().splitlines() if file is not None and file.exists() else []
        for entry in map(json.loads, lines):
            if entry["section"] == section:
                self._taken.setdefault(entry["name"], []).append(kind(**entry["sample"]))

    def add(self, name: str, sample: S) -> None:
        """Keep one measurement, and say so."""
        say(f"{self._section}, {name}: {sample}")
        self._taken.setdefault(name, []).append(sample)
        if self._file is not None:
            entry = {"section": self._section, "name": name, "sample": asdict(sample)}  # type: ignore[call-overload]
            with self._file.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def __bool__(self) -> bool:
        return bool(self._taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def __getitem__(self, name: str) -> list[S]:
        return self._taken[name]

    def names(self) -> list[str]:
        """What was measured, in order of the first time."""
        return list(self._taken)
