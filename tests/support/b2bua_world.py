"""A B2BUA with its callers and destinations on one fake network, in virtual time.

The B2BUA is the real one, from `CallRegistry` down to the SIP stack; its media is the double, its records go to a
list. Phones are SIP stacks of their own at addresses of their own, told by small functions how to behave.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from b2bua.call.record import CallRecord
from b2bua.call.registry import CallRegistry
from b2bua.call.services import METHODS, SUPPORTED, Services
from b2bua.config import load_configuration
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import Handoff, HandoffRequest
from b2bua.trace import TraceRing
from media.engine import Prompt
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.auth.digest import Credentials
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.events import Event, InviteReceived, ReofferReceived, RequestReceived
from sip_stack.extensions import NO_EXTENSIONS, Extensions
from sip_stack.locating import ResolutionError
from sip_stack.message import NameAddr, Request, parse_uri
from sip_stack.sdp import Direction, common, parse, turned
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Target
from tests.support.fake_network import FakeAsyncNetwork, Wire
from tests.support.media_double import MediaDouble
from tests.support.media_leg_double import LegDouble
from tests.support.virtual_loop import run_virtual

B2BUA = "192.0.2.100"
SBC = "192.0.2.77"
DESK = "198.51.100.1"
BILLING = "198.51.100.2"

CONFIGURATION = f"""\
sip:
  listen: ["udp:{B2BUA}:5060"]
media:
  address: {B2BUA}
trunks:
  acme-sbc:
    accept: {{addresses: ["192.0.2.0/24"]}}
    max_calls: 100
routes:
  - {{trunk: acme-sbc, to: billing, destination: billing}}
  - {{trunk: acme-sbc, to: desk, destination: front-desk}}
destinations: destinations.yaml
records: {{cdr: cdr.jsonl}}
"""

DESTINATIONS = f"""\
front-desk:
  default: true
  method: invite
  encryption: udp/rtp
  route: sip:operator@{DESK}
billing:
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@{BILLING}
  auth: {{username: acme, password: s3cret-of-billing}}
  headers: {{X-Customer: $x_customer, X-Caller: $caller_id, X-Reason: $reason}}
"""

E = TypeVar("E", bound=Event)
Behaviour = Callable[["Phone", ServerSession, Request], Awaitable[None]]
ReofferBehaviour = Callable[["Phone", ReofferReceived], Awaitable[None]]
PHONE = EndpointSettings(user_agent="phone", allow=METHODS, supported=SUPPORTED)


def offer(
    host: str, port: int = 4000, payload: str = "0 8 101", direction: Direction = Direction.SENDRECV
) -> bytes:
    """A phone's session description."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payload}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


def direction_of(body: bytes) -> Direction:
    """The direction of the first stream of a description."""
    session = parse(body)
    return session.direction_of(session.media[0])


