"""What is tried again, when, and in which order: in virtual time, with a sender that does what it is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from b2bua.config.callback_url import CallbackUrl, parse_callback_url
from b2bua.config.webhooks import Webhooks as Settings
from b2bua.feed import Feed
from b2bua.store import Store
from b2bua.webhooks import Outbox, Webhooks
from b2bua.webhooks.delivery import Delivery, Lost, compose, deliver
from b2bua.webhooks.sender import ConnectFailed, NoAnswer, Refused
from b2bua.webhooks.signature import SIGNATURE_HEADER, sign
from tests.support.virtual_loop import run_virtual

PARAMETERS = [("Event", "DialAnswer"), ("DialBLegUUID", ""), ("From", "sip:a@b")]
Answer = int | Exception | float


class SenderDouble:
    """Answers as told, by host: a status, a failure, or (a float) 200 after so many seconds."""

    def __init__(self, *answers: Answer, hosts: dict[str, Answer] | None = None) -> None:
        self.answers = list(answers)
        self.hosts = hosts or {}
        self.sent: list[tuple[float, str, dict[str, str], bytes]] = []
        self.closed = False

    async def post(
        self,
        url: CallbackUrl,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> int:
        self.sent.append((asyncio.get_running_loop().time(), url.host, dict(headers), body))
        answer = self.answers.pop(0) if self.answers else self.hosts.get(url.host, 200)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return 200
        return answer

    async def close(self) -> None:
        self.closed = True


def attempt(fragment: str, *answers: Answer) -> tuple[SenderDouble, str | None]:
    """One delivery; the sender and why it was lost."""
    sender = SenderDouble(*answers)

    async def story() -> str | None:
        url = parse_callback_url(f"https://app.example.com/h{fragment}")
        try:
            await deliver(Delivery(url, PARAMETERS), Settings(), sender)
        except Lost as lost:
            return str(lost)
        return None

    return sender, run_virtual(story())


@pytest.mark.parametrize(
    ("fragment", "answers", "tries", "lost"),
    [
        ("", [204], 1, None),
        ("", [ConnectFailed("x"), 200], 2, None),
        ("", [NoAnswer("x"), 200], 2, None),
        ("", [NoAnswer("x"), NoAnswer("y"), 200], 2, "y"),
        ("", [500], 1, "answered 500"),
        ("", [404], 1, "answered 404"),
        ("", [302], 1, "answered 302"),
        ("", [Refused("private")], 1, "private"),
        ("#rc=3&rp=5xx", [500, 503, 200], 3, None),
        ("#rc=3&rp=5xx", [NoAnswer("x")], 1, "x"),
        ("#rc=3&rp=all", [404, NoAnswer("x"), ConnectFailed("y"), 200], 4, None),
        ("#rc=0", [NoAnswer("x")], 1, "x"),
        ("#rc=3&rp=all", [Refused("private"), 200], 1, "private"),
    ],
)
def test_what_is_tried_again(fragment: str, answers: list[Answer], tries: int, lost: str | None) -> None:
    sender, why = attempt(fragment, *answers)
    assert (len(sender.sent), why) == (tries, lost)
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in sender.sent}) == 1


def test_pauses_grow_and_the_total_ends_them() -> None:
    sender, why = attempt("#rc=5&rp=all", *[503] * 6)
    times = [at for at, *_ in sender.sent]
    pauses = [after - before for before, after in pairwise(times)]
    for number, pause in enumerate(pauses):
        assert 0.5 <= pause / (0.5 * 2**number) <= 1.0
    assert why == "answered 503"
    sender, why = attempt("#rc=5&rp=all&tt=1000", *[503] * 6)
    assert len(sender.sent) < 4
    assert why is not None
    assert "total_timeout" in why


@pytest.mark.parametrize("form", [True, False])
def test_a_receiver_can_check_what_it_got(form: bool) -> None:
    settings = Settings.model_validate({"token": "a-token-of-ours", "format": "form" if form else "json"})
    url = parse_callback_url("https://app.example.com/h?k=v#rc=2")
    (headers, body), (again, _) = (compose(Delivery(url, PARAMETERS), settings) for _ in range(2))
    got = dict(parse_qsl(body.decode(), keep_blank_values=True)) if form else json.loads(body)
    assert list(got.items()) == PARAMETERS
    said, said_again = dict(headers), dict(again)
    nonce = said["X-Plivo-Signature-V3-Nonce"]
    assert nonce != said_again["X-Plivo-Signature-V3-Nonce"]
    wanted = sign("https://app.example.com/h?k=v", list(got.items()), nonce, ["a-token-of-ours"])
    assert said[SIGNATURE_HEADER] == wanted
    assert SIGNATURE_HEADER not in dict(compose(Delivery(url, PARAMETERS), Settings())[0])


# -- lanes ----------------------------------------------------------------------------------------------------------


def lanes(sender: SenderDouble, story: Callable[[Webhooks], object]) -> Webhooks:
    """Webhooks that were told to send, and have sent, been lost, or given up."""

    async def whole() -> Webhooks:
        webhooks = Webhooks(
            Feed(), Settings, lambda call_id: None, lambda: sender, Outbox(Store(None, "disabled"))
        )
        webhooks._sender = sender
        webhooks.start()
        story(webhooks)
        await webhooks.close(3600)
        return webhooks

    return run_virtual(whole())


def put(webhooks: Webhooks, call_id: str, event: str, url: str = "https://good.example/h") -> None:
    webhooks._put(call_id, Delivery(parse_callback_url(url), [("Event", event)]))


def test_a_calls_requests_keep_their_order_whatever_each_takes() -> None:
    sender = SenderDouble(5.0, NoAnswer("x"), 200, 0.1)

    def story(webhooks: Webhooks) -> None:
        for event in ("one", "two", "three"):
            put(webhooks, "call-1", event)

    webhooks = lanes(sender, story)
    assert [body for *_, body in sender.sent] == [b"Event=one", b"Event=two", b"Event=two", b"Event=three"]
    assert (webhooks.counters.taken, webhooks.counters.tried_again, webhooks.counters.lost) == (3, 1, 0)
    assert webhooks.waiting == 0
    assert sender.closed


def test_a_dead_receiver_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b2bua.webhooks.service.MAX_WAITING_OF_RECEIVER", 100)
    sender = SenderDouble(hosts={"dead.example": 30.0})

    def story(webhooks: Webhooks) -> None:
        for number in range(150):
            put(webhooks, f"dead-{number}", "x", "https://dead.example/h#tt=20000")
        for number in range(100):
            put(webhooks, f"good-{number}", "y")

    webhooks = lanes(sender, story)
    good = [at for at, host, *_ in sender.sent if host == "good.example"]
    assert len(good) == 100
    assert max(good) - min(good) < 1.0, "nobody waited for the dead one"
    assert (webhooks.counters.taken, webhooks.counters.lost, webhooks.waiting) == (100, 150, 0)


def test_a_caller_who_presses_keys_without_end_fills_a_lane_and_no_more() -> None:
    sender = SenderDouble(1.0)

    def story(webhooks: Webhooks) -> None:
        for _ in range(500):
            put(webhooks, "call-1", "digit")

    webhooks = lanes(sender, story)
    assert webhooks.counters.lost > 0
    assert webhooks.counters.taken + webhooks.counters.lost == 500


def test_the_receiver_of_the_page_accepts_what_we_send_and_nothing_else() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    settings = Settings.model_validate({"token": ["the-next-token", "a-token-of-ours"]})
    url = "https://app.example.com/h"
    headers, body = compose(Delivery(parse_callback_url(f"{url}#rc=2"), PARAMETERS), settings)
    got = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert names["is_ours"](url, got, dict(headers), "a-token-of-ours")
    assert not names["is_ours"](url, {**got, "From": "sip:c@d"}, dict(headers), "a-token-of-ours")
    assert not names["is_ours"](url, got, dict(headers), "another-token")
