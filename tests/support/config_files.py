"""Configuration files for tests: a small pair that loads, which a test changes where its story needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from b2bua.config import Configuration, ConfigurationError, Problem, load_configuration

MAIN = """\
sip:
  listen: [udp:127.0.0.1:0]
trunks:
  sbc:
    accept: {addresses: [192.0.2.0/24]}
routes:
  - {trunk: sbc, destination: desk}
destinations: destinations.yaml
"""

DESTINATIONS = """\
desk:
  default: true
  method: invite
  encryption: udp/rtp
  route: sip:operator@pbx.example.com
"""


class ConfigFiles:
    """A pair of files in a folder."""

    def __init__(self, folder: Path, main: str = MAIN, destinations: str = DESTINATIONS) -> None:
        self.folder = folder
        self.main = folder / "b2bua.yaml"
        self.destinations = folder / "destinations.yaml"
        self.main.write_text(main, encoding="utf-8")
        self.destinations.write_text(destinations, encoding="utf-8")

    def load(self, environ: Mapping[str, str] | None = None, overrides: Iterable[str] = ()) -> Configuration:
        """Load them; there is no environment unless given."""
        return load_configuration(self.main, environ or {}, overrides)

    def problems(
        self, environ: Mapping[str, str] | None = None, overrides: Iterable[str] = ()
    ) -> tuple[Problem, ...]:
        """What is wrong with them; fails the test when nothing is."""
        with pytest.raises(ConfigurationError) as raised:
            self.load(environ, overrides)
        return raised.value.problems

    def texts(self, environ: Mapping[str, str] | None = None, overrides: Iterable[str] = ()) -> list[str]:
        """What is wrong with them, as it is printed, without the folder."""
        return [str(problem).replace(f"{self.folder}/", "") for problem in self.problems(environ, overrides)]
