"""A client of the HTTP API that also holds it to its word: every answer must be one that the document describes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from b2bua.config import load_configuration
from b2bua.http_api.app import build_app
from b2bua.http_api.auth import Keys
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles
from tests.support.control_double import ControlDouble, as_control

KEY = "a-key-of-some-length"
MORE_DESTINATIONS = """\
billing:
  description: Billing disputes and refunds
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@cc.example.com
  auth: {username: acme, password: billing-secret}
back:
  method: bye
"""
POLICY = 'policy: {allow: ["sip:*@cc.example.com"]}\n'


class ApiClient:
    """Asks the API in memory; `control` tells what arrived behind it."""

    def __init__(self, folder: Path, *, keys: tuple[str, ...] = (KEY,), loopback: bool = True) -> None:
        self.environ: dict[str, str] = {}
        files = ConfigFiles(folder, MAIN + POLICY, DESTINATIONS + MORE_DESTINATIONS)
        configuration = load_configuration(files.main, self.environ)
        self.folder = folder
        self.control = ControlDouble(configuration)
        self.keys = Keys(map(SecretStr, keys), loopback=loopback)
        self.app = build_app(as_control(self.control), self.keys)
        self.document = self._ask("GET", "/openapi.json").json()

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """GET with the key."""
        return self.request("GET", path, headers=headers)

    def delete(self, path: str, **headers: str) -> httpx2.Response:
        """DELETE with the key."""
        return self._send("DELETE", path, None, headers)

    def post(self, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """POST JSON with the key; `Idempotency_Key=` becomes a header."""
        return self._send("POST", path, body, headers)

    def put(self, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """PUT JSON with the key."""
        return self._send("PUT", path, body, headers)

    def _send(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        return self.request(method, path, content=content, headers={**kind, **named})

    def hand_off(self, body: object, call_id: str = "call-1", **headers: str) -> httpx2.Response:
        """Ask for a handoff."""
        return self.post(f"/v1/calls/{call_id}/handoff", body, **headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = KEY,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Any request; `key=None` sends none. Fails the test when the answer is not as documented."""
        authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
        answer = self._ask(method, path, content=content, headers={**authorization, **(headers or {})})
        self._check(method, path, answer)
        return answer

    def _ask(
        self, method: str, path: str, *, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        async def ask() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                octets = httpx2.Headers(headers, encoding="latin-1")
                return await client.request(method, path, content=content, headers=octets)

        return asyncio.run(ask())

    def _check(self, method: str, path: str, answer: httpx2.Response) -> None:
        operation = self._operation(method, path)
        described = operation and operation["responses"].get(str(answer.status_code))
        assert operation is None or described, f"not documented: {answer.status_code} {answer.text}"
        if answer.status_code == 204:
            assert answer.content == b""
            return
        assert answer.headers["content-type"].partition(";")[0] in (
            described["content"] if described else ("application/json",)
        )
        for name in described.get("headers", {}) if described else ():
            assert name in answer.headers
        if answer.status_code >= 400:
            error = answer.json()["error"]
            assert set(error) == {"code", "message", "field"}
            assert error["message"]
            assert not described or error["code"] in described["content"]["application/json"]["examples"]

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\\{\w+\\}|\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path.partition("?")[0]) and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None


def error_of(answer: httpx2.Response) -> tuple[int, str, str | None]:
    """Status, code and field of an error."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]
