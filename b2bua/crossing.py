"""What of the messages after the INVITE goes on to the other side: headers of 18x, 200 and BYE, and why it ended.

As with an INVITE, a header passes that is on the list of the side it comes from and on that of the side it goes to. Not
so `Identity`, which signs the numbers and the date of a new call (RFC 8224). The words of a Reason never pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from b2bua.headers import Header, pass_through
from b2bua.pass_list import TRUSTED_ONLY
from sip_stack.errors import RemoteError
from sip_stack.message.headers import header_key
from sip_stack.message.params import Params, split_commas

if TYPE_CHECKING:
    from b2bua.pass_list import PassList
    from sip_stack.message import Message

_PRIVACY = "Privacy"
_CAUSES = {"q.850": ("Q.850", range(1, 128)), "sip": ("SIP", range(100, 700))}
"""Protocols of Reason (RFC 3326 section 2), and what may be a cause in them: other numbers make stacks drop it all."""


def headers_from(message: Message, passes: PassList) -> tuple[Header, ...]:
    """What its sender's list lets go on. Privacy goes with what says who somebody is."""
    passed = [header for header in pass_through(message, passes) if header_key(header[0]) != "identity"]
    if not passed:
        return ()
    if _tells_who(passed):
        passed += [(_PRIVACY, value) for value in message.headers.get_all(_PRIVACY)]
    return tuple(passed)


def headers_for(headers: Sequence[Header], passes: PassList) -> list[Header]:
    """What of them the list of who gets them lets through."""
    if not headers:
        return []
    passed = [header for header in headers if header[0] == _PRIVACY or passes.admits(header[0])]
    return passed if _tells_who(passed) else [header for header in passed if header[0] != _PRIVACY]


def _tells_who(headers: list[Header]) -> bool:
    return any(header_key(name) in TRUSTED_ONLY for name, _ in headers)


def reasons_of(message: Message) -> tuple[tuple[str, int], ...]:
    """The causes that a BYE or CANCEL gives, one for each protocol that we know: `("Q.850", 16)`."""
    found: dict[str, int] = {}
    for line in message.headers.get_all("Reason"):
        for protocol, said in _read(line):
            name, causes = _CAUSES.get(protocol.strip().lower(), ("", range(0)))
            cause = int(said) if said.isascii() and said.isdigit() and len(said) <= 3 else 0
            if cause in causes:
                found.setdefault(name, cause)
    return tuple(found.items())


def _read(line: str) -> list[tuple[str, str]]:
    """Protocols and causes of one line; nothing when it cannot be read."""
    try:
        values = [value.partition(";") for value in split_commas(line)]
        return [
            (protocol, Params.parse(";" * bool(rest) + rest).get("cause") or "")
            for protocol, _, rest in values
        ]
    except RemoteError:
        return []
