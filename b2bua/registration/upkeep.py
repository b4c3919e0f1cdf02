"""One registration kept up: registered, refreshed before it expires, tried again with longer and longer pauses.

RFC 3261 section 10.2; RFC 3327 and RFC 3608 (Path, Service-Route); behind a NAT our Contact is where the registrar saw
us, and something is sent often enough to keep that so (RFC 5626 section 4.4.1).
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.inquiry import Inquiry
from b2bua.preloaded_route import way_through
from b2bua.registration import pauses, reply
from b2bua.registration.bindings import Binding, State
from b2bua.telemetry.logs import get_logger
from sip_stack.dialog.core import contact
from sip_stack.errors import SipError
from sip_stack.message import NameAddr

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.registration.plan import Plan
    from sip_stack.message import Response
    from sip_stack.transport import Flow, Target

KEEP_ALIVE = 25.0
"""Seconds between two keep-alives where there is a NAT or a connection; NATs forget UDP after 30."""

SERVICE_UNAVAILABLE = 503

MAX_ROUNDS = 3
"""REGISTERs for one registration: as it is, with the interval that a 423 asks for, with the address that a NAT gave."""


class Upkeep:
    """Owns the binding of one plan."""

    def __init__(self, services: Services, plan: Plan) -> None:
        self._services = services
        self._plan = plan
        self.binding = Binding(plan.trunk, plan.registrar, plan.address_of_record)
        services.bindings.watch(self.binding, plan.contact_user)
        self._log = get_logger().bind(trunk=plan.trunk, registrar=plan.registrar)
        self._way = way_through(plan.registrar, plan.proxies)
        self._call_id = services.stack.token()
        self._cseq = 0
        self._expires = plan.expires
        """What we ask for; more than is configured once a registrar has said that it must be."""
        self._flow: Flow | None = None
        """How the registrar that has us was reached."""
        self._gone = asyncio.Event()
        """Set when the connection is over through which the registrar would call us."""
        self._seen: str | None = None
        """Our Contact as the far end sees it, behind a NAT."""
        self._complaint = ""
        """What was logged last."""

    async def run(self) -> None:
        """Stay registered until cancelled."""
        while True:
            try:
                response = await self._register()
            except Exception:
                # A defect of ours must not end the registration for good.
                self._log.exception("registering_failed")
                response = None
            await self._rest(self._note(response))

    def lost(self, flow: Flow) -> None:
        """A connection is over: if it is ours, we register anew."""
        if flow is self._flow and flow.reliable:
            self._gone.set()

    def forget(self) -> None:
        """Calls are not taken for the trunk's any more."""
        self._services.bindings.forget(self.binding, self._plan.contact_user)

    async def unregister(self, patience: float) -> None:
        """Take our Contact back, and nobody else's (RFC 3261 section 10.2.2)."""
        if self._flow is None:
            return
        response = await self._ask(self._flow, [f"<{self.binding.contact}>;expires=0"], patience)
        status = None if response is None else response.status
        self._log.info("unregistered", contact=self.binding.contact, sip_status=status)

    async def _register(self) -> Response | None:
        """A REGISTER to each of the registrar's targets in turn until one has us or refuses; None: nobody answered."""
        services, plan = self._services, self._plan
        try:
            targets = await services.resolver.resolve(self._way.next_hop, timeout=plan.patience)
        except SipError as error:
            self.binding.reason = str(error)
            return None
        response: Response | None = None
        self.binding.reason = "no response"
        for target in services.avoided.last(targets, services.now()):
            response = await self._register_at(target)
            if response is not None and response.status != SERVICE_UNAVAILABLE:
                services.avoided.forgive(target)
                return response
            services.avoided.avoid(target, services.now(), None if response is None else response.retry_after)
        return response

    async def _register_at(self, target: Target) -> Response | None:
        terms = self._plan.terms
        try:
            flow = self._services.stack.flow_to(target if terms is None else replace(target, terms=terms))
        except SipError as error:
            self.binding.reason = str(error)
            return None
        secure = self._plan.registrar[:5].lower() == "sips:"
        own = contact(flow, self._plan.contact_user, secure=secure)[1:-1]
        if self._flow is not flow:
            self._seen = None
        response: Response | None = None
        for _ in range(MAX_ROUNDS):
            used = self._seen or own
            contacts = [f"<{used}>;expires={self._expires:.0f}"]
            if self._seen is not None and self.binding.contact not in ("", used):
                # Where we are not, nobody needs to call us.
                contacts.append(f"<{self.binding.contact}>;expires=0")
            response = await self._ask(flow, contacts, self._plan.patience)
            if response is None:
                return None
            if (least := reply.least(response)) is not None and least > self._expires:
                self._expires = least
                continue
            if not 200 <= response.status < 300:
                return response
            self._flow, self.binding.contact = flow, used
            self._gone.clear()
            seen = reply.seen_contact(response, own, flow)
            if seen == used:
                return response
            self._seen = None if seen == own else seen
        return response

    async def _ask(self, flow: Flow, contacts: list[str], patience: float) -> Response | None:
        """One REGISTER and its final response, a challenge answered on the way."""
        stack, plan, inquiry = self._services.stack, self._plan, Inquiry()
        aor = NameAddr("", plan.address_of_record)
        try:
            request = stack.endpoint.request(
                self._services.now(),
                flow=flow,
                method="REGISTER",
                uri=plan.registrar,
                from_=aor,
                to=aor,
                headers=[*self._way.headers, ("Supported", "path")],
                credentials=plan.credentials,
                call_id=self._call_id,
                cseq=self._cseq + 1,
                contacts=contacts,
                owner=inquiry,
            )
        except SipError as error:
            self.binding.reason = str(error)
            return None
        stack.flush()
        response = await inquiry.response(patience)
        self._cseq = request.request.cseq.number
        return response

    def _note(self, response: Response | None) -> float:
        """Write down how it went; seconds until the next REGISTER."""
        binding, now = self.binding, self._services.now()
        granted = 0.0
        if response is not None:
            binding.status, binding.reason = response.status, response.reason
            if 200 <= response.status < 300:
                granted = reply.granted(response, binding.contact, self._expires)
        else:
            binding.status = None
        if granted > 0 and response is not None:
            binding.failures = 0
            binding.expires_at = now + granted
            binding.service_route = reply.service_route(response)
            pause = pauses.before_refresh(granted, random.uniform)
            self._change(State.REGISTERED, contact=binding.contact, expires=granted)
        else:
            binding.failures += 1
            retry_after = None if response is None else response.retry_after
            pause = pauses.after_failure(binding.failures, binding.status, retry_after, random.uniform)
            self._change(State.FAILED, retry_in=round(pause))
        binding.next_at = now + pause
        return pause

    def _change(self, state: State, **facts: object) -> None:
        """The state, and a line in the log when it, its reason or our Contact is another than before."""
        binding = self.binding
        registered = state is State.REGISTERED
        complaint = f"{state} {binding.contact if registered else (binding.status, binding.reason)}"
        binding.state = state
        if complaint == self._complaint:
            return
        self._complaint = complaint
        if registered:
            self._log.info("registered", **facts)
        else:
            self._log.warning(
                "registration_failed", sip_status=binding.status, reason=binding.reason[:200], **facts
            )

    async def _rest(self, pause: float) -> None:
        """Wait, keeping the way to us open; less long when it is seen to be gone."""
        clock, stack = self._services.now, self._services.stack
        until = clock() + pause
        while (left := until - clock()) > 0:
            flow = self._flow
            if flow is None or self.binding.state is not State.REGISTERED or not self._needs_keeping(flow):
                await asyncio.sleep(left)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, KEEP_ALIVE)):
                    await self._gone.wait()
            if not stack.endpoint.keep_alive(flow):
                self._log.info("registration_connection_lost")
                await asyncio.sleep(random.uniform(0.0, pauses.RECONNECT_PAUSE))
                return
            stack.flush()

    def _needs_keeping(self, flow: Flow) -> bool:
        return flow.reliable or self._seen is not None
