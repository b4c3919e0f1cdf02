"""A node whose machine does not come back: a process elsewhere, with its name, goes on with its calls.

docker/cluster on loopback; "elsewhere" is another port, which dialogs cannot tell from another address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.support import voices
from tests.support.cluster import NODES, Cluster
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.voices import ToneStream

CALLER, HUMAN = TONES = (300.0, 880.0)
until_heard = partial(voices.until_heard, tones=TONES)


@pytest.fixture
def human() -> Iterator[RtpCallee[ToneStream]]:
    with ToneStream(HUMAN) as audio, RtpCallee(audio, answers=True) as peer:
        yield peer


@pytest.mark.parametrize(("who", "source"), [("caller", "caller"), ("human", "agent"), ("api", "api")])
def test_its_calls_go_on_there(tmp_path: Path, human: RtpCallee[ToneStream], who: str, source: str) -> None:
    with ExitStack() as stack:
        where = f"sip:operator@{human.address}"
        cluster = stack.enter_context(Cluster(tmp_path, assistant=where, front_desk=where))
        caller = stack.enter_context(RtpCaller(stack.enter_context(ToneStream(CALLER))))
        caller.talk(cluster.address, "anybody")
        until_heard(caller.audio, HUMAN)

        def live() -> dict[str, str]:
            return {str(call["call_id"]): name for name in NODES for call in cluster.api(name).live_calls()}

        ((call_id, node),) = wait_until(lambda: live() or None, 10.0, "a call is up").items()
        other = next(name for name in NODES if name != node)
        told = f"/v1/calls/{call_id}"
        wait_until(lambda: cluster.api(other).answer("GET", told).status_code == 200, 10.0, "it is kept")
        cluster.kill(node)
        cluster.start_elsewhere(node)
        wait_until(lambda: live() == {call_id: node}, 10.0, "the call is known elsewhere")
        port = f":{cluster.node(node).port}"
        for peer in (caller, human):
            wait_until(
                partial(lambda each: any(port in one.contact_uri for one in each.requests("INVITE")), peer),
                10.0,
                "they are told where",
            )
        until_heard(caller.audio, HUMAN)
        until_heard(human.audio, CALLER)

        # Through Kamailio, by the new Contact.
        assert caller.change("sendonly").direction == "recvonly"
        wait_until(lambda: not human.audio.speaks, 5.0, "the human is on hold")
        assert caller.change("sendrecv").direction == "sendrecv"
        until_heard(human.audio, CALLER)

        if who == "api":
            cluster.api(node).ask("DELETE", told)
        else:
            (caller if who == "caller" else human).hang_up()
        (record,) = cluster.node(node).records(1)
        assert (record["call_id"], record["node"]) == (call_id, node)
        assert (record["outcome"]["name"], record["outcome"]["source"]) == ("normal_hangup", source)
        for peer, name in ((caller, "caller"), (human, "human")):
            if who != name:
                peer.wait_for_request("BYE", 10.0)
        assert len(cluster.node(node).records()) == 1
        for name in NODES:
            cluster.node(name).check_end()
