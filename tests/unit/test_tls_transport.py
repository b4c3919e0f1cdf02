"""SIP over TLS on real loopback sockets: calls, whom we believe, what serves whom, what a failed handshake tells."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sip_stack.aio.network import Listen
from sip_stack.errors import TransportError
from sip_stack.events import Acknowledged, Answered, Ended, Failed, InviteReceived
from sip_stack.transport import TlsTerms
from tests.support.certificates import Authority
from tests.support.tcp_stack import SDP, Listening, Party, come_true, options, party, request_text, run, wire
from tests.support.tls_stack import NAME, TLS, client_context, contexts, server_context, slow_tls

LAX = TlsTerms(verify=False)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def talk(caller: Party, callee: Party, host: str = "127.0.0.1", name: str = NAME) -> InviteReceived:
    """A call that is up."""
    count = sum(isinstance(event, InviteReceived) for event in callee.events) + 1
    caller.call(host, callee.port("tls"), transport="tls", name=name)
    incoming = await callee.until(InviteReceived, count)
    callee.do(lambda now: incoming.session.answer(now, body=SDP))
    await caller.until(Answered, count)
    await callee.until(Acknowledged, count)
    return incoming


# Calls


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_call_over_one_verified_connection(ca: Authority, host: str) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        listen = Listen("tls", host, 0)
        async with party(listen, tls=own) as callee, party(listen, tls=own) as caller:
            incoming = await talk(caller, callee, host)
            callee.do(incoming.session.bye)
            await caller.until(Ended)
            assert caller.stack.connection_counters.handshakes == 1
            assert callee.stack.connection_counters.handshakes == 1
            assert callee.stack.connection_counters.connected == 0, (
                "the BYE came back on the caller's connection"
            )

    run(main())


def test_via_and_contact_carry_our_name(ca: Authority) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]), name=NAME)
        async with party(TLS, tls=own) as callee, party(TLS, tls=own) as caller:
            incoming = await talk(caller, callee)
            (answered,) = (event for event in caller.events if isinstance(event, Answered))
            assert incoming.request.via.host == NAME
            assert incoming.request.via.port == caller.port("tls")
            for message, owner in ((incoming.request, caller), (answered.response, callee)):
                assert message.contact is not None
                assert message.contact.uri == f"sip:{NAME}:{owner.port('tls')};transport=tls"

    run(main())


def test_a_dialog_that_began_with_sips_stays_with_it(ca: Authority) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        async with party(TLS, tls=own) as us, wire(us.port("tls"), tls=client_context(ca)) as peer:
            text = request_text("INVITE", port=1, branch="a", body=SDP)
            peer.send(text.replace(b"sip:us@127.0.0.1 SIP", b"sips:us@127.0.0.1 SIP"))
            incoming = await us.until(InviteReceived)
            us.do(lambda now: incoming.session.answer(now, body=SDP))
            await peer.response(100)
            contact = (await peer.response(200)).contact
            assert contact is not None
            assert contact.uri == f"sips:127.0.0.1:{us.port('tls')}"

    run(main())


@pytest.mark.parametrize(
    "contact", ["sip:them@127.0.0.1:1;transport=udp", "sip:them@127.0.0.2:1;transport=tcp"]
)
def test_a_contact_does_not_lead_out_of_tls(ca: Authority, contact: str) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        listens = TLS, Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", 0)
        async with party(*listens, tls=own) as us, wire(us.port("tls"), tls=client_context(ca)) as peer:
            peer.send(request_text("INVITE", port=1, branch="a", body=SDP, contact=contact))
            incoming = await us.until(InviteReceived)
            us.do(lambda now: incoming.session.answer(now, body=SDP))
            await peer.response(100)
            await peer.response(200)
            peer.send(request_text("ACK", port=1, branch="b", to_tag=incoming.session.local_tag))
            await us.until(Acknowledged)
            us.do(incoming.session.bye)
            assert (await peer.request("BYE")).uri == contact

    run(main())


# Octets


def test_records_in_pieces_and_together(ca: Authority) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        async with party(TLS, tls=own) as us, slow_tls(us.port("tls"), ca) as peer:
            await peer.shake_hands()
            peer.session.send(options("a"))
            await peer.trickle()
            length = len(await peer.text(1))
            for branch in "bcd":  # a message in two records, and all of them in one segment
                text = options(branch)
                peer.session.send(text[:50])
                peer.session.send(text[50:])
            peer.writer.write(peer.session.outgoing())
            assert (await peer.text(3 * length)).count(b"SIP/2.0 200 OK") == 3

    run(main())


def test_both_ends_of_a_session_are_heard(ca: Authority) -> None:
    """A close_notify without a FIN ends the connection, and ours goes out with it."""

    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]))
        async with party(TLS, tls=own) as us, slow_tls(us.port("tls"), ca) as peer:
            await peer.shake_hands()
            peer.session.close()
            peer.writer.write(peer.session.outgoing())
            peer.session.receive(await peer.reader.read())
            assert peer.session.is_closed_by_peer
            assert us.stack.connection_counters.ended["closed"] == 1

    run(main())


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_versions(ca: Authority, version: ssl.TLSVersion, accepted: bool) -> None:
    async def main() -> None:
        context = client_context(ca)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME]))) as us:
            try:
                async with wire(us.port("tls"), tls=context) as peer:
                    peer.send(options("a"))
                    await peer.response(200)
            except OSError:
                assert not accepted
                assert us.stack.connection_counters.handshake_failures == 1
            else:
                assert accepted

    run(main())


# Whom we believe


async def failure(ca: Authority, server: ssl.SSLContext | None) -> Failed:
    """How a call to a bare server ends; None: one that does not speak TLS."""
    with Listening() as listening:
        async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME]))) as us:
            us.call("127.0.0.1", listening.port, transport="tls", name=NAME)
            with suppress(OSError):
                peer = await listening.accept(server)
                if server is None:
                    peer.send(b"SIP/2.0 400 This is no TLS\r\n\r\n")
                await peer.end()
                await peer.close()
            failed = await us.until(Failed)
            counters = us.stack.connection_counters
            assert (counters.handshakes, counters.handshake_failures) == (0, 1)
            return failed


@pytest.mark.parametrize(
    ("reason", "issue", "says"),
    [
        ("tls_untrusted", lambda ca, other: other.issue("x", [NAME]), "unable to get local issuer"),
        ("tls_expired", lambda ca, other: ca.issue("x", [NAME], days=-0.01), "has expired"),
        ("tls_expired", lambda ca, other: ca.issue("x", [NAME], days=9, begins=1), "not yet valid"),
        (
            "tls_name_mismatch",
            lambda ca, other: ca.issue("x", ["pbx.example"]),
            "is for pbx.example, not for",
        ),
        (
            "tls_name_mismatch",
            lambda ca, other: ca.issue("x", ["*.example.com"]),
            "is for *.example.com, not",
        ),
        (
            "tls_name_mismatch",
            lambda ca, other: ca.issue("x", common_name="Our PBX"),
            "is for nobody, not for",
        ),
    ],
)
def test_a_wrong_certificate(
    ca: Authority, tmp_path: Path, reason: str, issue: Callable[[Authority, Authority], object], says: str
) -> None:
    async def main() -> None:
        pair = issue(ca, Authority(tmp_path, "other CA"))
        failed = await failure(ca, server_context(pair))  # type: ignore[arg-type]
        assert failed.reason == reason
        assert says in failed.detail

    run(main())


def test_what_is_no_tls_is_a_failure_of_the_network(ca: Authority) -> None:
    async def main() -> None:
        failed = await failure(ca, None)
        assert (failed.reason, failed.detail) == ("transport", "TLS: wrong version number")

    run(main())


def test_a_server_that_refuses_our_certificate_is_a_failure_of_the_network(
    ca: Authority, tmp_path: Path
) -> None:
    """It is ours that is wrong, and with TLS 1.3 we hear of it after the handshake."""

    async def main() -> None:
        theirs = contexts(Authority(tmp_path, "other CA"), ca.issue("theirs", [NAME]), asks_clients=True)
        ours = contexts(ca, ca.issue("b2bua", [NAME]))
        async with party(TLS, tls=theirs) as callee, party(TLS, tls=ours) as caller:
            caller.call("127.0.0.1", callee.port("tls"), transport="tls", name=NAME)
            failed = await caller.until(Failed)
            assert (failed.reason, failed.detail) == ("transport", "TLS: tlsv1 alert unknown ca")
            assert callee.stack.connection_counters.handshake_failures == 1

    run(main())


def test_terms_of_a_place(ca: Authority, tmp_path: Path) -> None:
    """Another CA, our certificate for it, or no verification at all; the name is told in any case."""

    async def main() -> None:
        other = Authority(tmp_path, "other CA")
        theirs, ours = other.issue("theirs", [NAME]), other.issue("ours", ["us.example"])
        private = TlsTerms(ca=(other.file,), certificate=ours.certificate, private_key=ours.key)
        told: list[str] = []
        for terms in (private, LAX):
            server = server_context(theirs, other if terms is private else None)
            server.sni_callback = lambda ssl_object, name, context: told.append(name)
            own = contexts(ca, ca.issue("b2bua", [NAME]), terms)
            with Listening() as listening:
                async with party(TLS, tls=own) as us:
                    us.call("127.0.0.1", listening.port, transport="tls", name=NAME, terms=terms)
                    peer = await listening.accept(server)
                    await peer.request("INVITE")
                    await peer.close()
        assert told == [NAME, NAME]

    run(main())


def test_without_verification_the_certificate_may_say_anything(ca: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        pair = Authority(tmp_path, "other CA").issue("x", ["pbx.example"], days=-1)
        with Listening() as listening:
            async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME]), LAX)) as us:
                us.call("127.0.0.1", listening.port, transport="tls", name=NAME, terms=LAX)
                peer = await listening.accept(server_context(pair))
                await peer.request("INVITE")
                await peer.close()

    run(main())


def test_clients_are_known_by_their_certificates(ca: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME]), asks_clients=True)
        known = ca.issue("client", ["sbc.example.com"], common_name="SBC 1")
        unknown = Authority(tmp_path, "other CA").issue("unknown", ["sbc.example.com"])
        async with party(TLS, tls=own) as us:
            port = us.port("tls")
            clients = (known, ("sbc.example.com", "sbc 1")), (None, ())
            for count, (pair, subjects) in enumerate(clients, 1):
                async with wire(port, tls=client_context(ca, pair)) as peer:
                    peer.send(
                        request_text("INVITE", port=1, branch=f"a{count}", call_id=f"a{count}", body=SDP)
                    )
                    incoming = await us.until(InviteReceived, count)
                    assert incoming.session.source.subjects == subjects
            with pytest.raises(OSError, match=r"(?i)unknown.ca"):
                async with wire(port, tls=client_context(ca, unknown)) as peer:
                    await peer.octets(1)

    run(main())


# What serves whom


def test_a_connection_serves_only_the_name_it_was_verified_for(ca: Authority) -> None:
    async def main() -> None:
        own = contexts(ca, ca.issue("b2bua", [NAME, "127.0.0.1"]), LAX)
        async with party(TLS, tls=own) as callee, party(TLS, tls=own) as caller:
            await talk(caller, callee)
            await talk(caller, callee)
            assert caller.stack.connection_counters.handshakes == 1
            await talk(caller, callee, name="127.0.0.1")
            assert caller.stack.connection_counters.handshakes == 2
            caller.call("127.0.0.1", callee.port("tls"), transport="tls", name="evil.example", terms=LAX)
            await callee.until(InviteReceived, 4)
            assert caller.stack.connection_counters.handshakes == 3, "what was verified is not what was not"
            caller.call("127.0.0.1", callee.port("tls"), transport="tls", name="evil.example")
            assert (await caller.until(Failed)).reason == "tls_name_mismatch"

    run(main())


def test_new_certificates_leave_connections_alone(ca: Authority) -> None:
    async def main() -> None:
        context = client_context(ca)
        serials = []

        def serial(peer: object) -> None:
            ssl_object = peer.writer.get_extra_info("ssl_object")  # type: ignore[attr-defined]
            serials.append(ssl_object.getpeercert()["serialNumber"])

        async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME]))) as us:
            async with wire(us.port("tls"), tls=context) as old:
                us.stack.tls = contexts(ca, ca.issue("b2bua", [NAME]))
                async with wire(us.port("tls"), tls=context) as new:
                    for peer, branch in ((old, "a"), (new, "b")):
                        serial(peer)
                        peer.send(options(branch))
                        assert (await peer.response(200)).call_id == branch
            assert serials[0] != serials[1]
            assert us.stack.connection_counters.ended.total() == us.stack.connection_counters.ended["closed"]

    run(main())


def test_a_listener_needs_a_certificate() -> None:
    async def main() -> None:
        with pytest.raises(TransportError, match="no certificate is configured"):
            async with party(TLS):
                pass

    run(main())


def test_waiting_requests_follow_the_handshake(ca: Authority) -> None:
    """Nothing is said in clear while it lasts."""

    async def main() -> None:
        with Listening() as listening:
            async with party(TLS, tls=contexts(ca, ca.issue("b2bua", [NAME]))) as us:
                us.call("127.0.0.1", listening.port, transport="tls", name=NAME)
                us.call("127.0.0.1", listening.port, transport="tls", name=NAME)
                loop = asyncio.get_running_loop()
                sock, _ = await loop.sock_accept(listening.socket)
                hello = await loop.sock_recv(sock, 65536)
                assert hello[:1] == b"\x16", "a TLS handshake record"
                assert b"INVITE" not in hello
                sock.close()
                await come_true(lambda: sum(isinstance(event, Failed) for event in us.events) == 2)

    run(main())
