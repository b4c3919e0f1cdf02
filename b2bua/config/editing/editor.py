"""Making an edit: read, change, check as a whole, replace the file. Blocking; a server calls it in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from b2bua.config.configuration import Origin
from b2bua.config.editing.edits import Edit
from b2bua.config.editing.refusal import EditRefused
from b2bua.config.editing.replace_file import FileChanged, locked_folder, replace_file
from b2bua.config.editing.text import DestinationsText, read_destinations_text
from b2bua.config.editing.yaml_edit import NotEditable
from b2bua.config.loader import load_configuration
from b2bua.config.problems import ConfigurationError, Problem

TRIES = 3
"""How often an edit is made again because somebody else wrote the file meanwhile."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An edit that was made."""

    file: Path
    before: bytes
    after: bytes
    unset: tuple[Problem, ...] = ()
    """References to variables that are not set here, where `own_environment` is False."""


class DestinationsEditor:
    """Edits the file of destinations of one configuration."""

    def __init__(
        self,
        main: Path,
        environ: Mapping[str, str],
        overrides: tuple[str, ...] = (),
        *,
        own_environment: bool = True,
    ) -> None:
        """As for `load_configuration`. `own_environment`: it is this process that serves calls; an operator's
        shell need not have the server's secrets, and what they would be is not judged then."""
        self._main = main
        self._environ = environ
        self._overrides = overrides
        self._own_environment = own_environment

    @classmethod
    def of(cls, origin: Origin) -> DestinationsEditor:
        """The editor for what this process has loaded."""
        return cls(origin.path, origin.environ, origin.overrides)

    def read(self) -> DestinationsText:
        """The file as it stands. Raises `EditRefused` `configuration_error`."""
        try:
            return read_destinations_text(self._main, self._environ, self._overrides)
        except ConfigurationError as error:
            raise _broken(error.problems) from None

    def apply(self, edit: Edit) -> Applied:
        """Make an edit. Raises `EditRefused`; the file is as it was then."""
        current = self.read()
        try:
            with locked_folder(current.file):
                for _ in range(TRIES):
                    with suppress(FileChanged):
                        return self._apply(self.read(), edit)
        except NotEditable as error:
            raise EditRefused("not_editable", str(error)) from None
        except TimeoutError as error:
            raise EditRefused("not_writable", str(error)) from None
        except OSError as error:
            raise EditRefused("not_writable", f"{current.file} cannot be written: {error.strerror}") from None
        raise EditRefused("not_writable", "somebody else keeps writing the file; try again")

    def undo(self, applied: Applied) -> None:
        """Put the file back, unless somebody has written it since."""
        with suppress(FileChanged, OSError):
            replace_file(applied.file, applied.after, applied.before)

    def _apply(self, current: DestinationsText, edit: Edit) -> Applied:
        after = current.as_content(edit(current))
        problems = self._problems(current.file, after)
        serious = [problem for problem in problems if self._counts(problem)]
        if serious:
            before = [
                problem for problem in self._problems(current.file, current.content) if self._counts(problem)
            ]
            raise _broken(before) if before else _invalid(serious)
        if after != current.content:
            replace_file(current.file, current.content, after)
        return Applied(current.file, current.content, after, tuple(problems))

    def _problems(self, file: Path, content: bytes) -> tuple[Problem, ...]:
        try:
            load_configuration(self._main, self._environ, self._overrides, instead={file: content})
        except ConfigurationError as error:
            return error.problems
        return ()

    def _counts(self, problem: Problem) -> bool:
        return self._own_environment or not problem.of_environment


def _broken(problems: list[Problem] | tuple[Problem, ...]) -> EditRefused:
    message = f"the configuration has problems already ({len(problems)}); mend them first"
    return EditRefused("configuration_error", message, problems=problems)


def _invalid(problems: list[Problem]) -> EditRefused:
    first = problems[0]
    _, _, field = first.key.partition(".")
    what = f"{first.message}; allowed: {first.allowed}" if first.allowed else first.message
    more = f" (and {len(problems) - 1} more wrong)" if len(problems) > 1 else ""
    return EditRefused("invalid_destination", f"{what}{more}", field or None, problems)
