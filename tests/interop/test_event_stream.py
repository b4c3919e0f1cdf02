"""The client follows a running B2BUA over a connection that is lost: no event is missing, none comes twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2

from b2bua.client import CallAnswered, CallEnded, Client, Event, HandoffChanged, LegEnded
from tests.support.handoff_stage import KEY, SUPPORT, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def is_busy(invite: SipText) -> list[bytes]:
    return [response(invite, 486, "Busy Here")]


class Cut(httpx2.HTTPTransport):
    """Loses a connection when it is told to, in the middle of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.now = threading.Event()
        self.asked: list[str | None] = []
        """The Last-Event-ID of each request, once the server follows."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = super().handle_request(request)
        self.asked.append(request.headers.get("Last-Event-ID"))
        assert isinstance(answer.stream, httpx2.SyncByteStream)
        stream = answer.stream
        cut = self.now

        class Cuttable(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                for octets in stream:
                    if cut.is_set():
                        cut.clear()
                        raise httpx2.ReadError("cut")
                    yield octets

            def close(self) -> None:
                stream.close()

        answer.stream = Cuttable()
        return answer


def test_nothing_is_missed_over_a_lost_connection(tmp_path: Path) -> None:
    events: list[Event] = []
    cut = Cut()
    with (
        ScriptedCallee(answers) as bot,
        ScriptedCallee(is_busy) as human,
        ScriptedCaller() as caller,
        staged(tmp_path, f"sip:bot@{bot.address}", {"billing": {"route": f"sip:queue@{human.address}"}}) as (
            b2bua,
            api,
        ),
        Client(f"http://{b2bua.api}", KEY, transport=cut) as client,
    ):

        def follow() -> None:
            for event in client.events():
                events.append(event)
                if isinstance(event, CallEnded):
                    break

        follower = threading.Thread(target=follow)
        follower.start()
        wait_until(lambda: bool(cut.asked), 5.0, "the client follows")
        caller.call(b2bua.address, SUPPORT)
        call_id = api.the_call()
        wait_until(
            lambda: any(isinstance(each, CallAnswered) for each in events), 5.0, "it hears of the call"
        )
        cut.now.set()
        api.reaches(api.hand_off(call_id, destination="billing", shared_id="s-1"), "failed")
        api.ask("DELETE", f"/v1/calls/{call_id}")
        follower.join(20.0)
        assert not follower.is_alive()
    assert len({event.id for event in events}) == len(events)
    assert [event.event for event in events if event.event.startswith("call.")] == [
        *("call.started", "call.answered", "call.ended")
    ]
    assert [each.state for each in events if isinstance(each, HandoffChanged)] == [
        *("requested", "dialing", "failed")
    ]
    (refused,) = (each for each in events if isinstance(each, LegEnded) and each.role == "agent")
    assert refused.outcome.name == "busy"
    before, after = cut.asked
    assert before is None
    assert after is not None