class Phone:
    """A SIP phone at one address. `events` are all it saw, in order."""

    def __init__(self, world: World, host: str, settings: EndpointSettings = PHONE) -> None:
        self.world = world
        self.host = host
        self.stack = SipStack(settings, network=world.network.at(host), token=world.tokens(host))
        self.stack.on_event = self._on_event
        self.events: list[Event] = []
        self.sessions: list[ServerSession] = []
        self.on_invite: Behaviour = answer
        self.on_reoffer: ReofferBehaviour = follow
        self.direction = Direction.SENDRECV
        """What the phone wants of its own; `reoffer` sets it."""
        self.info_status = 200
        """What an INFO is answered, and any other request that `on_request` leaves to it."""
        self.on_request: Callable[[Phone, RequestReceived], None] = respond
        self.requests: list[Request] = []
        """Requests inside its calls, beyond BYE and offers."""
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()

    @property
    def now(self) -> float:
        """Virtual time."""
        return self.stack.now()

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()
        if isinstance(event, InviteReceived):
            self.sessions.append(event.session)
            self._tasks.append(asyncio.ensure_future(self.on_invite(self, event.session, event.request)))
        elif isinstance(event, ReofferReceived):
            self._tasks.append(asyncio.ensure_future(self.on_reoffer(self, event)))
        elif isinstance(event, RequestReceived):
            self.requests.append(event.request)
            self.on_request(self, event)

    def call(
        self,
        user: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        credentials: Credentials | None = None,
        extensions: Extensions = NO_EXTENSIONS,
    ) -> ClientSession:
        """Call `user` at the B2BUA."""
        session = self.stack.endpoint.invite(
            self.now,
            flow=self.stack.flow_to(Target("udp", B2BUA, 5060)),
            uri=f"sip:{user}@{B2BUA}",
            from_=NameAddr.parse(f'"Alice" <sip:+15551230000@{self.host}>'),
            to=NameAddr.parse(f"<sip:{user}@{B2BUA}>"),
            contact_user="alice",
            headers=headers,
            body=offer(self.host) if body is None else body,
            credentials=credentials,
            extensions=extensions,
        )
        self.stack.flush()
        return session

    def reoffer(self, session: ClientSession | ServerSession, direction: Direction) -> None:
        """Hold or resume by a re-INVITE."""
        self.direction = direction
        self.do(lambda now: session.reoffer(now, offer(self.host, direction=direction)))

    def do(self, command: Callable[[float], None]) -> None:
        """Give a session a command at the present moment, and send what comes of it."""
        command(self.now)
        self.stack.flush()

    async def until(self, kind: type[E], *, count: int = 1, patience: float = 120.0) -> E:
        """The `count`th event of that kind; fails after `patience` virtual seconds."""
        deadline = self.now + patience
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            self._news.clear()
            remaining = deadline - self.now
            assert remaining > 0, f"{self.host}: no {kind.__name__} after {patience} s; saw {self.names()}"
            try:
                async with asyncio.timeout(remaining):
                    await self._news.wait()
            except TimeoutError:
                continue
        return found[count - 1]

    def events_of(self, kind: type[E]) -> list[E]:
        """The events of that kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        """The kinds of events so far."""
        return [type(event).__name__ for event in self.events]

    def reoffers(self) -> list[Direction]:
        """The directions of the offers of the B2BUA that reached this phone, re-INVITEs only."""
        return [
            direction_of(event.request.body) for event in self.events if isinstance(event, ReofferReceived)
        ]

    def invites(self) -> list[Request]:
        """The INVITEs that reached this phone, those that open a call."""
        return [event.request for event in self.events if isinstance(event, InviteReceived)]

    async def close(self) -> None:
        """Stop its behaviours and its stack."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stack.close()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result


