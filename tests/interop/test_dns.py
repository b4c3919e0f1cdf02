"""Destinations found in the DNS, on real sockets: a name server of the test's own, servers at several ports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.dns_thread import DnsThread
from tests.support.fake_dns import FakeDns
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.scripted import Script, ScriptedCallee, ScriptedCaller

DOMAIN = "cc.example.test"
SERVICE = f"_sip._udp.{DOMAIN}"
TIMERS = {"connect_timeout": "1s", "ring_timeout": "10s"}


def answers(invite: SipText) -> list[bytes]:
    """Pick up at once."""
    return [response(invite, 200, "OK", body=sdp(LOOPBACK, free_port()), tag=secrets.token_hex(4))]


def has_no_room(invite: SipText) -> list[bytes]:
    """503."""
    return [response(invite, 503, "Service Unavailable", tag=secrets.token_hex(4))]


def says_nothing(invite: SipText) -> list[bytes]:
    """A server that is there and does not answer."""
    return []


@pytest.fixture
def dns() -> Iterator[FakeDns]:
    """The name server; its answers may be kept for a second."""
    with DnsThread() as server:
        server.ttl = server.negative_ttl = 1
        server.records["host.test", "A"] = [LOOPBACK]
        yield server


@pytest.fixture
def callee() -> Iterator[Callable[[Script], ScriptedCallee]]:
    """Starts SIP servers that follow a script."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(ScriptedCallee(script))


@pytest.fixture
def b2bua(tmp_path: Path, dns: FakeDns) -> Iterator[B2bua]:
    """A B2BUA whose destination `desk` is a domain."""
    host, port = dns.address
    sip = {"listen": [f"udp:{LOOPBACK}:0"], "name_servers": [f"{host}:{port}"]}
    server = B2bua(tmp_path, {"desk": {"route": f"sip:desk@{DOMAIN}"}}, timers=TIMERS, main={"sip": sip})
    yield server
    server.check_end()


@pytest.fixture
def caller() -> Iterator[ScriptedCaller]:
    with ScriptedCaller() as caller:
        yield caller


def servers(dns: FakeDns, *ports: int) -> None:
    """The domain's servers, the first of them preferred."""
    dns.records[SERVICE, "SRV"] = [f"{place} 0 {port} host.test." for place, port in enumerate(ports, 1)]


def status(caller: ScriptedCaller, b2bua: B2bua, deadline: float = 8.0) -> int:
    """Call the desk; the final response. An answered call is hung up."""
    caller.call(b2bua.address, "desk")
    final, _ = caller.final(deadline)
    if final.status == 200:
        caller.hang_up()
    return final.status


def dead_port() -> int:
    """A port where nobody listens."""
    return free_port()


@pytest.mark.parametrize("first", [None, says_nothing, has_no_room], ids=["dead", "silent", "503"])
def test_the_next_server_is_called_when_the_first_fails(
    b2bua: B2bua,
    dns: FakeDns,
    caller: ScriptedCaller,
    callee: Callable[[Script], ScriptedCallee],
    first: Script | None,
) -> None:
    main = callee(first) if first else None
    spare = callee(answers)
    servers(dns, main.port if main else dead_port(), spare.port)
    assert status(caller, b2bua) == 200
    assert status(caller, b2bua) == 200
    assert spare.invites == 2
    if main is not None:
        assert main.invites == 1, "the second call goes to the one that works"
        assert len(main.requests("ACK")) == (first is has_no_room)


def test_a_server_that_takes_no_connection_is_stepped_over_at_once(
    tmp_path: Path, dns: FakeDns, caller: ScriptedCaller, callee: Callable[[Script], ScriptedCallee]
) -> None:
    """NAPTR wants TCP, where nobody listens; the next one is by UDP, in far less than `connect_timeout`."""
    spare = callee(answers)
    dns.records[DOMAIN, "NAPTR"] = [
        f'10 10 "s" "SIP+D2T" "" _sip._tcp.{DOMAIN}.',
        f'20 10 "s" "SIP+D2U" "" {SERVICE}.',
    ]
    dns.records[f"_sip._tcp.{DOMAIN}", "SRV"] = [f"1 0 {dead_port()} host.test."]
    servers(dns, spare.port)
    host, port = dns.address
    sip = {"listen": [f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0"], "name_servers": [f"{host}:{port}"]}
    timers = {"connect_timeout": "20s", "ring_timeout": "30s"}
    desk = {"desk": {"route": f"sip:desk@{DOMAIN}"}}
    with B2bua(tmp_path, desk, timers=timers, main={"sip": sip}) as b2bua:
        assert status(caller, b2bua, 10.0) == 200
        assert spare.invites == 1
        b2bua.check_end()


def test_a_name_that_does_not_exist_is_a_network_error(b2bua: B2bua, caller: ScriptedCaller) -> None:
    assert status(caller, b2bua) == 500
    outcome = b2bua.record()["outcome"]
    assert (outcome["name"], outcome["code"]) == ("network_error", 5000)
    assert f"{DOMAIN}: the name does not exist" in b2bua.errors, "the log says which name, and why"


def test_a_silent_name_server_is_a_network_error_after_connect_timeout(
    b2bua: B2bua, dns: FakeDns, caller: ScriptedCaller
) -> None:
    dns.silent = {"A", "AAAA", "SRV", "NAPTR"}
    assert status(caller, b2bua) == 500
    assert b2bua.record()["outcome"]["name"] == "network_error"


def test_a_domain_moves_to_other_servers_while_calls_run(
    b2bua: B2bua, dns: FakeDns, caller: ScriptedCaller, callee: Callable[[Script], ScriptedCallee]
) -> None:
    old, new = callee(answers), callee(answers)
    servers(dns, old.port)
    caller.call(b2bua.address, "desk")
    assert caller.final()[0].status == 200
    servers(dns, new.port)
    with ScriptedCaller() as other:

        def moved() -> bool:
            assert status(other, b2bua) == 200
            return new.invites > 0

        wait_until(moved, 10.0, lambda: "a call at the new server")
    caller.hang_up()
    b2bua.records(old.invites + new.invites)
    assert old.requests("BYE"), "the call that was up ended where it was"
