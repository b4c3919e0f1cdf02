"""`routes:` where a new call goes first."""

from __future__ import annotations

from b2bua.config.glob import matches
from b2bua.config.section import Name, Section, Text


class Route(Section):
    """One rule; the first that matches wins."""

    trunk: Name | None = None
    """Only calls of this trunk; all trunks when it is missing."""
    to: Text = "*"
    """A glob on the user part of the Request-URI."""
    destination: Name
    """The name of a destination with method `invite`."""

    def matches(self, trunk: str, user: str) -> bool:
        """True for a call of `trunk` to `user` (unescaped)."""
        return self.trunk in (None, trunk) and matches(self.to, user)
