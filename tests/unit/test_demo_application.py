"""The demonstration's voice-AI application: what it asks over HTTP, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from b2bua.demo.application import Application, ApplicationFailed

KEY = "a key of the demo"
Answer = tuple[int, object]
BODY: dict[str, object] = {"destination": "billing", "reason": "refund"}


class Api(HTTPServer):
    """Gives one answer after the other, and remembers what was asked."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = iter(answers)
        self.asked: list[tuple[str, str, str | None, object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = json.loads(body) if body else None
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization"), asked))
        status, answer = next(self.server.answers)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


@contextmanager
def api(*answers: Answer) -> Iterator[Api]:
    with Api(list(answers)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, said: list[str]) -> dict[str, object]:
    application = Application(port, KEY, said.append)
    return asyncio.run(application.hand_off("c1", BODY))


def handoff(state: str) -> dict[str, object]:
    return {"id": "h1", "state": state, "outcome": {"code": 4000} if state == "completed" else None}


def test_a_handoff_is_followed_until_it_is_over() -> None:
    said: list[str] = []
    states = ("dialing", "dialing", "connected", "completed")
    with api((202, handoff("requested")), *((200, handoff(state)) for state in states)) as server:
        found = ask(server.server_port, said)
    assert found == handoff("completed")
    assert said == ["POST …/handoff to billing", "202, it is requested"] + [
        f"it is {state}" for state in ("dialing", "connected", "completed")
    ]
    bearer = f"Bearer {KEY}"
    assert server.asked[0] == ("POST", "/v1/calls/c1/handoff", bearer, BODY)
    assert set(map(repr, server.asked[1:])) == {repr(("GET", "/v1/handoffs/h1", bearer, None))}


def test_a_screen_shows_the_context_that_is_there() -> None:
    with api((200, handoff("ringing")), (404, {"error": {"code": "handoff_not_found"}})) as server:
        application = Application(server.server_port, KEY, print)
        assert asyncio.run(application.context("h1")) == handoff("ringing")
        with pytest.raises(ApplicationFailed, match="404"):
            asyncio.run(application.context("h1"))


@pytest.mark.parametrize(
    "answers",
    [
        [(409, {"error": {"code": "call_not_answered"}})],
        [(202, ["no object"])],
        [(202, handoff("requested")), (404, {"error": {"code": "handoff_not_found"}})],
    ],
)
def test_any_other_answer_is_a_failure(answers: list[Answer]) -> None:
    with api(*answers) as server, pytest.raises(ApplicationFailed):
        ask(server.server_port, [])


def test_nobody_there_is_a_failure() -> None:
    with api() as server:
        port = server.server_port
    with pytest.raises(ApplicationFailed):
        ask(port, [])
