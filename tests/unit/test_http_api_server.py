"""The HTTP API on real sockets: starting, closing, and clients that are slow, many, or do not speak HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from b2bua.config import Listener, ReloadResult
from b2bua.http_api import ApiServer, ApiStartError, connection, server
from tests.support.config_files import ConfigFiles
from tests.support.control_double import ControlDouble, as_control
from tests.support.http_api_server import KEY, answer_of, at_end, play, running
from tests.support.tcp_stack import come_true

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
GET = f"GET /v1/destinations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_serves_on_the_port_it_tells(tmp_path: Path, host: str) -> None:
    async def story() -> None:
        async with running(tmp_path, host) as api, httpx2.AsyncClient(base_url=api.url) as client:
            begun = await client.post(
                "/v1/calls/call-1/handoff", json={"destination": "desk"}, headers=AUTHORIZED
            )
            seen = await client.get(begun.headers["location"], headers=AUTHORIZED)
            refused = await client.get("/v1/calls")

            assert api.port != 0
            assert (begun.status_code, seen.json(), refused.status_code) == (202, begun.json(), 401)
            assert "date" in seen.headers
            assert "server" not in seen.headers

    play(story())


def test_a_taken_address_is_a_clear_error(tmp_path: Path) -> None:
    async def story() -> None:
        control = ControlDouble(ConfigFiles(tmp_path).load())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listener = Listener("http", "127.0.0.1", taken.getsockname()[1])
            api = ApiServer(listener, [], as_control(control))
            with pytest.raises(
                ApiStartError, match=r"api\.listen http:127\.0\.0\.1:\d+: Address already in use"
            ):
                await api.start()
            await api.close()

    play(story())


def test_the_process_keeps_its_signal_handlers(tmp_path: Path) -> None:
    async def story() -> None:
        before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        async with running(tmp_path):
            assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before

    play(story())


def test_a_connection_that_is_over_is_freed_without_the_collector(tmp_path: Path) -> None:
    """It rests while calls are up, and a scraper may connect for each request."""

    def alive() -> set[int]:
        kinds = (connection.BoundedConnection, asyncio.Transport)
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, kinds)}

    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with running(tmp_path) as api:
            before = alive()
            for sent, resets in ((GET, False), (b"", False), (GET, True)):
                with socket.create_connection((api.host, api.port)) as peer:
                    peer.setblocking(False)
                    await loop.sock_sendall(peer, sent)
                    if sent:
                        await loop.sock_recv(peer, 65_536)
                    if resets:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await come_true(lambda: alive() <= before)

    gc.disable()
    try:
        play(story())
    finally:
        gc.enable()


def test_reloaded_keys_hold_for_open_connections_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            running(tmp_path) as api,
            httpx2.AsyncClient(base_url=api.url, headers=AUTHORIZED) as client,
        ):
            assert (await client.get("/v1/destinations")).status_code == 200
            api.server.replace_keys([SecretStr("another-key")])
            assert (await client.get("/v1/destinations")).status_code == 401

    play(story())


def test_closing_lets_a_request_finish_and_drops_idle_connections(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            asked, release = _slow_reload(api.control)
            idle, idle_writer = await api.connect()
            busy, busy_writer = await api.connect()
            busy_writer.write(GET.replace(b"GET /v1/destinations", b"POST /v1/reload"))
            await asked.wait()

            closing = asyncio.create_task(api.server.close())
            assert await at_end(idle)
            release.set()

            assert (await answer_of(busy))[0] == 200
            assert await at_end(busy)
            await closing
            with pytest.raises(ConnectionRefusedError):
                await api.connect()
            await _close(idle_writer, busy_writer)

    play(story())


def test_closing_does_not_wait_for_a_request_that_never_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.01)

    async def story() -> None:
        async with running(tmp_path) as api:
            asked, _ = _slow_reload(api.control)
            reader, writer = await api.connect()
            writer.write(GET.replace(b"GET /v1/destinations", b"POST /v1/reload"))
            await asked.wait()
            await api.server.close()
            with suppress(ConnectionResetError):
                await reader.read()
            await _close(writer)

    play(story())


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /v1/destinations HT",
        GET[:-2] + b"X-Slow: ",
        GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 10\r\n\r\n{",
        GET.replace(b"GET", b"POST")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_a_client_that_takes_too_long_to_ask_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.05)

    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            writer.write(begun)
            assert await at_end(reader)
            await _close(writer)

    play(story())


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)

    async def story() -> None:
        async with running(tmp_path) as api:
            _, writer = await api.connect()
            transport = writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            # The answers pile up in the kernel, then in the server, until it stops reading.
            lost = asyncio.create_task(writer.wait_closed())
            while not transport.is_closing():
                writer.write(GET.replace(b"/v1/destinations", b"/openapi.json") * 50)
                await asyncio.sleep(0.01)
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await lost
            assert api.server._state.connections == set()

    play(story())


def test_an_answer_that_takes_its_time_is_not_the_clients_fault(
    tmp_path: Path,
) -> None:

    async def story() -> None:
        async with running(tmp_path) as api:
            asked, release = _slow_reload(api.control)
            reader, writer = await api.connect()
            writer.write(GET.replace(b"GET /v1/destinations", b"POST /v1/reload"))
            await asked.wait()
            (served,) = api.server._state.connections
            assert isinstance(served, connection.BoundedConnection)
            served.end_if_overdue(asyncio.get_running_loop().time() + connection.REQUEST_SECONDS + 1)
            release.set()
            assert (await answer_of(reader))[0] == 200
            await _close(writer)

    play(story())


def test_connections_beyond_the_limit_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)

    async def story() -> None:
        async with running(tmp_path) as api:
            kept = [await api.connect() for _ in range(2)]
            for reader, writer in kept:
                writer.write(GET)
                assert (await answer_of(reader))[0] == 200
            reader, writer = await api.connect()

            status, body = await answer_of(reader)

            assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_connections")
            assert await at_end(reader)
            await _close(writer, *(each for _, each in kept))

    play(story())


@pytest.mark.parametrize("sent", [b"", b"GET /v1/calls HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /heal"])
def test_who_shows_no_key_keeps_nobody_out(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)

    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            writer.write(GET)
            assert (await answer_of(reader))[0] == 200
            strangers = [await api.connect() for _ in range(5)]
            for _, stranger in strangers:
                stranger.write(sent)
            late, late_writer = await api.connect()
            late_writer.write(GET)
            assert (await answer_of(late))[0] == 200
            writer.write(GET)
            assert (await answer_of(reader))[0] == 200, "who was there with a key still is"
            assert len(api.server._state.connections) == 2
            await _close(writer, late_writer, *(each for _, each in strangers))

    play(story())


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000]
)
def test_what_is_no_http_is_refused_in_json(tmp_path: Path, sent: bytes) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            writer.write(sent)

            status, body = await answer_of(reader)

            assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_http")
            assert await at_end(reader)
            await _close(writer)

    play(story())


def test_a_body_that_breaks_off_after_its_answer_began_gets_no_second_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            head = GET.replace(b"GET", b"POST")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
            writer.write(head.replace(KEY.encode(), b"wrong-key") + b"5\r\nhello\r\n")
            assert (await answer_of(reader))[0] == 401
            writer.write(b"this is no chunk\r\n")
            assert await at_end(reader)
            await _close(writer)

    play(story())


def test_a_large_body_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            writer.write(
                GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 200000\r\n\r\n" + bytes(200_000) + GET
            )

            assert (await answer_of(reader))[0] == 413
            assert (await answer_of(reader))[0] == 200
            await _close(writer)

    play(story())


def _slow_reload(control: ControlDouble) -> tuple[asyncio.Event, asyncio.Event]:
    """Makes `POST /v1/reload` wait: set when it was asked for, and to be set when it may answer."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def reload() -> ReloadResult:
        asked.set()
        await release.wait()
        return control.reload_result

    control.reload = reload  # type: ignore[method-assign]
    return asked, release


async def _close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
