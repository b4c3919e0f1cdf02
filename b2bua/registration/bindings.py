"""What is known of our registrations: their state, the trunk that a Contact of ours belongs to, and the way there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr, SipUri, TelUri

if TYPE_CHECKING:
    from sip_stack.message import Request


class State(StrEnum):
    """How a registration does."""

    TRYING = "trying"
    """The registrar has not answered yet."""
    REGISTERED = "registered"
    FAILED = "failed"
    """The last REGISTER did not succeed; the next one waits for its time."""


@dataclass(slots=True)
class Binding:
    """One trunk at one registrar. Times are those of the loop, in seconds."""

    trunk: str
    registrar: str
    address_of_record: str
    state: State = State.TRYING
    contact: str = ""
    """The URI that we gave, as of the last REGISTER that succeeded."""
    expires_at: float | None = None
    """When the registrar forgets us unless we refresh."""
    next_at: float | None = None
    """When the next REGISTER is sent."""
    failures: int = 0
    """In a row."""
    status: int | None = None
    """Of the last final response; None when there was none."""
    reason: str = ""
    """The phrase of that response, or what happened in place of one."""
    service_route: tuple[str, ...] = ()
    """What the registrar wants our calls to go through (RFC 3608)."""


class Bindings:
    """All registrations, and the look-ups that calls make."""

    def __init__(self) -> None:
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._contacts: dict[str, list[Binding]] = {}
        """By user of our Contact."""

    def watch(self, binding: Binding, contact_user: str) -> None:
        """Know of a binding from now on, and whom calls to this Contact are from."""
        self._bindings[binding.trunk, binding.registrar] = binding
        self._contacts.setdefault(contact_user, []).append(binding)

    def forget(self, binding: Binding, contact_user: str) -> None:
        """It is over. The Contact stays the trunk's while another registrar has it."""
        if self._bindings.get((binding.trunk, binding.registrar)) is binding:
            del self._bindings[binding.trunk, binding.registrar]
        others = [each for each in self._contacts.pop(contact_user, []) if each is not binding]
        if others:
            self._contacts[contact_user] = others

    def of_trunk(self, trunk: str) -> list[Binding]:
        """The bindings of a trunk."""
        return [each for each in self._bindings.values() if each.trunk == trunk]

    def service_route(self, trunk: str | None) -> tuple[str, ...]:
        """The Service-Route for calls through a trunk: of the first registrar that has us."""
        if not self._bindings or trunk is None:
            return ()
        routes = (each.service_route for each in self.of_trunk(trunk) if each.state is State.REGISTERED)
        return next((route for route in routes if route), ())

    def caller_of(self, request: Request) -> str | None:
        """The name of the trunk that calls a Contact of ours; None for any other request."""
        if not self._contacts:
            return None
        try:
            uri = request.request_uri
        except RemoteError:
            return None
        found = self._contacts.get(uri.username) if isinstance(uri, SipUri) else None
        return found[0].trunk if found else None

    def called(self, request: Request) -> str | None:
        """Whom a call to a Contact of ours is for; None when it is to no Contact of ours.

        The Contact took the place of the number in the Request-URI: P-Called-Party-ID tells it (RFC 7315 section 4.2),
        else To.
        """
        if self.caller_of(request) is None:
            return None
        given = request.headers.get("P-Called-Party-ID")
        try:
            address = request.to if given is None else NameAddr.parse(given)
            uri = address.parsed_uri
        except RemoteError:
            uri = request.to.parsed_uri
        if isinstance(uri, SipUri):
            return uri.username or ""
        return uri.number if isinstance(uri, TelUri) else ""
