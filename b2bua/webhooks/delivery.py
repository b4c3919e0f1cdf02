"""One request and its tries: what is sent, what is tried again, and how long to wait in between."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from b2bua import __version__
from b2bua.config.callback_url import CallbackUrl, RetryOn
from b2bua.config.webhooks import Webhooks as Settings
from b2bua.webhooks.parameters import DIGITS, FINAL
from b2bua.webhooks.sender import ConnectFailed, Refused, Sender, SendFailed
from b2bua.webhooks.signature import (
    MAIN_SIGNATURE_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    Parameters,
    sign,
)

FIRST_PAUSE = 0.5
"""Seconds before the second try; doubled for each further one, and then cut by chance to half at most."""
LONGEST_PAUSE = 8.0


class Lost(Exception):
    """The receiver did not take the request, and will not be asked again; the text says why."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to be made."""

    url: CallbackUrl
    parameters: Parameters
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The same in every try, so that a receiver can tell that it has seen it."""


def id_of(parameters: Parameters) -> str:
    """The id of a request that is made once for its handoff, or its leg: the same in every process that may send it. A
    key may be pressed again: each has an id of its own."""
    said = dict(parameters)
    if said["Event"] == DIGITS:
        return str(uuid.uuid4())
    leg = "" if said["Event"] == FINAL else said["DialBLegUUID"]
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{said['Event']} {said['HandoffID']} {leg}"))


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings, with the URL's own in their place."""

    connect_timeout: float
    read_timeout: float
    total_timeout: float
    retries: int
    retry_on: tuple[RetryOn, ...]

    @classmethod
    def of(cls, settings: Settings, url: CallbackUrl) -> Limits:
        """Those of a request to `url`."""
        own = url.tuning
        return cls(
            own.connect_timeout or settings.connect_timeout,
            own.read_timeout or settings.read_timeout,
            own.total_timeout or settings.total_timeout,
            settings.retries if own.retries is None else own.retries,
            settings.retry_on if own.retry_on is None else own.retry_on,
        )


async def deliver(
    delivery: Delivery, settings: Settings, sender: Sender, on_retry: Callable[[], None] = lambda: None
) -> None:
    """Send until it is taken (any 2xx). Raises `Lost`. `on_retry` is told before each try but the first."""
    limits = Limits.of(settings, delivery.url)
    problem = "no time for a try"
    try:
        async with asyncio.timeout(limits.total_timeout):
            for number in range(limits.retries + 1):
                if number:
                    await asyncio.sleep(pause(number))
                    on_retry()
                kind, problem = await _try(delivery, settings, limits, sender)
                if kind is None:
                    return
                if kind not in limits.retry_on:
                    break
    except TimeoutError:
        problem = f"{problem}; total_timeout"
    raise Lost(problem)


def pause(number: int) -> float:
    """Seconds before try `number` (the first has none): by chance, so that not all come back at once."""
    longest = min(FIRST_PAUSE * 2.0 ** (number - 1), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


async def _try(
    delivery: Delivery, settings: Settings, limits: Limits, sender: Sender
) -> tuple[str | None, str]:
    """One try: None when the receiver took it, else what went wrong as `retry_on` calls it, and in words."""
    headers, body = compose(delivery, settings)
    try:
        status = await sender.post(
            delivery.url,
            headers,
            body,
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.read_timeout,
        )
    except Refused as refused:
        return "refused", str(refused)
    except ConnectFailed as failed:
        return "ct", str(failed)
    except SendFailed as failed:
        return "rt", str(failed)
    if 200 <= status < 300:
        return None, ""
    return f"{status // 100}xx", f"answered {status}"


def compose(delivery: Delivery, settings: Settings) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of one try; the nonce, and with it the signature, is new in each."""
    if settings.format == "json":
        kind, body = "application/json", json.dumps(dict(delivery.parameters), ensure_ascii=False)
    else:
        kind, body = "application/x-www-form-urlencoded", urlencode(delivery.parameters, errors="replace")
    headers = [
        ("Content-Type", kind),
        ("User-Agent", f"b2bua/{__version__}"),
        ("Idempotency-Key", delivery.id),
        ("Accept", "*/*"),
    ]
    if settings.token:
        nonce = f"{secrets.randbelow(10**20):020}"
        tokens = [token.get_secret_value() for token in settings.token]
        signature = sign(delivery.url.text, delivery.parameters, nonce, tokens)
        headers += [
            (SIGNATURE_HEADER, signature),
            (MAIN_SIGNATURE_HEADER, signature),
            (NONCE_HEADER, nonce),
        ]
    return headers, body.encode("utf-8", "replace")
