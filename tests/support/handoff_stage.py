"""A B2BUA with an assistant and an HTTP API, and a client that asks it for handoffs as an application does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support.b2bua_process import B2bua, Settings
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

KEY = "s3cret-of-the-api"
SUPPORT = "support"
"""What callers dial to reach the assistant."""


class Api:
    """The HTTP API of a running B2BUA. Every answer must be 2xx, or the test fails."""

    def __init__(self, b2bua: B2bua) -> None:
        assert b2bua.api is not None
        self._base = f"http://{b2bua.api}"
        self._headers = {"Authorization": f"Bearer {KEY}"}

    def ask(self, method: str, path: str, body: object = None) -> dict:
        """One request."""
        answer = self.answer(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def answer(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """One request that may be refused."""
        return httpx2.request(method, self._base + path, headers=self._headers, json=body, timeout=10)

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of a series of `GET /metrics`; None when there is none."""
        answer = httpx2.get(f"{self._base}/metrics", headers=self._headers, timeout=10)
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == f"b2bua_{name}" and sample.labels == labels:
                    return float(sample.value)
        return None

    def live_calls(self) -> list[dict]:
        """The calls that are answered and not over."""
        calls = self.ask("GET", "/v1/calls?limit=500")["calls"]
        return [call for call in calls if call["answered"] and not call["ended"]]

    def the_call(self, deadline: float = 10.0) -> str:
        """The id of the one call that is answered, when it is."""
        calls = wait_until(lambda: self.live_calls() or None, deadline, "a call is answered")
        (call,) = calls
        return str(call["call_id"])

    def hand_off(self, call_id: str, **body: object) -> dict:
        """Ask for a handoff; it has begun when this returns."""
        return self.ask("POST", f"/v1/calls/{call_id}/handoff", body)

    def handoff(self, handoff_id: object) -> dict:
        """How it stands."""
        return self.ask("GET", f"/v1/handoffs/{handoff_id}")

    def reaches(self, handoff: Mapping[str, object], *states: str, deadline: float = 15.0) -> dict:
        """The handoff, once it is in one of these states."""

        def look() -> dict | None:
            now = self.handoff(handoff["id"])
            return now if now["state"] in states else None

        return wait_until(look, deadline, lambda: f"{states}: {self.handoff(handoff['id'])}")


def stage_settings(
    assistant: str, *, route: Settings | None = None, trunk: Settings | None = None
) -> dict[str, object]:
    """The sections of b2bua.yaml for `staged`."""
    accept = {"accept": {"addresses": [f"{LOOPBACK}/32"]}}
    return {
        "trunks": {"sbc": {**accept, **(trunk or {})}},
        "routes": [{"trunk": "sbc", "to": SUPPORT, "assistant": assistant, **(route or {})}],
        "api": {"listen": f"{LOOPBACK}:0", "keys": [KEY]},
    }


@contextlib.contextmanager
def staged(
    folder: Path,
    assistant: str,
    destinations: Mapping[str, Settings],
    *,
    route: Settings | None = None,
    trunk: Settings | None = None,
    policy: Settings | None = None,
    webhooks: Settings | None = None,
    more: Settings | None = None,
    **options: object,
) -> Iterator[tuple[B2bua, Api]]:
    """A running B2BUA whose callers of `support` talk to the assistant at that URI; it must end well.

    `route` and `trunk` are further keys of the one route and the one trunk, `more` of the file; `options` go to
    `B2bua`.
    """
    main = stage_settings(assistant, route=route, trunk=trunk)
    if policy is not None:
        main["policy"] = policy
    if webhooks is not None:
        main["webhooks"] = webhooks
    main.update(more or {})
    with B2bua(folder, destinations, main=main, **options) as b2bua:  # type: ignore[arg-type]
        yield b2bua, Api(b2bua)
        b2bua.check_end()
