"""Which headers of one side may reach the other: nothing does that is not on the pass list of both.

What belongs to a dialog, to routing, to a body or to authentication is on no list, whatever is configured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sip_stack.message.headers import COMMON_NAMES, header_key

DEFAULT = ("X-*", "User-to-User", "Identity")
"""Without `pass_headers`."""

FOR_TRUSTED = (*DEFAULT, "Diversion", "History-Info", "P-Asserted-Identity")
"""The same, of a peer that is trusted."""

TRUSTED_ONLY = frozenset(
    {
        "diversion",
        "history-info",
        "p-access-network-info",
        "p-asserted-identity",
        "p-asserted-service",
        "p-charging-function-addresses",
        "p-charging-vector",
        "p-preferred-identity",
        "p-served-user",
        "p-visited-network-id",
        "remote-party-id",
    }
)
"""What says who somebody is or how a network is made: it stays among those who trust each other (RFC 3325 section 2,
RFC 7315 section 6), whatever a list says."""

_NEVER = (
    "accept accept-contact accept-encoding accept-language allow allow-events authentication-info authorization "
    "call-id contact content-disposition content-encoding content-language content-length content-type cseq date "
    "encryption event expires feature-caps flow-timer from identity-info info-package max-breadth max-forwards "
    "mime-version min-expires min-se p-early-media path privacy proxy-authenticate proxy-authentication-info "
    "proxy-authorization proxy-require rack reason record-route recv-info refer-sub refer-to referred-by "
    "reject-contact replaces request-disposition require retry-after route rseq security-client security-server "
    "security-verify server service-route session-expires session-id sip-etag sip-if-match subscription-state "
    "supported suppress-if-match target-dialog timestamp to unsupported user-agent via warning www-authenticate"
)
NEVER = frozenset(_NEVER.split())
"""What each side says for itself."""

OF_EACH_SIDE = frozenset(name for name, key in COMMON_NAMES.items() if key in NEVER)
"""The same as they are most often written: nearly all headers of a message are these, and need no further look."""


@dataclass(frozen=True, slots=True)
class PassList:
    """Names and beginnings of names, in lower case."""

    names: frozenset[str]
    prefixes: tuple[str, ...]
    trusted: bool

    def admits(self, name: str) -> bool:
        """True when a header of that name, in any spelling, may pass."""
        key = header_key(name)
        if key in NEVER or (key in TRUSTED_ONLY and not self.trusted):
            return False
        return key in self.names or key.startswith(self.prefixes)


@lru_cache(maxsize=1024)
def pass_list(patterns: tuple[str, ...] | None, *, trusted: bool) -> PassList:
    """The list of a peer; None for the default. `X-*` stands for every name that begins so."""
    lower = [each.lower() for each in (patterns if patterns is not None else _default(trusted))]
    prefixes = tuple(each[:-1] for each in lower if each.endswith("*"))
    names = frozenset(each for each in lower if not each.endswith("*"))
    return PassList(names, prefixes, trusted)


def _default(trusted: bool) -> Iterable[str]:
    return FOR_TRUSTED if trusted else DEFAULT


DEFAULT_LIST = pass_list(None, trusted=False)
