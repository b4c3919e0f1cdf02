"""A DNS server in the event loop of a test, on a free loopback UDP port (RFC 1035), built on dnspython.

It answers A, AAAA and CNAME from a zone that the test fills, and can be told to fail or to keep silent.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class FakeDns(asyncio.DatagramProtocol):
    """Use as `async with FakeDns() as server`, and give `server.address` to the resolver."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        """(name without final dot, type) -> values; a name without any record does not exist."""
        self.ttl = 300
        self.negative_ttl = 30
        self.silent: set[str] = set()
        """Record types of which questions are not answered."""
        self.rcode = dns.rcode.NOERROR
        """Anything but NOERROR is the answer to all questions."""
        self.questions: list[tuple[str, str]] = []
        """(name, type) of all questions, in order."""
        self.asked = asyncio.Event()
        """Set by each question."""
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> FakeDns:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()
        await asyncio.sleep(0)  # one turn of the loop, in which the transport closes its socket

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        record_type = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, record_type))
        self.asked.set()
        if record_type not in self.silent and self._transport is not None:
            self._transport.sendto(self._response(query, name, record_type).to_wire(), addr)

    def _response(self, query: dns.message.Message, name: str, record_type: str) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        response.set_rcode(self.rcode)
        if self.rcode != dns.rcode.NOERROR:
            return response
        while alias := self.records.get((name, "CNAME")):
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", alias[0]))
            name = alias[0].removesuffix(".")
        values = self.records.get((name, record_type))
        if values:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", record_type, *values))
            return response
        if not any(name == known for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        start_of_authority = f"ns.test. admin.test. 1 3600 600 86400 {self.negative_ttl}"
        response.authority.append(
            dns.rrset.from_text("test.", self.negative_ttl, "IN", "SOA", start_of_authority)
        )
        return response
