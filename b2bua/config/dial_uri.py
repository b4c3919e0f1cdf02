"""The URIs we dial: what a destination's `route` and a trunk's `outbound.uri` may say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from b2bua.config.problems import listing
from b2bua.config.section import matching, refusal
from b2bua.encryption import UNENCRYPTED, Encryption, needs_tls
from sip_stack.errors import RemoteError
from sip_stack.message import SipUri, TelUri, escape_user, parse_uri

ALLOWED = "sip:user@host, or a number with `trunk: <name of a trunk with outbound>`"
ALLOWED_PORT = "a port from 1 to 65535; an IPv6 address in brackets: sip:user@[2001:db8::1]:5060"

TRANSPORTS = ("udp", "tcp", "tls")

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


def check_route(text: str, encryption: str) -> str:
    """One item of `route`. Raises a refusal for what we cannot dial, and for what contradicts `encryption`."""
    if number_of(text) is not None:
        return text
    uri = check_sip_uri(text)
    if (contradiction := contradiction_of(uri, encryption)) is not None:
        message, allowed = contradiction
        raise refusal(message, allowed=allowed)
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
    """A sip or sips URI for a transport of ours. Raises a refusal that never quotes it: it may hold a password."""
    uri = _check_form(text)
    transport = transport_said(uri)
    if transport is not None and transport not in TRANSPORTS:
        raise refusal("an unknown transport", allowed=listing(f"transport={each}" for each in TRANSPORTS))
    if uri.scheme == "sips" and transport == "udp":
        raise refusal("sips: and transport=udp contradict each other", allowed="sips: alone")
    return uri


def transport_said(uri: SipUri) -> str | None:
    """The `transport` parameter of a URI; None when there is none."""
    said = uri.param("transport")
    return said.lower() if said else None


def contradiction_of(uri: SipUri, encryption: str) -> tuple[str, str] | None:
    """What is wrong with dialling a URI with this encryption, and what is allowed; None when nothing is."""
    said = transport_said(uri)
    if needs_tls(encryption):
        if said in ("udp", "tcp"):
            return f"transport={said} is in clear, and {encryption} is not", "transport=tls, or none"
    elif uri.scheme == "sips" or said == "tls":
        what = "sips:" if uri.scheme == "sips" else "transport=tls"
        return f"{what} needs TLS, and {UNENCRYPTED} is unencrypted", "sip: without transport=tls"
    return None


def least_encryption(text: str) -> Encryption:
    """How to dial a URI that came without any word on that: in clear, unless it asks for TLS itself."""
    uri = parse_uri(text)
    asks = isinstance(uri, SipUri) and contradiction_of(uri, UNENCRYPTED) is not None
    return "tls/srtp-preferred" if asks else UNENCRYPTED


def through(outbound: str, number: str) -> str:
    """The URI to dial for a number at a trunk: `sip:+15550001000@gw.acme.example`."""
    return str(replace(SipUri.parse(outbound), user=escape_user(number)))


def _check_form(text: str) -> SipUri:
    """A sip or sips URI without a password and headers, whatever its transport."""
    uri = _parse(text)
    if not isinstance(uri, SipUri):
        raise refusal("not a URI that can be dialled", allowed=ALLOWED, suggestion=_meant(text))
    if uri.password is not None:
        raise refusal("a password in a URI is sent and logged in clear", allowed="auth: {username, password}")
    if uri.headers:
        raise refusal("headers in a URI that is dialled (RFC 3261 section 19.1.1)", allowed="headers:")
    return uri


def _parse(text: str) -> SipUri | TelUri | None:
    """None for a URI of another scheme."""
    try:
        uri = parse_uri(text)
    except RemoteError as error:
        part = error.reason.removeprefix("Malformed ")
        message = "not a URI" if part in ("URI", error.reason) else f"not a URI, for its {part}"
        allowed = ALLOWED_PORT if part == "port" else ALLOWED
        raise refusal(message, allowed=allowed, suggestion=_meant(text)) from None
    if not text.isascii():
        raise refusal("a URI with other than ASCII characters", allowed="%XX escapes")
    return uri if isinstance(uri, SipUri | TelUri) else None


def _meant(text: str) -> str | None:
    """What is a URI without the `<>` around it or with `sip:` before it: the usual slips."""
    if text[:1] == "<" and text[-1:] == ">":
        text = text[1:-1]
    elif "@" not in text:
        return None
    if ":" not in text.partition("@")[0]:
        text = f"sip:{text}"
    try:
        parse_uri(text)
    except RemoteError:
        return None
    return text


def _route_uri(text: str, info: ValidationInfo) -> str:
    return check_route(text, info.data.get("encryption", UNENCRYPTED))


RouteUri = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_route_uri)]
"""One URI of a `route`; the model has `encryption` before it."""
OutboundUri = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(check_outbound)]
FromUser = Annotated[
    str, matching(r"[^\x00-\x20\x7f<>\"@:;]{1,128}", "a number or a name, without spaces and <>@:;")
]
"""The user part of From, unescaped."""
