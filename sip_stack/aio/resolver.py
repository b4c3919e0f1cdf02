"""URIs to targets: literals, the hosts file, then NAPTR, SRV, A and AAAA in the DNS.

RFC 3263 (what is asked and in which order: `sip_stack.locating`), RFC 2308 (negative caching), RFC 8305 section 3.
Answers are kept as long as their TTL says, failures for a short while; concurrent questions are asked once. It does not
ask for names outside the DNS (mDNS, NIS).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sip_stack.aio.answer_cache import AnswerCache
from sip_stack.aio.hosts_file import HostsFile
from sip_stack.aio.name_server import Answer, NameServer
from sip_stack.locating import (
    NaptrRecord,
    NextHop,
    ResolutionError,
    Service,
    SrvRecord,
    address_version,
    in_order,
    next_hop,
    services,
    targets,
    usual_services,
)
from sip_stack.message import Uri
from sip_stack.transport import Address, Target

_OTHER_FAMILY_DELAY = 0.05
"""How long the addresses of one family wait for the other's (RFC 8305 section 3)."""
_SERVICE_DELAY = 1.0
"""How long the addresses of a domain wait for what its SRV records say: some name servers and firewalls never answer
such questions, and that must not make the domain unreachable."""
_PARTIAL_TTL = 30.0
"""How long the addresses of one family are kept when the other's did not come in time, and how long services are taken
for absent that nobody told about."""
_MAX_SERVERS = 32
"""SRV records of one service that are used."""

_RECORD_TYPES = {4: "A", 6: "AAAA"}

_Query = asyncio.Task[Answer[str]]
_T = TypeVar("_T")


