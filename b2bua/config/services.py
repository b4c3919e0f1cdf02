"""`api:`, `store:`, `records:` and `limits:`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from b2bua.config.addresses import ApiListener
from b2bua.config.auth import Word
from b2bua.config.section import Section, one_or_list, refusal, text_schema
from b2bua.config.trunk import CallLimit, CallRate

ApiKey = Annotated[SecretStr, Field(min_length=8, max_length=1024)]

_REDIS = re.compile(
    r"rediss?://(?:[^@/\s]*@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[0-9]{1,4})?"
)


class Api(Section):
    """The HTTP API."""

    listen: ApiListener
    """ADDRESS:PORT of this machine."""
    keys: tuple[ApiKey, ...] = ()
    """Bearer keys; at least one when others than this machine can reach `listen`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.keys and not self.listen.is_loopback:
            raise refusal("an API that others can reach needs keys", allowed="keys, or listen on 127.0.0.1")
        return self


DEFAULT_STORE = "sqlite:state/b2bua.db"
DEFAULT_MAX_OCTETS = 1024**3

_SIZE = re.compile(r"([0-9]{1,6})(KB|MB|GB)")
_UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
_STORES = "sqlite:PATH, sqlite:PATH?max_size=512MB, redis://host:6379/0, or disabled"


@dataclass(frozen=True, slots=True)
class Store:
    """Where state is kept."""

    kind: Literal["sqlite", "redis", "disabled"]
    path: Path | None = None
    """The file of sqlite."""
    max_octets: int = DEFAULT_MAX_OCTETS
    """How large that file may grow."""
    url: SecretStr | None = field(default=None)
    """The URL of redis; it may hold a password."""


def parse_store(value: object) -> Store:
    """`sqlite:PATH`, `redis://host:port/db` or `disabled`. Raises a refusal that never quotes the value."""
    text = value if isinstance(value, str) else ""
    if text.startswith("sqlite:") and len(text) > len("sqlite:") and "\0" not in text:
        path, _, size = text.removeprefix("sqlite:").partition("?max_size=")
        return Store("sqlite", path=Path(path), max_octets=parse_size(size) if size else DEFAULT_MAX_OCTETS)
    if _REDIS.fullmatch(text):
        return Store("redis", url=SecretStr(text))
    if text == "disabled":
        return Store("disabled")
    raise refusal("not a store", allowed=_STORES)


def parse_size(size: str) -> int:
    """Octets of `64KB`, `512MB` or `2GB`. Raises a refusal."""
    match = _SIZE.fullmatch(size)
    if match is None or not (octets := int(match[1]) * _UNITS[match[2]]):
        raise refusal("not a size", allowed="max_size=64KB, 512MB or 2GB")
    return octets


StoreUrl = Annotated[
    Store,
    BeforeValidator(parse_store),
    text_schema("^(sqlite:.+|rediss?://.+|disabled)$", DEFAULT_STORE, "redis://127.0.0.1:6379/0"),
]


class Records(Section):
    """Where ended calls are written down."""

    cdr: Path = Path("state/cdr.jsonl")
    """One JSON object per line per ended call; the folder is created."""
    recordings: Path = Path("state/recordings")
    """The folder of recordings, each named by its call's id; it is created, for us alone."""


SCANNERS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sipsak",
    "sip-scan",
    "siparmyknife",
    "sundayddr",
    "VaxSIPUserAgent",
    "pplsip",
    "nm@nm",
)


class Limits(Section):
    """Bounds of the whole process."""

    max_calls: CallLimit | None = None
    """Calls at once; more are answered 503. Without it, what ports and open files allow."""
    max_calls_per_second: CallRate | None = None
    """New calls per second of each trunk that does not set its own; more are answered 503. Without it, what this
    machine can do."""
    unknown_requests_per_source: CallRate = 10
    """Messages per second that are heard from one source that is no trunk; at more, it is answered 503 once and then
    not heard for a minute."""
    unknown_requests_in_all: CallRate = 100
    """The same for all such sources together; more are dropped."""
    scanners: Annotated[tuple[Word, ...], one_or_list()] = SCANNERS
    """Words in User-Agent or From that give a scanner away, in upper or lower case: it gets no answer."""
