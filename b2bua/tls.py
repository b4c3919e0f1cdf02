"""TLS as a configuration asks for it, and the days that our certificates have left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from b2bua.telemetry.logs import get_logger
from sip_stack.aio.tls_contexts import TlsContexts

if TYPE_CHECKING:
    from b2bua.certificates import Certificate
    from b2bua.config import Configuration

REMIND_SECONDS = 86400.0
"""Between two log lines about the same certificate."""


def contexts_of(configuration: Configuration) -> TlsContexts | None:
    """What connections use from now on; None without a certificate. Reads files. Raises `TlsFileError`."""
    settings = configuration.tls_settings()
    return None if settings is None else TlsContexts(settings, configuration.tls_terms())


class ExpiryWatch:
    """Warns in the log, once a day, about certificates that come to their end."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives POSIX seconds."""
        self._clock = clock
        self._told: dict[tuple[str, float], float] = {}
        self._log = get_logger()

    def look(self, certificates: Iterable[Certificate]) -> None:
        """To be called now and then; cheap."""
        now = self._clock()
        told, self._told = self._told, {}
        for certificate in certificates:
            warning = certificate.warning(now)
            if warning is None:
                continue
            key = certificate.file, certificate.not_after
            at = told.get(key)
            if at is None or now - at >= REMIND_SECONDS:
                at = now
                self._log.warning("certificate_dates", certificate=certificate.file, problem=warning)
            self._told[key] = at
