"""URLs that we call back: what is one, and the tuning in its fragment, `#ct=2000&rt=3000&rc=2&rp=ct,rt&tt=20000`.

The fragment is for us: it is neither sent nor signed. Names and ranges of its keys are the published ones.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, WithJsonSchema

from b2bua.config.section import refusal

MAX_LENGTH = 2048

RetryOn = Literal["ct", "rt", "4xx", "5xx"]
"""What is tried again: no connection, no answer, an answer that blames us, one that does not."""
EVERY_RETRY: tuple[RetryOn, ...] = ("ct", "rt", "4xx", "5xx")

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
_NUMBER = re.compile(r"[0-9]{1,6}")
_RANGES = {"ct": (100, 10_000), "rt": (100, 40_000), "tt": (100, 55_000), "rc": (0, 5)}
_KEYS = "ct, rt, tt, rc and rp"


@dataclass(frozen=True, slots=True)
class Tuning:
    """How one request is made; None leaves it to the configuration. Times are seconds."""

    connect_timeout: float | None = None
    read_timeout: float | None = None
    total_timeout: float | None = None
    """Over all tries and the pauses between them."""
    retries: int | None = None
    retry_on: tuple[RetryOn, ...] | None = None


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """An http or https URL. Its query may hold secrets: `receiver` is what logs may say."""

    text: str = field(repr=False)
    """Without the fragment: what is called, and what is signed."""
    secure: bool
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    target: str = field(repr=False)
    """Path and query."""
    tuning: Tuning = Tuning()

    @property
    def is_numeric(self) -> bool:
        """True when the host is an address."""
        return ":" in self.host or self.host.replace(".", "").isdecimal()

    @property
    def receiver(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_callback_url(text: str) -> CallbackUrl:
    """The URL in `text`. Raises a refusal that never quotes it."""
    if len(text) > MAX_LENGTH:
        raise refusal("too long a URL", allowed=f"up to {MAX_LENGTH} characters")
    if not text:
        raise refusal("empty", allowed="http(s)://HOST[:PORT]/PATH")
    if _VISIBLE.fullmatch(text) is None:
        raise refusal("a URL with spaces, controls or letters beyond ASCII", allowed="escape them")
    try:
        parts = urlsplit(text)
        port, _ = parts.port, parts.hostname
    except ValueError:
        raise refusal("not a URL", allowed="http(s)://HOST[:PORT]/PATH") from None
    host = _host(parts)
    if parts.username is not None or parts.password is not None:
        raise refusal("a URL with a user in it", allowed="put a token into the query")
    secure = parts.scheme.lower() == "https"
    path = parts.path or "/"
    return CallbackUrl(
        text=text.partition("#")[0],
        secure=secure,
        host=host,
        port=port if port else 443 if secure else 80,
        target=f"{path}?{parts.query}" if "?" in text.partition("#")[0] else path,
        tuning=_tuning(parts.fragment),
    )


def _host(parts: SplitResult) -> str:
    if parts.scheme.lower() not in ("http", "https"):
        raise refusal("not an http or https URL", allowed="http(s)://HOST[:PORT]/PATH")
    host = parts.hostname or ""
    if ":" in host or host.replace(".", "").isdecimal():
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise refusal("a URL without a usable host", allowed="a name or an address") from None
    if _NAME.fullmatch(host) is None:
        raise refusal("a URL without a usable host", allowed="a name or an address")
    return host


def _tuning(fragment: str) -> Tuning:
    if not fragment:
        return Tuning()
    found: dict[str, str] = {}
    for pair in fragment.split("&"):
        key, _, value = pair.partition("=")
        if key in found or key not in (*_RANGES, "rp"):
            raise refusal("an unknown or repeated key after the # of the URL", allowed=_KEYS)
        found[key] = value
    return Tuning(
        connect_timeout=_seconds(found, "ct"),
        read_timeout=_seconds(found, "rt"),
        total_timeout=_seconds(found, "tt"),
        retries=_number(found, "rc"),
        retry_on=_retry_on(found["rp"]) if "rp" in found else None,
    )


def _seconds(found: dict[str, str], key: str) -> float | None:
    milliseconds = _number(found, key)
    return None if milliseconds is None else milliseconds / 1000


def _number(found: dict[str, str], key: str) -> int | None:
    if key not in found:
        return None
    low, high = _RANGES[key]
    if _NUMBER.fullmatch(found[key]) is None or not low <= int(found[key]) <= high:
        raise refusal(f"{key} after the # of the URL is out of range", allowed=f"{low} to {high}")
    return int(found[key])


def _retry_on(value: str) -> tuple[RetryOn, ...]:
    words = value.split(",")
    if words == ["all"]:
        return EVERY_RETRY
    if not set(words) <= set(EVERY_RETRY):
        raise refusal("rp after the # of the URL is unknown", allowed="ct, rt, 4xx, 5xx, or all")
    return cast(tuple[RetryOn, ...], tuple(dict.fromkeys(words)))


def _check(text: str) -> str:
    parse_callback_url(text)
    return text


CallbackUrlText = Annotated[
    str,
    AfterValidator(_check),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://",
            "examples": ["https://app.example.com/hooks/handoff#rc=3"],
        }
    ),
]
"""The text of a URL that `parse_callback_url` takes."""
