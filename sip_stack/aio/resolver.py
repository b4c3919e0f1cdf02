"""Names to addresses: literals, the hosts file, then A and AAAA in the DNS.

RFC 3263 section 4.2, RFC 2308 (negative caching), RFC 8305 section 3. Answers are kept as long as their TTL
says, failures for a short while; concurrent questions for one name are asked once. It does not ask for NAPTR and
SRV, nor for names outside the DNS (mDNS, NIS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.resolver

from sip_stack.locating import ResolutionError, address_version, next_hop, targets
from sip_stack.message import Uri
from sip_stack.transport import Address, Target

_MAX_TTL = 3600.0
_MAX_NEGATIVE_TTL = 60.0
_FAILURE_TTL = 1.0
"""How long a failure to get any answer is remembered: dampens a flood, hardly delays the recovery."""
_OTHER_FAMILY_DELAY = 0.05
"""How long the addresses of one family wait for the other's (RFC 8305 section 3)."""
_PARTIAL_TTL = 30.0
"""How long the addresses of one family are kept when the other's did not come in time."""
_MAX_CACHED = 1024
_MAX_IN_FLIGHT = 256

_RECORD_TYPES = {4: "A", 6: "AAAA"}

_FileState = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became known about a name."""

    addresses: tuple[str, ...]
    ttl: float
    failure: str = ""
    """Why there are no addresses."""
    is_final: bool = True
    """False when the name servers did not tell."""


_Query = asyncio.Task[_Answer]


class HostsFile:
    """The names of a hosts file, read again when the file changes. A missing file has no names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: _FileState = None
        self._names: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name, in the order of the file; case is ignored."""
        state = _file_state(self._path)
        if state != self._state:
            self._names = self._read()
            self._state = state
        return self._names.get(name.lower(), ())

    def _read(self) -> dict[str, tuple[str, ...]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        names: dict[str, tuple[str, ...]] = {}
        for line in text.splitlines():
            address, *aliases = line.partition("#")[0].split() or [""]
            # An address with a zone (fe80::1%eth0) is of no use in a Via.
            if "%" in address or address_version(address) is None:
                continue
            for alias in aliases:
                known = names.get(alias.lower(), ())
                if address not in known:
                    names[alias.lower()] = (*known, address)
        return names


class Resolver:
    """Finds the targets of URIs. One per event loop."""

    def __init__(
        self,
        *,
        families: Sequence[int] = (4, 6),
        nameservers: Sequence[Address] | None = None,
        lifetime: float = 10.0,
        hosts: Path = Path("/etc/hosts"),
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        """`families` are the IP versions wanted, the preferred first. `lifetime` limits a look-up, seconds.

        `nameservers` are used instead of those of `resolv_conf`, whose changes are noticed.
        """
        self._families = tuple(families)
        self._nameservers = nameservers
        self._lifetime = lifetime
        self._hosts = HostsFile(hosts)
        self._resolv_conf = resolv_conf
        self._resolv_conf_state: _FileState = None
        self._dns: dns.asyncresolver.Resolver | None = None
        self._cache: dict[str, tuple[float, _Answer]] = {}
        self._in_flight: dict[str, asyncio.Task[_Answer]] = {}

    # `timeout` is a parameter because it must become our error, and must not end what others wait for.
    async def resolve(self, uri: str | Uri, *, timeout: float | None = None) -> list[Target]:  # noqa: ASYNC109
        """The targets of a sip or sips URI, best first, at least one.

        `timeout` is in seconds and ends this call only. Raises ResolutionError when there is none or nobody
        told in time, RemoteError(400) when `uri` is malformed.
        """
        hop = next_hop(uri)
        addresses = (hop.host,) if hop.is_numeric else await self.addresses(hop.host, timeout=timeout)
        return targets(hop, addresses)

    async def addresses(self, host: str, *, timeout: float | None = None) -> tuple[str, ...]:  # noqa: ASYNC109
        """The addresses of a host name, the preferred family first, at least one; errors as `resolve`."""
        listed = self._wanted(self._hosts.addresses(host.removesuffix(".")))
        if listed:
            return listed
        name = host.lower()
        answer = self._cached(name) or await self._ask(name, timeout)
        if not answer.addresses:
            raise ResolutionError(f"{host}: {answer.failure}")
        return answer.addresses

    async def close(self) -> None:
        """Give up all look-ups; whoever waits for one gets a ResolutionError."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _cached(self, name: str) -> _Answer | None:
        entry = self._cache.get(name)
        if entry is None:
            return None
        expires, answer = entry
        if expires <= asyncio.get_running_loop().time():
            del self._cache[name]
            return None
        return answer

    def _remember(self, name: str, answer: _Answer) -> None:
        self._cache.pop(name, None)
        self._cache[name] = (asyncio.get_running_loop().time() + answer.ttl, answer)
        while len(self._cache) > _MAX_CACHED:
            del self._cache[next(iter(self._cache))]

    async def _ask(self, name: str, timeout: float | None) -> _Answer:  # noqa: ASYNC109
        """Wait for the look-up of a name, one for all who ask; it goes on for the others and the cache."""
        task = self._in_flight.get(name)
        if task is None:
            if len(self._in_flight) >= _MAX_IN_FLIGHT:
                raise ResolutionError(f"{name}: too many names are being looked up")
            task = self._in_flight[name] = asyncio.create_task(self._look_up(name))
        done, _ = await asyncio.wait([task], timeout=timeout)
        if not done:
            raise ResolutionError(f"{name}: no answer within {timeout:g} s")
        if task.cancelled():
            raise ResolutionError(f"{name}: the resolver was closed")
        return task.result()

    async def _look_up(self, name: str) -> _Answer:
        try:
            answer = await self._ask_all_families(name)
            self._remember(name, answer)
            return answer
        finally:
            del self._in_flight[name]

    async def _ask_all_families(self, name: str) -> _Answer:
        resolver = self._configured()
        if resolver is None:
            return _Answer((), _FAILURE_TTL, "no name server is configured", is_final=False)
        queries = [
            asyncio.create_task(self._query(resolver, name, _RECORD_TYPES[family]))
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

    async def _query(self, resolver: dns.asyncresolver.Resolver, name: str, record_type: str) -> _Answer:
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
            return _Answer((), min(ttls, default=_FAILURE_TTL), "the name does not exist")
        except (TimeoutError, dns.resolver.LifetimeTimeout):
            return _Answer((), _FAILURE_TTL, f"no answer within {self._lifetime:g} s", is_final=False)
        except (dns.exception.DNSException, OSError) as error:
            failure = f"the name servers failed ({type(error).__name__})"
            return _Answer((), _FAILURE_TTL, failure, is_final=False)
        ttl = float(reply.chaining_result.minimum_ttl)
        if reply.rrset is None:
            return _Answer((), min(ttl, _MAX_NEGATIVE_TTL), "the name has no address")
        return _Answer(tuple(record.address for record in reply.rrset), min(ttl, _MAX_TTL))

    def _merged(self, answers: list[_Answer]) -> _Answer:
        """What the answers of all families say together: any address wins, then any doubt."""
        found = [answer for answer in answers if answer.addresses]
        if found:
            addresses = [address for answer in found for address in answer.addresses]
            return _Answer(self._wanted(addresses), min(answer.ttl for answer in found))
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

    def _configured(self) -> dns.asyncresolver.Resolver | None:
        """The name servers to ask; None when there are none."""
        if self._nameservers is not None:
            return self._dns or self._with_nameservers(self._nameservers)
        state = _file_state(self._resolv_conf)
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


async def _first_addresses(queries: Iterable[_Query]) -> set[_Query]:
    """Wait for all queries, but hardly longer than for the first that found addresses.

    Some name servers never answer AAAA; that must not cost a caller the whole time limit.
    Returns the unfinished queries.
    """
    waiting = set(queries)
    found = False
    while waiting and not found:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        found = any(query.result().addresses for query in done)
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=_OTHER_FAMILY_DELAY)
    return waiting


def _responses(error: dns.resolver.NXDOMAIN) -> list[dns.message.QueryMessage]:
    responses: dict[dns.name.Name, dns.message.QueryMessage] = error.responses()  # type: ignore[no-untyped-call]
    return list(responses.values())


def _negative_ttl(response: dns.message.QueryMessage) -> float:
    """How long to believe that a name does not exist (RFC 2308 section 5), in seconds."""
    return min(float(response.resolve_chaining().minimum_ttl), _MAX_NEGATIVE_TTL)


def _file_state(path: Path) -> _FileState:
    """Changes when the file does; None when it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
