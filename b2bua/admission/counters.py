"""What admission refused or dropped: plain integers, read by whoever exports them."""

from __future__ import annotations


class AdmissionCounters:
    """Since the start. What was dropped unread or silenced is also in the endpoint's `unread` and `unheard`."""

    __slots__ = (
        "authentication_failures",
        "challenged",
        "lockouts",
        "over_calls",
        "over_rate",
        "overload",
        "scanners",
        "silenced",
        "unknown_sources",
        "unread",
    )

    def __init__(self) -> None:
        self.unread = 0
        """Messages dropped before they were read: their source is silenced, or strangers are too many."""
        self.silenced = 0
        """Times that a source was over its rate: answered 503 once, then not heard for a while."""
        self.scanners = 0
        """Requests that a scanner's name gave away; dropped."""
        self.lockouts = 0
        """Times that a source failed to authenticate too often and was silenced."""
        self.authentication_failures = 0
        """INVITEs with wrong credentials. One without credentials, and one with a stale nonce, is none."""
        self.challenged = 0
        """INVITEs answered 401, whatever for."""
        self.unknown_sources = 0
        """INVITEs answered 403: of no trunk, and none to log in as."""
        self.over_calls = 0
        """Calls answered 503 because their trunk, or this machine, had as many as it may have at once."""
        self.over_rate = 0
        """INVITEs answered 503 because their trunk was over its calls per second."""
        self.overload = 0
        """INVITEs answered 503 because this machine was overloaded."""

    def as_dict(self) -> dict[str, int]:
        """Name to value."""
        return {name: getattr(self, name) for name in self.__slots__}
