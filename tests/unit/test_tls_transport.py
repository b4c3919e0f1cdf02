"""SIP over TLS on real loopback sockets: calls, whom we believe, and what a failed handshake tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.aio.network import Listen
from sip_stack.aio.tls_contexts import TlsContexts, TlsSettings
from sip_stack.events import Acknowledged, Answered, Ended, InviteReceived
from sip_stack.transport import TlsTerms
from tests.support.certificates import Authority, Pair
from tests.support.tcp_stack import SDP, Party, party, run

NAME = "b2bua.example.com"
TLS4, TLS6 = Listen("tls", "127.0.0.1", 0), Listen("tls", "::1", 0)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def contexts(
    ca: Authority, pair: Pair, *terms: TlsTerms, name: str = "", asks_clients: bool = False
) -> TlsContexts:
    """One that trusts `ca`."""
    settings = TlsSettings(pair.certificate, pair.key, (ca.file,), name=name, asks_clients=asks_clients)
    return TlsContexts(settings, terms)


async def talk(caller: Party, callee: Party, host: str, **how: object) -> str:
    """A call from beginning to end. Returns the caller's transport."""
    session = caller.call(host, callee.port("tls"), transport="tls", **how)  # type: ignore[arg-type]
    incoming = await callee.until(InviteReceived)
    callee.do(lambda now: incoming.session.answer(now, body=SDP))
    await caller.until(Answered)
    await callee.until(Acknowledged)
    callee.do(lambda now: incoming.session.bye(now))
    await caller.until(Ended)
    return session.flow.transport


@pytest.mark.parametrize(("listen", "host"), [(TLS4, "127.0.0.1"), (TLS6, "::1")])
def test_a_call_over_one_verified_connection(ca: Authority, listen: Listen, host: str) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        async with party(listen, tls=own) as callee, party(listen, tls=own) as caller:
            assert await talk(caller, callee, host, name=NAME) == "tls"
            assert caller.stack.connection_counters.handshakes == 1
            assert callee.stack.connection_counters.handshakes == 1
            assert callee.stack.connection_counters.connected == 0

    run(main())