class Resolver:
    """Finds the targets of URIs. One per event loop."""

    def __init__(
        self,
        *,
        families: Sequence[int] = (4, 6),
        transports: Sequence[str] = ("udp", "tcp"),
        nameservers: Sequence[Address] | None = None,
        lifetime: float = 10.0,
        hosts: Path = Path("/etc/hosts"),
        resolv_conf: Path = Path("/etc/resolv.conf"),
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`families` are the IP versions wanted, `transports` those we have, the preferred first. `lifetime` limits
        a question to the name servers, seconds; `nameservers` are used instead of those of `resolv_conf`. `draw` gives
        numbers from 0 to below 1 for the choice among servers of equal priority."""
        self._families = tuple(families)
        self._transports = tuple(transports)
        self._hosts = HostsFile(hosts)
        self._name_server = NameServer(nameservers, lifetime, resolv_conf)
        self._cache = AnswerCache()
        self._draw = draw

    @property
    def answers(self) -> AnswerCache:
        """What the DNS said, and how often it was asked."""
        return self._cache

    # `timeout` is a parameter because it must become our error, and must not end what others wait for.
    async def resolve(
        self,
        uri: str | Uri,
        *,
        tls: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[Target]:
        """The targets of a sip or sips URI, best first, at least one; with `tls` none but over TLS.

        `timeout` is in seconds and ends this call only. Raises ResolutionError when there is none or nobody
        told in time, RemoteError(400) when `uri` is malformed.
        """
        hop = next_hop(uri).over_tls() if tls else next_hop(uri)
        if hop.is_numeric:
            return targets(hop, (hop.host,))
        listed = self._listed(hop.host)
        if listed:
            return targets(hop, listed)
        return await _within(timeout, hop.host, self._located(hop))

    async def addresses(self, host: str, *, timeout: float | None = None) -> tuple[str, ...]:  # noqa: ASYNC109
        """The addresses of a host name, the preferred family first, at least one; errors as `resolve`."""
        return self._listed(host) or await _within(timeout, host, self._addresses(host))

    async def close(self) -> None:
        """Give up all look-ups; whoever waits for one gets a ResolutionError."""
        await self._cache.close()

    def _listed(self, host: str) -> tuple[str, ...]:
        return self._wanted(self._hosts.addresses(host.removesuffix(".")))

    # Services of a domain

    async def _located(self, hop: NextHop) -> list[Target]:
        if hop.port is not None:
            return targets(hop, await self._addresses(hop.host))
        by_service = asyncio.create_task(self._by_services(hop))
        by_address = asyncio.create_task(self._addresses(hop.host))
        try:
            await asyncio.wait([by_service, by_address], return_when=asyncio.FIRST_COMPLETED)
            if not by_service.done():
                await asyncio.wait([by_service], timeout=_SERVICE_DELAY)
            located = by_service.result() if by_service.done() else None
            return targets(hop, await by_address) if located is None else located
        finally:
            for task in (by_service, by_address):
                task.cancel()
            await asyncio.gather(by_service, by_address, return_exceptions=True)

    async def _by_services(self, hop: NextHop) -> list[Target] | None:
        """The targets that the domain's SRV records name; None when it has none, which leaves its addresses."""
        usual = usual_services(hop, self._transports)
        # Together, as one after the other would cost a caller two more round trips.
        naptr, answers = await asyncio.gather(self._naptr(hop), self._servers(usual))
        offered = services(hop, self._transports, naptr.records)
        if offered:
            answers = await self._servers(offered)
        found: list[Target] = []
        for service, answer in zip(offered or usual, answers, strict=True):
            found += await self._of_servers(hop, service, answer.records)
        if found:
            return found
        if any(answer.records for answer in answers):
            # What the SRV records name is not to be had: that leaves nothing, not even the domain's own addresses.
            raise ResolutionError(f"{hop.host}: none of its SIP servers has an address")
        return None

    async def _of_servers(self, hop: NextHop, service: Service, records: Sequence[SrvRecord]) -> list[Target]:
        """The servers of one service in the order to try them; those without an address are left out."""
        servers = in_order(records[:_MAX_SERVERS], self._draw)
        addresses = await asyncio.gather(
            *(self._addresses(server.host) for server in servers), return_exceptions=True
        )
        return [
            Target(service.transport, address, server.port, hop.host)
            for server, found in zip(servers, addresses, strict=True)
            if not isinstance(found, BaseException)
            for address in found
        ]

    async def _naptr(self, hop: NextHop) -> Answer[NaptrRecord]:
        if not hop.may_discover:
            return Answer((), 0.0)
        return await self._asked(hop.host, "NAPTR", _naptr_record)

    async def _servers(self, wanted: Sequence[Service]) -> list[Answer[SrvRecord]]:
        return await asyncio.gather(*(self._asked(each.name, "SRV", _srv_record) for each in wanted))

    async def _asked(self, name: str, record_type: str, read: Callable[[Any], _T]) -> Answer[_T]:
        async def look_up() -> Answer[_T]:
            answer = await self._name_server.ask(name, record_type, read)
            return answer if answer.is_final else replace(answer, ttl=_PARTIAL_TTL)

        return await self._cache.get((name.lower(), record_type), look_up)

    # Addresses of a host

    async def _addresses(self, host: str) -> tuple[str, ...]:
        listed = self._listed(host)
        if listed:
            return listed
        name = host.lower()
        answer = await self._cache.get((name, "addresses"), lambda: self._ask_all_families(name))
        if not answer.records:
            raise ResolutionError(f"{host}: {answer.failure}")
        return answer.records

    async def _ask_all_families(self, name: str) -> Answer[str]:
        queries = [
            asyncio.create_task(self._name_server.ask(name, _RECORD_TYPES[family], _address))
            for family in self._families
        ]
        try:
            waiting = await _first_addresses(queries)
            answer = self._merged([query.result() for query in queries if query not in waiting])
            return replace(answer, ttl=min(answer.ttl, _PARTIAL_TTL)) if waiting else answer
        finally:
            for query in queries:
                query.cancel()
            # Awaited, so that their sockets are closed when we are done.
            await asyncio.gather(*queries, return_exceptions=True)

    def _merged(self, answers: list[Answer[str]]) -> Answer[str]:
        """What the answers of all families say together: any address wins, then any doubt."""
        found = [answer for answer in answers if answer.records]
        if found:
            addresses = [address for answer in found for address in answer.records]
            return Answer(self._wanted(addresses), min(answer.ttl for answer in found))
        doubtful = [answer for answer in answers if not answer.is_final]
        return (doubtful or answers)[0]

    def _wanted(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """The addresses of our families, the preferred family first, otherwise in their order."""
        return tuple(
            address
            for family in self._families
            for address in addresses
            if address_version(address) == family
        )


async def _first_addresses(queries: Iterable[_Query]) -> set[_Query]:
    """Wait for all queries, but hardly longer than for the first that found addresses.

    Some name servers never answer AAAA; that must not cost a caller the whole time limit.
    Returns the unfinished queries.
    """
    waiting = set(queries)
    found = False
    while waiting and not found:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        found = any(query.result().records for query in done)
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=_OTHER_FAMILY_DELAY)
    return waiting


async def _within(seconds: float | None, host: str, asking: Awaitable[_T]) -> _T:
    """What `asking` gives within so many seconds; ResolutionError when it does not. The look-ups go on."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except TimeoutError:
        raise ResolutionError(f"{host}: no answer within {seconds:g} s") from None


def _address(record: Any) -> str:
    return str(record.address)


def _naptr_record(record: Any) -> NaptrRecord:
    return NaptrRecord(
        record.order,
        record.preference,
        record.flags.decode("ascii", "replace"),
        record.service.decode("ascii", "replace"),
        record.replacement.to_text(omit_final_dot=True).removeprefix("."),
    )


def _srv_record(record: Any) -> SrvRecord:
    host = record.target.to_text(omit_final_dot=True).removeprefix(".")
    return SrvRecord(record.priority, record.weight, record.port, host)
