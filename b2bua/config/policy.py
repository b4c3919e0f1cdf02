"""`policy:` which URIs may be dialled when they come from outside: REFER, the API, headers or a redirect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from b2bua.config.glob import matches
from b2bua.config.section import Section, one_or_list, refusal, text_schema
from b2bua.config.trunk import CallLimit, CallsPerHour
from sip_stack.errors import RemoteError
from sip_stack.message import SipUri, TelUri, parse_uri

_PATTERN = re.compile(r"(?P<scheme>sips?):(?P<user>[^@\s;]+)@(?P<host>[A-Za-z0-9*._-]+|\[[0-9A-Fa-f:.]+\])")
_TEL_PATTERN = re.compile(r"tel:(?P<number>[+0-9*#]+)")
_DEFAULT_PORTS = (None, 5060, 5061)
ALLOWED = "a pattern such as sip:*@cc.example.com or tel:+1*"


@dataclass(frozen=True, slots=True)
class UriPattern:
    """`sip:USER@HOST` or `tel:NUMBER` with `*`. Judged part by part.

    Never against the whole text, in which an attacker's URI could hold the allowed host as a parameter.
    """

    scheme: str
    user: str
    host: str = ""
    """Lower case; may begin with `*.`; IPv6 without brackets."""

    def allows(self, uri: SipUri | TelUri) -> bool:
        """True when the URI matches. `sip:` also allows `sips:`, never the reverse."""
        if isinstance(uri, TelUri):
            return self.scheme == "tel" and matches(self.user, uri.digits)
        return (
            uri.scheme.startswith(self.scheme)
            and matches(self.user, uri.username)
            and matches(self.host, uri.host.lower())
            and uri.port in _DEFAULT_PORTS
            # maddr sends the request elsewhere, whatever the host says (RFC 3261 section 16.6 step 7).
            and not uri.has_param("maddr")
        )


def parse_uri_pattern(value: object) -> UriPattern:
    """A pattern of `policy.allow`. Raises a refusal for what is none."""
    text = value if isinstance(value, str) else ""
    if match := _TEL_PATTERN.fullmatch(text):
        return UriPattern("tel", match["number"])
    match = _PATTERN.fullmatch(text)
    if match is None:
        suggestion = f"sip:{text}" if _PATTERN.fullmatch(f"sip:{text}") else None
        raise refusal("not a pattern of URIs", allowed=ALLOWED, suggestion=suggestion)
    host = match["host"].lower()
    if "*" in host.removeprefix("*."):
        raise refusal("a host with * inside", allowed="a host, or *.example.com for the names below it")
    return UriPattern(match["scheme"], match["user"], host.strip("[]"))


_SCHEMA = text_schema(r"^(sips?:.+@.+|tel:.+)$", "tel:+1*")


_PREFIX = re.compile(r"\+?[0-9*#]{1,64}")
_DIALABLE = re.compile(r"\+|[0-9*#]{7}|[0-9*#][^A-Za-z]*\Z")
_SEPARATORS = str.maketrans("", "", "-.() ")


def _prefix(text: str) -> str:
    prefix = _international(text.translate(_SEPARATORS))
    if _PREFIX.fullmatch(prefix) is None:
        raise refusal("not the beginning of a number", allowed="digits, best with the country: '+1900'")
    return prefix


def _international(number: str) -> str:
    return f"+{number[2:]}" if number.startswith("00") else number


def _numbers(user: str) -> list[str]:
    """The telephone numbers that a user part may lead to, digits only, `+` in place of a leading 00; none for a name.

    What begins as a number is one whatever follows, however long: a gateway dials what it can read of it. A local
    number may have its country beside it (RFC 3966), or a number in its place (RFC 4694).
    """
    name, *params = user.split(";")
    values = dict(each.lower().partition("=")[::2] for each in params)
    context = _number(values.get("phone-context", "")) or ""
    found = _number(name)
    if found is not None and context.startswith("+") and not found.startswith("+"):
        found = context + found
    return [each for each in (found, _number(values.get("rn", ""))) if each is not None]


def _number(text: str) -> str | None:
    text = text.translate(_SEPARATORS)
    if _DIALABLE.match(text) is None:
        return None
    digits = "".join([each for each in text if each in "0123456789*#"])
    return _international(f"+{digits}" if text.startswith("+") else digits)


Prefixes = Annotated[
    tuple[Annotated[str, Field(max_length=64), AfterValidator(_prefix)], ...],
    Field(max_length=10_000),
    one_or_list(),
]


class Policy(Section):
    """Which URIs may be dialled besides those of named destinations, and which numbers at all."""

    allow: tuple[Annotated[UriPattern, BeforeValidator(parse_uri_pattern), _SCHEMA], ...] = ()
    """Patterns; none means named destinations only."""
    allow_prefixes: Prefixes = ()
    """Beginnings of the numbers that may be dialled, by whomever; none means all."""
    deny_prefixes: Prefixes = ()
    """Beginnings of numbers that may not. Of all that fit a number the longest counts."""
    max_calls: CallLimit | None = None
    """Calls of ours to URIs from outside at once, all together; a destination has its own."""
    max_calls_per_hour: CallsPerHour | None = None
    """The same within any hour."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if both := set(self.allow_prefixes) & set(self.deny_prefixes):
            raise refusal(f"{min(both)} is both allowed and denied", allowed="one of the two")
        return self

    def allows(self, uri: str) -> bool:
        """True when one pattern allows the URI and its number is not barred; False also for what is no sip, sips or tel
        URI."""
        try:
            parsed = parse_uri(uri)
        except RemoteError:
            return False
        if not isinstance(parsed, SipUri | TelUri) or not any(each.allows(parsed) for each in self.allow):
            return False
        return not self.bars(uri)

    def bars(self, uri: str) -> bool:
        """True when the user of the URI is a number that may not be dialled."""
        if not self.allow_prefixes and not self.deny_prefixes:
            return False
        try:
            parsed = parse_uri(uri)
        except RemoteError:
            return True
        user = parsed.username if isinstance(parsed, SipUri) else str(parsed).removeprefix("tel:")
        return any(self._bars_number(number) for number in _numbers(user))

    def _bars_number(self, number: str) -> bool:
        allowed, denied = _longest(number, self.allow_prefixes), _longest(number, self.deny_prefixes)
        return denied > allowed or (allowed == 0 and bool(self.allow_prefixes))


def _longest(number: str, prefixes: tuple[str, ...]) -> int:
    """How much of a number the longest of these prefixes is; 0 for none."""
    return max((len(prefix) for prefix in prefixes if number.startswith(prefix)), default=0)
