"""What TLS connections may cost: handshakes that stall, many of one source, and strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sip_stack.aio.connections import ConnectionLimits
from sip_stack.aio.tls import TlsTransport
from sip_stack.events import Failed
from sip_stack.gate import OpenGate
from tests.support.certificates import Authority
from tests.support.tcp_stack import Listening, Party, come_true, options, party, run, wire
from tests.support.tls_stack import NAME, TLS, client_context, contexts

HANDSHAKE = 0.2
IMPATIENT = ConnectionLimits(handshake_timeout=HANDSHAKE)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def listener(ca: Authority, limits: ConnectionLimits | None = None) -> AsyncIterator[Party]:
    async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME])), limits=limits) as us:
        yield us


def transport_of(us: Party) -> TlsTransport:
    (transport,) = us.stack._transports.values()
    assert isinstance(transport, TlsTransport)
    return transport


async def looked(us: Party) -> None:
    """Until the time for a handshake is over, and somebody has looked."""
    await asyncio.sleep(2 * HANDSHAKE)
    transport_of(us).look()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_client_that_does_not_finish_its_handshake(ca: Authority, said: bytes) -> None:
    async def main() -> None:
        async with listener(ca, IMPATIENT) as us, wire(us.port("tls")) as peer:
            peer.send(said)
            await come_true(lambda: us.stack.connection_counters.accepted)
            await looked(us)
            assert await peer.end() == b""
            counters = us.stack.connection_counters
            assert (counters.handshake_failures, counters.ended["handshake"]) == (1, 1)

    run(main())


def test_a_server_that_does_not_finish_its_handshake(ca: Authority) -> None:
    async def main() -> None:
        with Listening() as listening:
            async with listener(ca, IMPATIENT) as us:
                us.call("127.0.0.1", listening.port, transport="tls", name=NAME)
                peer = await listening.accept()
                await looked(us)
                failed = await us.until(Failed)
                assert (failed.reason, failed.detail) == ("transport", "no TLS within 0.2 s")
                await peer.close()

    run(main())


def test_a_connection_that_says_nothing_after_its_handshake(ca: Authority) -> None:
    async def main() -> None:
        async with (
            listener(ca, ConnectionLimits(message_timeout=0.2)) as us,
            wire(us.port("tls"), tls=client_context(ca)) as peer,
        ):
            await come_true(lambda: us.stack.connection_counters.handshakes)
            await looked(us)
            assert await peer.end() == b""
            assert us.stack.connection_counters.ended["slow"] == 1

    run(main())


def test_handshakes_of_one_source_at_once(ca: Authority) -> None:
    async def main() -> None:
        limits = ConnectionLimits(handshakes_per_source=2)
        async with listener(ca, limits) as us:
            port, counters = us.port("tls"), us.stack.connection_counters
            async with wire(port) as one, wire(port) as two, wire(port) as three:
                assert await three.end() == b""
                assert (counters.accepted, counters.rejected) == (2, 1)
                async with wire(port, local="127.0.0.2", tls=client_context(ca)) as other:
                    other.send(options("a"))
                    await other.response(200)
                await one.close()
                await come_true(lambda: counters.ended.total() >= 1)
                async with wire(port, tls=client_context(ca)) as again:
                    again.send(options("b"))
                    await again.response(200)
                await two.close()

    run(main())


def test_whom_we_do_not_hear_gets_no_handshake(ca: Authority) -> None:
    class Deaf(OpenGate):
        def hears(self, source: str, now: float) -> bool:
            return False

    async def main() -> None:
        async with listener(ca) as us:
            us.stack.endpoint.gate = Deaf()
            async with wire(us.port("tls")) as peer:
                assert await peer.end() == b""
            assert us.stack.connection_counters.rejected == 1

    run(main())
