"""One question to the name servers, by dnspython: a name and a record type to an answer, never an exception.

Which servers are asked, and how long an answer may be believed (its TTL; RFC 2308 for what does not exist).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.resolver

from sip_stack.aio.hosts_file import FileState, file_state
from sip_stack.transport import Address

Record = TypeVar("Record")

FAILURE_TTL = 1.0
"""How long a failure to get any answer is remembered: dampens a flood, hardly delays the recovery."""
_MAX_TTL = 3600.0
_MAX_NEGATIVE_TTL = 60.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[Record]):
    """What became known about a name."""

    records: tuple[Record, ...]
    ttl: float
    failure: str = ""
    """Why there are no records."""
    is_final: bool = True
    """False when the name servers did not tell."""


class NameServer:
    """The name servers of the system, or those given instead."""

    def __init__(self, nameservers: Sequence[Address] | None, lifetime: float, resolv_conf: Path) -> None:
        """`lifetime` limits a question, seconds. Changes of `resolv_conf` are noticed."""
        self._nameservers = nameservers
        self._lifetime = lifetime
        self._resolv_conf = resolv_conf
        self._resolv_conf_state: FileState = None
        self._dns: dns.asyncresolver.Resolver | None = None

    async def ask(self, name: str, record_type: str, read: Callable[[Any], Record]) -> Answer[Record]:
        """The records of a name; `read` makes ours from one of dnspython's."""
        resolver = self.configured()
        if resolver is None:
            return Answer((), FAILURE_TTL, "no name server is configured", is_final=False)
        try:
            # dnspython has a deadline of its own, but looks at it only between its pauses.
            async with asyncio.timeout(self._lifetime):
                reply = await resolver.resolve(
                    name,
                    record_type,
                    lifetime=self._lifetime,
                    raise_on_no_answer=False,
                    search=True,
                    backend=dns.asyncbackend.get_backend("asyncio"),
                )
        except dns.resolver.NXDOMAIN as error:
            ttls = [_negative_ttl(response) for response in _responses(error)]
            return Answer((), min(ttls, default=FAILURE_TTL), "the name does not exist")
        except (TimeoutError, dns.resolver.LifetimeTimeout):
            return Answer((), FAILURE_TTL, f"no answer within {self._lifetime:g} s", is_final=False)
        except (dns.exception.DNSException, OSError) as error:
            failure = f"the name servers failed ({type(error).__name__})"
            return Answer((), FAILURE_TTL, failure, is_final=False)
        ttl = float(reply.chaining_result.minimum_ttl)
        if reply.rrset is None:
            return Answer((), min(ttl, _MAX_NEGATIVE_TTL), "the name has no address")
        return Answer(tuple(read(record) for record in reply.rrset), min(ttl, _MAX_TTL))

    def configured(self) -> dns.asyncresolver.Resolver | None:
        """The name servers to ask; None when there are none."""
        if self._nameservers is not None:
            return self._dns or self._with_nameservers(self._nameservers)
        state = file_state(self._resolv_conf)
        if self._dns is None or state != self._resolv_conf_state:
            try:
                self._dns = dns.asyncresolver.Resolver(filename=str(self._resolv_conf))
            except (dns.exception.DNSException, OSError, ValueError):
                # Half written, or nothing in it: what worked before is better than nothing.
                return self._dns
            self._resolv_conf_state = state
        return self._dns

    def _with_nameservers(self, nameservers: Sequence[Address]) -> dns.asyncresolver.Resolver:
        resolver = self._dns = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        resolver.domain = dns.name.root
        return resolver


def _responses(error: dns.resolver.NXDOMAIN) -> list[dns.message.QueryMessage]:
    responses: dict[dns.name.Name, dns.message.QueryMessage] = error.responses()  # type: ignore[no-untyped-call]
    return list(responses.values())


def _negative_ttl(response: dns.message.QueryMessage) -> float:
    """How long to believe that a name does not exist (RFC 2308 section 5), in seconds."""
    return min(float(response.resolve_chaining().minimum_ttl), _MAX_NEGATIVE_TTL)
