"""Who calls: the trunk that an INVITE comes from, by its source address, its certificate, its credentials, or several.

A trunk with addresses is whoever sends from there, a trunk with `tls_subject` whoever has shown a certificate for it,
a trunk with `auth` whoever knows the password; all that a trunk asks for must be shown. Without addresses it may call
from any that is no other trunk's. A trunk that we registered at is whoever calls the Contact that we gave it, from one
of its addresses if it has any. What fails tells nothing but that it failed: the answer to a wrong name, a wrong
password and none at all is the same challenge.

Only INVITEs that begin a call are asked. ACK and CANCEL cannot be (RFC 3261 section 22.1), and requests within a call
come from whom we gave our tag.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.admission import Doorkeeper
from b2bua.admission.doorkeeper import FORBIDDEN
from b2bua.registration.bindings import Bindings
from b2bua.telemetry.logs import OncePerInterval, excerpt, get_logger
from sip_stack.aio.tokens import TokenSource
from sip_stack.auth.server import DigestServer
from sip_stack.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from b2bua.config import Configuration, Trunk
    from sip_stack.message import Request


class Trunks:
    """Answers who is calling. `configuration` may be replaced at any time."""

    def __init__(
        self, configuration: Configuration, clock: Callable[[], float], bindings: Bindings | None = None
    ) -> None:
        """`bindings` are our registrations."""
        self._bindings = bindings or Bindings()
        self.doorkeeper = Doorkeeper(configuration, clock, self._challenge_stranger, self._bindings.caller_of)
        self._secret = secrets.token_bytes(32)
        self._token = TokenSource()
        self._configuration = configuration
        self._server = self._make_server()
        self._log = get_logger()
        self._once = OncePerInterval(60.0, clock)

    @property
    def configuration(self) -> Configuration:
        """What it goes by, and its doorkeeper."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: Configuration) -> None:
        before, now = self._configuration.sip, configuration.sip
        self._configuration = self.doorkeeper.configuration = configuration
        if (now.realm, now.digest_algorithms) != (before.realm, before.digest_algorithms):
            self._server = self._make_server()

    def identify(
        self, request: Request, source: str, now: float, subjects: tuple[str, ...] = ()
    ) -> Trunk | Refusal:
        """The trunk that sends this INVITE, or what to answer to it. `subjects` is what its TLS certificate says."""
        trunk = (
            self._registered_at(request, source, now)
            or self._configuration.trunk_for(source)
            or self._configuration.trunk_of_certificate(subjects)
        )
        accept = None if trunk is None else trunk.accept
        if trunk is not None and accept is not None and not accept.has_shown(subjects):
            self._note_certificate(trunk, subjects, source)
            return FORBIDDEN
        if trunk is not None and (accept is None or accept.auth is None):
            return trunk
        logins = self._configuration.logins if trunk is None else _login_of(trunk)
        if not logins:
            return FORBIDDEN
        verdict = self._server.verify(request, now, lambda name: _password(logins, name))
        if verdict.result == "accepted" and verdict.username is not None:
            caller = logins[verdict.username]
            self.doorkeeper.logged_in(source, caller, now)
            return caller
        if verdict.result == "refused":
            self._note_failure(request, trunk, source, now)
        return self._challenge(now, stale=verdict.result == "stale")

    def _registered_at(self, request: Request, source: str, now: float) -> Trunk | None:
        """The trunk whose Contact of ours is called, from where it may call."""
        name = self._bindings.caller_of(request)
        trunk = None if name is None else self._configuration.trunks.get(name)
        if trunk is None or not (trunk.accept is None or trunk.accept.may_come_from(source)):
            return None
        if trunk.accept is None:
            # It may call from wherever it likes, and proved that it is no stranger.
            self.doorkeeper.logged_in(source, trunk, now)
        return trunk

    def _challenge(self, now: float, *, stale: bool = False) -> Refusal:
        self.doorkeeper.counters.challenged += 1
        return Refusal(self._server.status, headers=tuple(self._server.challenges(now, stale=stale)))

    def _challenge_stranger(self, now: float) -> Refusal:
        return replace(self._challenge(now), stateless=True)

    def _make_server(self) -> DigestServer:
        sip = self._configuration.sip
        return DigestServer(
            sip.realm, secret=self._secret, token=self._token, algorithms=sip.digest_algorithms
        )

    def _note_certificate(self, trunk: Trunk, subjects: tuple[str, ...], source: str) -> None:
        if (held := self._once.allow(f"certificate {source}")) is not None:
            shown = ", ".join(subjects[:8]) or None
            self._log.warning("certificate_refused", trunk=trunk.name, source=source, shown=shown, held=held)

    def _note_failure(self, request: Request, trunk: Trunk | None, source: str, now: float) -> None:
        self.doorkeeper.failed_login(source, now)
        if (held := self._once.allow(source)) is not None:
            # The name is not logged: it may be a password in the wrong field.
            self._log.warning(
                "authentication_failed",
                trunk=None if trunk is None else trunk.name,
                source=source,
                user_agent=excerpt(request.headers.get("User-Agent")),
                held=held,
            )


def _login_of(trunk: Trunk) -> Mapping[str, Trunk]:
    auth = trunk.accept.auth if trunk.accept is not None else None
    return {auth.username: trunk} if auth is not None else {}


def _password(logins: Mapping[str, Trunk], username: str) -> str | None:
    trunk = logins.get(username)
    auth = trunk.accept.auth if trunk is not None and trunk.accept is not None else None
    return auth.password.get_secret_value() if auth is not None else None
