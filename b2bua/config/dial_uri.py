"""The URIs we dial: what a destination's `route` and a trunk's `outbound.uri` may say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from b2bua.config.addresses import SIP_TRANSPORTS
from b2bua.config.section import matching, refusal
from sip_stack.errors import RemoteError
from sip_stack.message import SipUri, TelUri, escape_user, parse_uri

ALLOWED = "sip:user@host, or a number with `trunk: <name of a trunk with outbound>`"

_NUMBER = re.compile(r"\+?[0-9*#](?:[0-9*#().\- ]*[0-9*#])?")
_SEPARATORS = str.maketrans("", "", "-.() ")


def number_of(text: str) -> str | None:
    """The digits of a bare number or a tel URI, else None. Raises a refusal for a bad tel URI."""
    if _NUMBER.fullmatch(text):
        return text.translate(_SEPARATORS)
    if text[:4].lower() != "tel:":
        return None
    uri = _parse(text)
    assert isinstance(uri, TelUri), "a URI that begins with tel: is one"
    return uri.digits


def check_route(text: str) -> str:
    """One item of `route`, for encryption udp/rtp. Raises a refusal for what we cannot dial."""
    if number_of(text) is not None:
        return text
    uri = check_sip_uri(text)
    if not uri.user:
        raise refusal("a URI without a user", allowed=ALLOWED)
    return text


def check_refer_target(text: str) -> str:
    """`route` of method refer: as for `check_route`, but over any transport, for it is the SBC that dials."""
    if number_of(text) is None and not _check_form(text).user:
        raise refusal("a URI without a user", allowed=ALLOWED)
    return text


def check_outbound(text: str) -> str:
    """`outbound.uri`: a host, perhaps with port and parameters. Raises a refusal for what we cannot dial."""
    if check_sip_uri(text).user is not None:
        raise refusal(
            "a URI with a user; the number dialled takes its place", allowed="sip:host or sip:host:port"
        )
    return text


def check_sip_uri(text: str) -> SipUri:
    """A sip URI for UDP or TCP. Raises a refusal that never quotes it: it may hold a password."""
    uri = _check_form(text)
    transport = (uri.param("transport") or "udp").lower()
    if uri.scheme == "sips" or transport == "tls":
        what = "sips:" if uri.scheme == "sips" else "transport=tls"
        raise refusal(f"{what} needs TLS, and udp/rtp is unencrypted", allowed="sip: without transport=tls")
    if transport not in SIP_TRANSPORTS:
        raise refusal("an unknown transport", allowed="transport=udp or transport=tcp")
    return uri


def through(outbound: str, number: str) -> str:
    """The URI to dial for a number at a trunk: `sip:+15550001000@gw.acme.example`."""
    return str(replace(SipUri.parse(outbound), user=escape_user(number)))


def _check_form(text: str) -> SipUri:
    """A sip or sips URI without a password and headers, whatever its transport."""
    uri = _parse(text)
    if not isinstance(uri, SipUri):
        raise refusal("not a URI that can be dialled", allowed=ALLOWED, suggestion=_with_scheme(text))
    if uri.password is not None:
        raise refusal("a password in a URI is sent and logged in clear", allowed="auth: {username, password}")
    if uri.headers:
        raise refusal("headers in a URI that is dialled (RFC 3261 section 19.1.1)", allowed="headers:")
    return uri


def _parse(text: str) -> SipUri | TelUri | None:
    """None for a URI of another scheme."""
    try:
        uri = parse_uri(text)
    except RemoteError:
        raise refusal("not a URI", allowed=ALLOWED, suggestion=_with_scheme(text)) from None
    if not text.isascii():
        raise refusal("a URI with other than ASCII characters", allowed="%XX escapes")
    return uri if isinstance(uri, SipUri | TelUri) else None


def _with_scheme(text: str) -> str | None:
    """`sip:` in front of what then is a URI: the usual slip."""
    if ":" in text.partition("@")[0] or "@" not in text:
        return None
    try:
        parse_uri(f"sip:{text}")
    except RemoteError:
        return None
    return f"sip:{text}"


RouteUri = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(check_route)]
OutboundUri = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(check_outbound)]
FromUser = Annotated[
    str, matching(r"[^\x00-\x20\x7f<>\"@:;]{1,128}", "a number or a name, without spaces and <>@:;")
]
"""The user part of From, unescaped."""
