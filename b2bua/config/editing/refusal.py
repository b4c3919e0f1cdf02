"""Why an edit was not made."""

from __future__ import annotations

from collections.abc import Iterable

from b2bua.config.problems import Problem


class EditRefused(Exception):
    """Nothing was written. `code` is a word for programs: those of `b2bua.http_api.documented`."""

    def __init__(
        self, code: str, message: str, field: str | None = None, problems: Iterable[Problem] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        """The setting that is at fault: `auth.password`."""
        self.problems = tuple(problems)
        """What the edited files would have, with the lines of the file as it would be."""
