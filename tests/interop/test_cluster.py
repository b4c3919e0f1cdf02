"""docker/cluster as its compose file starts it, as processes on loopback: Kamailio, two nodes, Redis, two rtpengines.

Calls, hold, handoffs and BYE from every side; docs/scale.md says what else is seen here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from tests.support import voices
from tests.support.b2bua_process import ROOT
from tests.support.cluster import NODES, Cluster
from tests.support.handoff_stage import SUPPORT, Api
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.scripted import ScriptedCaller
from tests.support.voices import ToneStream

CALLER, ASSISTANT, HUMAN = TONES = (300.0, 440.0, 880.0)
until_heard = partial(voices.until_heard, tones=TONES)


@dataclass(slots=True)
class Stage:
    """The cluster, and whom its calls go to."""

    cluster: Cluster
    assistant: RtpCallee
    human: RtpCallee

    def live(self) -> dict[str, str]:
        """The calls that are up: id, and its node."""
        return {str(call["call_id"]): name for name in NODES for call in self.cluster.api(name).live_calls()}

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """A test that fails leaves no call to the next one."""
        try:
            yield
        except BaseException:
            for name in NODES:
                if self.cluster.node(name).returncode is None:
                    api = self.cluster.api(name)
                    for call in api.live_calls():
                        api.answer("DELETE", f"/v1/calls/{call['call_id']}")
            raise

    def the_call(self) -> Call:
        """The only one, once it is answered."""
        ((call_id, name),) = wait_until(lambda: self.live() or None, 10.0, "a call is up").items()
        (other,) = set(NODES) - {name}
        return Call(call_id, name, self.cluster.api(name), self.cluster.api(other))

    def record_of(self, call_id: str) -> tuple[str, dict]:
        """The node that recorded a call, and its one record."""

        def look() -> list[tuple[str, dict]]:
            return [
                (name, record)
                for name, records in self.cluster.records().items()
                for record in records
                if record["call_id"] == call_id
            ]

        wait_until(lambda: bool(look()), 10.0, "a record")
        (found,) = look()
        return found


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is up."""

    id: str
    node: str
    api: Api
    """Of its node."""
    elsewhere: Api
    """Of the other."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        streams = [stack.enter_context(ToneStream(each)) for each in (ASSISTANT, HUMAN)]
        bot = stack.enter_context(RtpCallee(streams[0], answers=True))
        human = stack.enter_context(RtpCallee(streams[1]))
        cluster = Cluster(
            folder, assistant=f"sip:bot@{bot.address}", front_desk=f"sip:operator@{human.address}"
        )
        stack.enter_context(cluster)
        yield Stage(cluster, bot, human)
        for name in NODES:
            cluster.node(name).check_end()


@contextmanager
def calling(stage: Stage, user: str = SUPPORT) -> Iterator[RtpCaller]:
    """A caller who has dialled, and has been answered when that is the assistant."""
    for peer in (stage.assistant, stage.human):
        peer.forget()
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller, stage.cleared():
        if user == SUPPORT:
            caller.talk(stage.cluster.address, user)
            until_heard(caller.audio, ASSISTANT)
            until_heard(stage.assistant.audio, CALLER)
        else:
            caller.call(stage.cluster.address, user)
            stage.human.wait_for_request("INVITE")
            stage.human.answer()
            caller.audio.start(caller.final()[0].media_address())
            until_heard(caller.audio, HUMAN)
            until_heard(stage.human.audio, CALLER)
        yield caller


def until_told(
    caller: RtpCaller[ToneStream], callee: RtpCallee[ToneStream], to_caller: int, to_callee: int
) -> None:
    """Until each of them has had so many BYEs."""

    def counts() -> tuple[int, int]:
        return len(caller.requests("BYE")), len(callee.requests("BYE"))

    wait_until(lambda: counts() == (to_caller, to_callee), 10.0, lambda: f"BYEs, but {counts()}")


def until_over(stage: Stage) -> None:
    """Until no node has a call."""
    wait_until(lambda: not stage.live(), 10.0, "the call is over")


def test_calls_go_to_both_nodes_and_what_belongs_to_one_stays_there(stage: Stage) -> None:
    nodes: dict[str, str] = {}
    while len(set(nodes.values())) < 2 or len(nodes) < 4:
        assert len(nodes) < 30, "all to one node"
        with calling(stage) as caller:
            call = stage.the_call()
            nodes[call.id] = call.node
            assert caller.change("sendrecv").status == 200
            caller.hang_up()
            until_over(stage)
    for call_id, node in nodes.items():
        where, record = stage.record_of(call_id)
        assert where == node
        assert (record["outcome"]["name"], record["outcome"]["source"]) == ("normal_hangup", "caller")


def test_the_health_check_of_each_node_is_content(stage: Stage) -> None:
    for name in NODES:
        where = stage.cluster.compose.services[name].environment["B2BUA_HEALTH_ADDRESS"]
        check = [sys.executable, str(ROOT / "docker/healthcheck.py")]
        subprocess.run(check, env={"B2BUA_HEALTH_ADDRESS": where}, check=True, timeout=10)


def test_either_side_holds_and_resumes(stage: Stage) -> None:
    with calling(stage, "anybody") as caller:
        for holder, held in ((caller, stage.human), (stage.human, caller)):
            assert holder.change("sendonly").direction == "recvonly"
            wait_until(partial(lambda each: not each.audio.speaks, held), 5.0, "the other side knows")
            assert holder.change("sendrecv").direction == "sendrecv"
            until_heard(caller.audio, HUMAN)
            until_heard(stage.human.audio, CALLER)
        caller.hang_up()
        until_over(stage)


def test_a_handoff_is_asked_of_the_node_that_has_the_call_and_seen_at_both(stage: Stage) -> None:
    with calling(stage) as caller:
        call = stage.the_call()
        wait_until(lambda: known_at(call.elsewhere, call.id), 10.0, "the other node knows of it")
        with pytest.raises(AssertionError, match=r"call_elsewhere.*up at node"):
            call.elsewhere.hand_off(call.id)
        with pytest.raises(AssertionError, match=r"call_elsewhere.*up at node"):
            call.elsewhere.ask("DELETE", f"/v1/calls/{call.id}")
        handoff = call.api.hand_off(call.id, shared_id="conversation-1")
        stage.human.answer()
        until_heard(caller.audio, HUMAN)
        until_heard(stage.human.audio, CALLER)
        connected = call.api.reaches(handoff, "connected")
        stage.assistant.wait_for_request("BYE")
        assert call.elsewhere.reaches(handoff, "connected") == connected
        with pytest.raises(AssertionError, match="call_elsewhere"):
            call.elsewhere.ask("DELETE", f"/v1/handoffs/{handoff['id']}")
        caller.hang_up()
        until_over(stage)
    assert call.elsewhere.reaches(handoff, "completed")["id"] == handoff["id"]
    assert stage.record_of(call.id)[0] == call.node
    wait_until(lambda: ended_at(call.elsewhere, call.id), 10.0, "the other node tells of the call too")


def known_at(api: Api, call_id: str) -> bool:
    """Whether a node tells of a call that is up at another."""
    answer = api.answer("GET", f"/v1/calls/{call_id}")
    if answer.status_code == 404:
        return False
    told = answer.json()
    return told["ended"] is None and [leg["role"] for leg in told["legs"]] == ["caller", "assistant"]


def ended_at(api: Api, call_id: str) -> bool:
    """Whether a node knows the end of a call."""
    return any(each["call_id"] == call_id and each["ended"] for each in api.ask("GET", "/v1/calls")["calls"])


@pytest.mark.parametrize(
    ("who", "source"),
    [("caller", "caller"), ("assistant", "assistant"), ("human", "agent"), ("api", "api")],
)
def test_whoever_ends_a_call_the_others_hear_of_it(stage: Stage, who: str, source: str) -> None:
    with calling(stage) as caller:
        call = stage.the_call()
        if who == "human":
            handoff = call.api.hand_off(call.id)
            stage.human.answer()
            until_heard(stage.human.audio, CALLER)
            call.api.reaches(handoff, "connected")
        callee = stage.human if who == "human" else stage.assistant
        if who == "caller":
            caller.hang_up()
        elif who == "api":
            call.api.ask("DELETE", f"/v1/calls/{call.id}")
        else:
            callee.hang_up()
        until_over(stage)
        assert stage.record_of(call.id)[1]["outcome"]["source"] == source
        until_told(caller, callee, *{"caller": (0, 1), "api": (1, 1)}.get(who, (1, 0)))


# -- what dies, and comes back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "source"), [("caller", "caller"), ("human", "agent")])
def test_a_killed_node_costs_no_new_call_and_its_own_go_on_when_it_is_back(
    stage: Stage, who: str, source: str
) -> None:
    with calling(stage, "anybody") as caller:
        call = stage.the_call()
        stage.cluster.kill(call.node)
        until_heard(caller.audio, HUMAN)
        until_heard(stage.human.audio, CALLER)
        with ScriptedCaller() as another:
            for _ in range(8):
                another.call(stage.cluster.address, SUPPORT)
                assert another.final()[0].status == 200
                another.hang_up()
        stage.cluster.start(call.node)
        wait_until(lambda: stage.live() == {call.id: call.node}, 10.0, "the call is known again")
        until_heard(caller.audio, HUMAN)
        until_heard(stage.human.audio, CALLER)
        (caller if who == "caller" else stage.human).hang_up()
        until_over(stage)
        where, record = stage.record_of(call.id)
        assert (where, record["outcome"]["source"]) == (call.node, source)
        until_told(caller, stage.human, *((0, 1) if who == "caller" else (1, 0)))
    until_used(stage, call.node)


def test_a_killed_kamailio_ends_no_call(stage: Stage) -> None:
    with calling(stage) as caller:
        call = stage.the_call()
        stage.cluster.kill("kamailio")
        until_heard(caller.audio, ASSISTANT)
        stage.cluster.start("kamailio")
        assert caller.change("sendrecv").status == 200
        until_heard(stage.assistant.audio, CALLER)
        call.api.ask("DELETE", f"/v1/calls/{call.id}")
        until_over(stage)
        caller.wait_for_request("BYE")
    for name in NODES:
        until_used(stage, name)


def test_calls_and_handoffs_do_without_redis(stage: Stage) -> None:
    stage.cluster.kill("redis")
    with calling(stage) as caller:
        call = stage.the_call()
        handoff = call.api.hand_off(call.id, shared_id="conversation-2")
        stage.human.answer()
        until_heard(caller.audio, HUMAN)
        connected = call.api.reaches(handoff, "connected")
        stage.cluster.start("redis")
        stage.cluster.until_complete()
        wait_until(
            lambda: call.elsewhere.ask("GET", "/v1/handoffs?shared_id=conversation-2")["handoffs"],
            10.0,
            "the other node learns of it",
        )
        assert call.elsewhere.handoff(handoff["id"]) == connected
        caller.hang_up()
        until_over(stage)


def test_a_killed_rtpengine_ends_its_calls_and_both_nodes_use_the_other(stage: Stage) -> None:
    with calling(stage) as caller:
        call = stage.the_call()
        killed = carrier_of(stage, caller)
        stage.cluster.kill(killed)
        caller.wait_for_request("BYE", 10.0)
        assert stage.record_of(call.id)[1]["outcome"]["name"] == "media_engine_lost"
    place = f"tcp:{stage.cluster.compose.services['node-1'].environment[killed.upper().replace('-', '_')]}"
    for name in NODES:
        api = stage.cluster.api(name)
        wait_until(
            partial(lambda each: each.metric("rtpengine_up", node=place) == 0, api), 10.0, "it is seen"
        )
    for _ in range(3):
        with calling(stage) as caller:
            assert carrier_of(stage, caller) != killed
            caller.hang_up()
            until_over(stage)
    stage.cluster.start(killed)
    stage.cluster.until_complete()


def carrier_of(stage: Stage, caller: RtpCaller[ToneStream]) -> str:
    """The rtpengine whose port the caller was told."""
    _, port = caller.final()[0].media_address()
    return next(name for name, ports in stage.cluster.audio.items() if port in ports)


def until_used(stage: Stage, node: str) -> None:
    """Until Kamailio sends calls to a node again."""
    before = len(stage.cluster.node(node).records())

    def look() -> bool:
        with ScriptedCaller() as caller:
            caller.call(stage.cluster.address, SUPPORT)
            assert caller.final()[0].status == 200
            caller.hang_up()
            until_over(stage)
        return len(stage.cluster.node(node).records()) > before

    wait_until(look, 15.0, f"{node} gets calls")
