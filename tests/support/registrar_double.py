"""A registrar of a provider in virtual time: challenges, grants, refuses as told, and calls whom it has."""

from __future__ import annotations

from b2bua.call.services import METHODS
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.auth.server import DigestServer
from sip_stack.dialog import ClientSession
from sip_stack.events import Event, OutOfDialogReceived
from sip_stack.message import NameAddr, Request, SipUri
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ServerTransaction
from sip_stack.transport import Target
from tests.support.b2bua_world import World, offer

Lines = tuple[tuple[str, str], ...]
SETTINGS = EndpointSettings(
    user_agent="registrar", allow=(*METHODS, "REGISTER"), out_of_dialog=("REGISTER",), supported=("path",)
)


class RegistrarDouble:
    """One registrar at one address."""

    def __init__(self, world: World, host: str, password: str | None = None) -> None:
        """With `password` every REGISTER is challenged."""
        self.host = host
        self.stack = SipStack(SETTINGS, network=world.network.at(host), token=world.tokens(host))
        self.stack.on_event = self._on_event
        self._digest = DigestServer("provider", secret=b"secret", token=world.tokens(f"nonces of {host}"))
        self._password = password
        self.requests: list[tuple[float, Request]] = []
        """REGISTERs that got by the challenge, and when."""
        self.challenged = 0
        self.bindings: dict[str, float] = {}
        """Contact URIs, and until when they count."""
        self.statuses: list[int] = []
        """What the next REGISTERs are answered; 200 when there is none left."""
        self.headers: Lines = ()
        """More headers of each response."""
        self.least = 60
        self.granted: int | None = None
        """Seconds granted whatever was asked."""

    async def start(self) -> RegistrarDouble:
        """Listen."""
        await self.stack.start([Listen("udp", self.host, 5060)])
        return self

    @property
    def contacts(self) -> list[str]:
        """The Contacts that count now."""
        return [uri for uri, until in self.bindings.items() if until > self.stack.now()]

    def _on_event(self, event: Event) -> None:
        if isinstance(event, OutOfDialogReceived):
            self._register(event.transaction, event.request)

    def _register(self, transaction: ServerTransaction, request: Request) -> None:
        now, respond = self.stack.now(), self.stack.endpoint.respond
        if self._password is not None:
            verdict = self._digest.verify(request, now, lambda name: self._password)
            if verdict.result != "accepted":
                self.challenged += 1
                stale = verdict.result == "stale"
                respond(now, transaction, 401, headers=self._digest.challenges(now, stale=stale))
                return
        self.requests.append((now, request))
        if (status := self.statuses.pop(0) if self.statuses else 200) != 200:
            respond(now, transaction, status, headers=self.headers)
            return
        for contact in request.contacts:
            seconds = int(contact.params.get("expires") or "3600")
            if 0 < seconds < self.least:
                respond(now, transaction, 423, headers=[("Min-Expires", str(self.least))])
                return
            if seconds and self.granted is not None:
                seconds = self.granted
            self.bindings[contact.uri] = now + seconds
        listed = ", ".join(f"<{uri}>;expires={self.bindings[uri] - now:.0f}" for uri in self.contacts)
        contacts = [("Contact", listed)] if listed else []
        respond(now, transaction, 200, headers=[*contacts, *self.headers])

    def call(self, number: str, headers: Lines = ()) -> ClientSession:
        """Call the Contact that is registered, for somebody who dialled `number`."""
        (contact,) = self.contacts
        uri = SipUri.parse(contact)
        session = self.stack.endpoint.invite(
            self.stack.now(),
            flow=self.stack.flow_to(Target("udp", uri.host, uri.port or 5060)),
            uri=contact,
            from_=NameAddr.parse(f"<sip:+15557770000@{self.host}>"),
            to=NameAddr.parse(f"<sip:{number}@{self.host}>"),
            headers=headers,
            body=offer(self.host),
        )
        self.stack.flush()
        return session
