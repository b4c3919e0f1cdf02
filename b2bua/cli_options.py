"""What the commands of `b2bua` share: the options for the configuration, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

errors = Console(stderr=True, highlight=False, soft_wrap=True)
output = Console(highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE", show_default=True)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override one value, e.g. timers.ring_timeout=10s. Repeatable."
    ),
]
DEFAULT_CONFIG = Path("configs/b2bua.yaml")
