"""What of a URI may be shown: neither the password in it, nor whom a web address is called as or with which token."""

from __future__ import annotations

import re

HIDDEN = "…"

_SIP_PASSWORD = re.compile(r"(sips?:[^:@]*):[^@]*@", re.IGNORECASE)
_WEB = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WEB_USER = re.compile(r"(://)[^/?#]*@")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


def masked(text: str) -> str:
    """The text; of a SIP URI without its password, of a web address without its user and the values of its query.

    References to the environment (`${NAME}`) stay: they are no secrets.
    """
    if _WEB.match(text) is None:
        return _SIP_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    address, hash_, fragment = text.partition("#")
    place, question, query = address.partition("?")
    pairs = "&".join(_masked_pair(pair) for pair in query.split("&"))
    return _WEB_USER.sub(rf"\1{HIDDEN}@", place) + question + pairs + hash_ + fragment


def _masked_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    shown = equals and (not value or _REFERENCE.fullmatch(value))
    return pair if shown or not pair else f"{name}={HIDDEN}" if equals else HIDDEN
