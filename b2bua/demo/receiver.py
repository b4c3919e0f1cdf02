"""The voice-AI application's web server: takes the callbacks of its handoffs (docs/webhooks.md)."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from b2bua.demo.phone import HOST


@dataclass(frozen=True, slots=True)
class Callback:
    """One request. `at` is the time of day in seconds."""

    at: float
    path: str
    parameters: Mapping[str, str]


class Receiver:
    """Listens while its block lasts; `callbacks` are in the order in which they came."""

    def __init__(self) -> None:
        self.callbacks: list[Callback] = []
        callbacks = self.callbacks

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = dict(parse_qsl(body, keep_blank_values=True))
                callbacks.append(Callback(time.time(), self.path, parameters))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is written."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver of callbacks")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Where it is called."""
        return f"http://{HOST}:{self._server.server_port}{path}"
