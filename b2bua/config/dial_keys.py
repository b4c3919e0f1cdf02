"""As whom, through what and on what terms a destination or an assistant is dialled: the keys that both have."""

from __future__ import annotations

from pydantic import Field

from b2bua.config.auth import Auth
from b2bua.config.dial_uri import FromUser
from b2bua.config.dialled import Redirects
from b2bua.config.section import Name, Section
from b2bua.config.session_timers import SessionTimersOrUse
from sip_stack.extensions import Use


class DialKeys(Section):
    """Beside `encryption`, and `route` and `tls`, which are judged by it."""

    trunk: Name | None = None
    """The trunk whose `outbound` bare numbers are dialled through."""
    auth: Auth | None = None
    """Answers its challenges."""
    from_user: FromUser | None = None
    """The user in From; the caller's when it is missing."""
    session_timers: SessionTimersOrUse | None = None
    """As in `sip`; else those of its trunk."""
    redirects: Redirects = "refuse"
    """`follow`: a 3xx is followed to whom it names, where `policy` permits that."""
    reliable_provisionals: Use | None = Field(default=None, alias="100rel")
    """As in `sip`; else as in its trunk."""