class World:
    """Everything in one story."""

    def __init__(self, folder: Path, *, main: str, destinations: str, wire: Wire | None) -> None:
        (folder / "b2bua.yaml").write_text(main)
        (folder / "destinations.yaml").write_text(destinations)
        self.configuration = load_configuration(folder / "b2bua.yaml", {}, [])
        self.network = FakeAsyncNetwork(wire or Wire())
        self.media = MediaDouble(host=B2BUA)
        self.records: list[CallRecord] = []
        self.names: dict[str, list[str]] = {}
        """Host names and their addresses; others do not exist."""
        settings = EndpointSettings(allow=METHODS, supported=SUPPORTED)
        self.stack = SipStack(settings, network=self.network.at(B2BUA), token=self.tokens(B2BUA))
        prompts: dict[Path, Prompt] = {
            path: self.media.load_prompt(path)
            for path in (*self.configuration.hold_music_files(), *self.configuration.whisper_files())
        }
        self.trace = self.stack.tap = TraceRing(4_000_000)
        services = Services(self.stack, self.media, self, self, "node-1", prompts, trace=self.trace)  # type: ignore[arg-type]
        self.registry = CallRegistry(services, self.configuration)
        self.stack.on_event = self.registry.deliver
        self.stack.endpoint.gate = self.registry.trunks.doorkeeper
        self.phones: dict[str, Phone] = {}

    def tokens(self, host: str) -> Callable[[], str]:
        """The tags, branches and random delays of a host: the same in every run of a story."""
        source = random.Random(f"{self.network.wire.seed} {host}")
        return lambda: f"{source.getrandbits(80):020x}"

    def write(self, record: CallRecord) -> None:
        """Take a finished record."""
        self.records.append(record)

    async def resolve(
        self,
        uri: str,
        *,
        tls: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[Target]:
        """The resolver of this world: literals, and the names it knows."""
        parsed = parse_uri(uri)
        host = getattr(parsed, "host", "")
        if host[:1].isdigit():
            return [Target("udp", host, 5060)]
        if host not in self.names:
            raise ResolutionError(f"{host}: does not exist")
        return [Target("udp", address, 5060, host) for address in self.names[host]]

    async def phone(
        self, host: str, behaviour: Behaviour | None = None, settings: EndpointSettings = PHONE
    ) -> Phone:
        """A phone at `host`."""
        phone = self.phones[host] = Phone(self, host, settings)
        phone.on_invite = behaviour or answer
        await phone.stack.start([Listen("udp", host, 5060)])
        return phone

    def hand_off(self, **request: object) -> Handoff:
        """Ask for a handoff of the only call, as the API would."""
        (call,) = self.registry.calls.values()
        return begin(call, HandoffRequest(**request))  # type: ignore[arg-type]

    async def until(self, condition: Callable[[], object], patience: float = 120.0) -> None:
        """Wait in virtual time until something holds."""
        deadline = self.stack.now() + patience
        while not condition():
            assert self.stack.now() < deadline, "it did not happen"
            await asyncio.sleep(0.01)

    async def record(self, count: int = 1, patience: float = 300.0) -> CallRecord:
        """The `count`th record, when it is there."""
        deadline = self.stack.now() + patience
        while len(self.records) < count:
            assert self.stack.now() < deadline, f"no record; calls: {list(self.registry.calls)}"
            await asyncio.sleep(0.05)
        return self.records[count - 1]

    def legs(self) -> tuple[LegDouble, LegDouble]:
        """The media toward the caller and toward the agent, of the newest call."""
        call = self.media.calls[-1]
        return call.leg("caller"), call.leg("agent")

    async def settle(self) -> None:
        """Until no transaction lingers anywhere; then nothing may be left over."""
        stacks = [self.stack, *(phone.stack for phone in self.phones.values())]
        for _ in range(2000):
            if not any(stack.endpoint.transaction_count for stack in stacks):
                break
            await asyncio.sleep(0.25)
        for stack in stacks:
            assert stack.endpoint.transaction_count == 0
            assert stack.endpoint.session_count == 0, f"{stack.endpoint.session_count} sessions left"
            assert stack.internal_errors == 0
        assert not self.registry.calls
        assert self.registry.failures == 0
        self.media.assert_nothing_open()

    async def close(self) -> None:
        """Let go of everything."""
        for phone in self.phones.values():
            await phone.close()
        await self.stack.close()
        await self.media.close()


Story = Callable[[World], Awaitable[None]]


def play(
    story: Story,
    folder: Path,
    *,
    main: str = CONFIGURATION,
    destinations: str = DESTINATIONS,
    wire: Wire | None = None,
    settle: bool = True,
) -> World:
    """Run a story to its end in virtual time; afterwards no call, session, transaction or port may be left."""

    async def whole() -> World:
        world = World(folder, main=main, destinations=destinations, wire=wire)
        await world.media.start()
        await world.stack.start([Listen("udp", B2BUA, 5060)])
        try:
            await story(world)
            if settle:
                await world.settle()
        finally:
            await world.close()
        return world

    return run_virtual(whole())


def respond(phone: Phone, event: RequestReceived) -> None:
    """Answer a request inside a call."""
    event.session.respond(phone.now, event.transaction, phone.info_status)


# -- how a called phone may behave --------------------------------------------------------------------------------


async def answer(phone: Phone, session: ServerSession, request: Request) -> None:
    """Ring at once, answer after two seconds."""
    phone.do(lambda now: session.progress(now, 180))
    await asyncio.sleep(2)
    if session.state is SessionState.EARLY:
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))


async def ring(phone: Phone, session: ServerSession, request: Request) -> None:
    """Ring for ever."""
    phone.do(lambda now: session.progress(now, 180))


async def ignore(phone: Phone, session: ServerSession, request: Request) -> None:
    """Nothing beyond the 100 that the stack sends."""


async def follow(phone: Phone, event: ReofferReceived) -> None:
    """Answer a re-INVITE as a phone does: with what its own hold permits of what is offered."""
    direction = common(turned(direction_of(event.request.body)), phone.direction)
    body = offer(phone.host, direction=direction)
    phone.do(lambda now: event.session.answer_reoffer(now, event.transaction, body))


def refuse_reoffer(status: int, *headers: tuple[str, str]) -> ReofferBehaviour:
    """Refuse every re-INVITE with that status."""

    async def behaviour(phone: Phone, event: ReofferReceived) -> None:
        phone.do(lambda now: event.session.refuse(now, event.transaction, status, headers=headers))

    return behaviour


def refuse(status: int, **options: object) -> Behaviour:
    """Refuse with that status."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.reject(now, status, **options))  # type: ignore[arg-type]

    return behaviour
