"""The store over a real Redis: the contract, two B2BUAs that share one, and a Redis that is killed and comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2bua.store import Document, Kind, StoreUnavailable
from b2bua.store import redis as module
from b2bua.store.redis import RedisBackend
from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, stage_settings, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.redis_server import PASSWORD, RedisServer
from tests.support.scripted import ScriptedCallee, ScriptedCaller
from tests.support.store_backends import document
from tests.support.store_contract import (  # noqa: F401  (they are tests of this module too)
    test_a_group_is_read_page_by_page_newest_first,
    test_a_removed_document_is_gone,
    test_text_of_any_kind_survives,
    test_what_is_removed_leaves_its_group,
    test_what_is_written_is_read_and_the_newest_version_wins,
)

SHARED = "conversation-17"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def backend(server: RedisServer) -> Iterator[RedisBackend]:
    server.ask("FLUSHALL")
    opened = RedisBackend(server.url)
    yield opened
    opened.close()


def now() -> int:
    return round(time.time() * 1000)


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def busy(invite: SipText) -> list[bytes]:
    return [response(invite, 486, "Busy Here")]


def rings(invite: SipText) -> list[bytes]:
    return [response(invite, 180, "Ringing")]


# -- the contract, and what is particular to Redis ----------------------------------------------------------------


def test_other_programs_find_the_flag_of_a_transfer(server: RedisServer, backend: RedisBackend) -> None:
    backend.write([Document(Kind.TRANSFER, "call-1", '{"a":1}', now(), now() + 300_000)])

    assert b'{"a":1}' in server.ask("GET transfer:call-1")
    assert 295 <= int(server.ask("TTL transfer:call-1").strip(b":\r\n")) <= 300


def test_what_expires_leaves_its_group(server: RedisServer, backend: RedisBackend) -> None:
    long_ago = now() - 10_000
    backend.write(
        [
            document("gone", created=now(), group="s"),
            document("short", created=long_ago, group="s", seconds=10.05),
            document("long", created=now(), group="s"),
        ]
    )
    server.ask("DEL handoff:gone")
    wait_until(lambda: b"$-1" in server.ask("GET handoff:short"), 10.0, "it expires")

    assert [each.place.key for each in backend.find(Kind.HANDOFF, "s", None, 5)] == ["long"]
    assert server.ask("ZCARD handoff:in:s") == b":1\r\n"
    assert int(server.ask("PTTL handoff:in:s").strip(b":\r\n")) > 0


def test_of_calls_the_newest_are_kept(backend: RedisBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", {Kind.CALL: 3})
    calls = [document(f"c{n}", kind=Kind.CALL, created=now() + n, group="ended") for n in range(5)]
    backend.write(calls)

    assert [each.place.key for each in backend.find(Kind.CALL, "ended", None, 9)] == ["c4", "c3", "c2"]
    assert backend.read(Kind.CALL, ["c0", "c4"]).keys() == {"c4"}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda server: server.url.replace(PASSWORD, "a-wrong-secret"), "AuthenticationError"),
        (lambda server: server.url.replace(f":{PASSWORD}@", ""), "AuthenticationError|NOAUTH"),
        (lambda server: server.url.replace(str(server.port), "1"), "onnection"),
        (lambda server: server.url.replace("/0", "/999"), "ResponseError|Connection|index"),
    ],
)
def test_why_it_does_not_work_is_said_without_a_secret(server: RedisServer, make: object, why: str) -> None:
    backend = RedisBackend(make(server))  # type: ignore[operator]

    with pytest.raises(StoreUnavailable, match=why) as raised:
        backend.check()

    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    backend.close()


def test_a_redis_that_is_full_refuses_and_comes_back(server: RedisServer, backend: RedisBackend) -> None:
    server.ask("CONFIG SET maxmemory 1")
    with pytest.raises(StoreUnavailable, match=r"OOM|OutOfMemory|EXECABORT|Exec"):
        backend.write([document("a", created=now())])
    server.ask("CONFIG SET maxmemory 0")

    backend.write([document("a", created=now())])


# -- whole B2BUAs ---------------------------------------------------------------------------------------------------


def test_what_one_node_writes_the_other_reads_and_killing_one_loses_nothing(
    server: RedisServer, tmp_path: Path
) -> None:
    server.ask("FLUSHALL")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with ScriptedCallee(answers) as bot, ScriptedCallee(busy) as human, ScriptedCaller() as caller:
        assistant, desk = f"sip:bot@{bot.address}", {"desk": {"route": f"sip:desk@{human.address}"}}
        store = {"store": server.url}
        with (
            B2bua(tmp_path / "one", desk, main={**stage_settings(assistant), **store}) as b2bua,
            staged(tmp_path / "two", assistant, desk, more=store) as (_, other),
        ):
            one = Api(b2bua)
            caller.call(b2bua.address, SUPPORT)
            call_id = one.the_call()
            handoff = one.hand_off(call_id, shared_id=SHARED, reason="refund", data={"customer_id": "C-1"})
            failed = one.reaches(handoff, "failed")
            seen = wait_until(
                lambda: (
                    (found := other.ask("GET", f"/v1/handoffs?shared_id={SHARED}")["handoffs"])
                    and found[0]["state"] == "failed"
                    and found
                ),
                10.0,
                "the other node reads it",
            )
            assert seen == [failed]
            assert other.handoff(handoff["id"]) == failed
            chat = {"channel": "webchat", "shared_id": SHARED, "data": {"page": "/pay"}}
            context = one.ask("POST", "/v1/handoffs", chat)
            assert other.handoff(context["id"]) == context
            said = other.ask("POST", f"/v1/handoffs/{handoff['id']}/outcome", {"result": "called back"})
            assert one.handoff(handoff["id"])["resolution"] == said["resolution"]

            b2bua.send_signal(signal.SIGKILL)
            b2bua.wait(5.0)

            kept = other.ask("GET", f"/v1/handoffs?shared_id={SHARED}")["handoffs"]
            assert [each["id"] for each in kept] == [context["id"], handoff["id"]]
            assert kept[1] == {**failed, "resolution": said["resolution"]}
            other.ask("POST", f"/v1/handoffs/{context['id']}/outcome", {"result": "bought"})
            assert other.handoff(context["id"])["state"] == "completed"


def test_a_redis_that_is_killed_costs_no_call_and_is_written_to_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "b2bua").mkdir()
    with (
        ScriptedCallee(answers) as bot,
        ScriptedCallee(rings) as human,
        ScriptedCaller() as caller,
        ScriptedCaller() as another,
    ):
        redis = RedisServer(tmp_path / "redis")
        more = {"store": redis.url}
        assistant, desk = f"sip:bot@{bot.address}", {"desk": {"route": f"sip:desk@{human.address}"}}
        with redis, staged(tmp_path / "b2bua", assistant, desk, more=more) as (b2bua, api):
            caller.call(b2bua.address, SUPPORT)
            call_id = api.the_call()
            before = api.ask("POST", "/v1/handoffs", {"channel": "sms", "shared_id": SHARED})
            redis.send_signal(signal.SIGKILL)
            redis.wait(5.0)
            wait_until(lambda: not store_of(api)["available"], 15.0, "it is noticed")

            handoff = api.hand_off(call_id, shared_id=SHARED, reason="refund")
            api.reaches(handoff, "ringing")
            api.ask("DELETE", f"/v1/handoffs/{handoff['id']}")
            api.reaches(handoff, "cancelled")
            another.call(b2bua.address, SUPPORT)
            wait_until(lambda: len(api.live_calls()) == 2, 10.0, "calls are taken")
            page = api.ask("GET", f"/v1/handoffs?shared_id={SHARED}")
            assert [each["id"] for each in page["handoffs"]] == [handoff["id"], before["id"]]
            assert page["complete"] is False
            assert store_of(api)["waiting"] > 0

            with RedisServer(tmp_path / "redis", redis.port) as back:
                wait_until(lambda: (s := store_of(api))["available"] and not s["waiting"], 15.0, "it is used")
                assert b'"cancelled"' in back.ask(f"GET handoff:{handoff['id']}")
                assert b"$-1" in back.ask(f"GET transfer:{call_id}")
                assert store_of(api)["lost"] == 0
                another.hang_up()
                for call in api.live_calls():
                    api.ask("DELETE", f"/v1/calls/{call['call_id']}")
                b2bua.records(2)
                b2bua.check_end()
                assert b"$-1" not in back.ask(f"GET call:{call_id}")
        events = b2bua.errors
        assert events.count("store_unavailable") == events.count("store_recovered") == 1
        assert PASSWORD not in events


def store_of(api: Api) -> dict:
    return dict(api.ask("GET", "/readyz")["store"])
