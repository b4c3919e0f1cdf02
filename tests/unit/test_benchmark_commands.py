"""Every benchmark starts: what it takes from its neighbours is there. What it measures is its own business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COMMANDS = sorted(path.name for path in BENCHMARKS.glob("*.py") if "argparse" in path.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_says_what_it_does(name: str) -> None:
    asked = subprocess.run(
        [sys.executable, BENCHMARKS / name, "--help"], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert "usage:" in asked.stdout
