"""`kill -9` under calls whose audio is at rtpengine (issue 7.5.4): it never stops, and the next process goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, stage_settings
from tests.support.peer_sip import SipText
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.rtpengine import RtpengineDaemon
from tests.support.udp_peer import UdpPeer
from tests.support.voices import Choir, ToneStream, Voice
from tests.support.webhook_process import Receiver

CALLS = 50
DAEMONS = 4
"""Each has ports for a quarter of them."""
SPARE = 6
UNUSED = 2 * SPARE
"""Legs that a process keeps open ahead on each daemon: of IPv4 and of IPv6."""
CALLERS = [300.0 + 20 * number for number in range(10)]
CALLEES = [900.0 + 20 * number for number in range(10)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two who talk."""

    caller: RtpCaller[Voice]
    callee: RtpCallee[Voice]


class Stage:
    """Daemons, pairs, and what the B2BUA is started with."""

    def __init__(self, folder: Path, daemons: list[RtpengineDaemon], pairs: list[Pair]) -> None:
        self.folder, self.daemons, self.pairs = folder, daemons, pairs
        # Not one that somebody gets by chance while nobody listens.
        self._listen = f"udp:{LOOPBACK}:{free_port()}"
        nodes = [str(daemon.tcp) for daemon in daemons]
        self.settings = {
            **stage_settings("sip:nobody@127.0.0.1"),
            "media": {"engine": "rtpengine", "rtpengine": {"nodes": nodes, "spare_legs": SPARE}},
            "routes": [
                {"trunk": "sbc", "to": f"callee-{number}", "destination": f"callee-{number}"}
                for number in range(len(pairs))
            ]
            + [{"trunk": "sbc", "to": SUPPORT, "assistant": f"sip:bot@{pairs[0].callee.address}"}],
        }
        self.destinations = {
            f"callee-{number}": {"route": f"sip:callee@{pair.callee.address}"}
            for number, pair in enumerate(pairs)
        }

    def b2bua(self) -> B2bua:
        """A process, in the place of the one before."""
        return B2bua(self.folder, self.destinations, main=self.settings, listen=[self._listen])

    def all_talk(self, b2bua: B2bua) -> None:
        """Set all calls up."""
        for number, pair in enumerate(self.pairs):
            pair.caller.talk(b2bua.address, f"callee-{number}")
        wait_until(lambda: len(Api(b2bua).live_calls()) == len(self.pairs), 10.0, "all talk")

    def until_written(self) -> None:
        """Until all calls stand in the journal."""
        wait_until(lambda: len(journal(self.folder)) == len(self.pairs), 10.0, "all are written down")

    def held(self) -> int:
        """Calls that the daemons hold: one for each leg, and those opened ahead."""
        return sum(len(asyncio.run(daemon.calls())) for daemon in self.daemons)


def kept(folder: Path, kind: str) -> list[str]:
    """What of a kind stands in the store."""
    with closing(sqlite3.connect(folder / "state" / "b2bua.db", timeout=10)) as database:
        return [body for (body,) in database.execute("SELECT body FROM document WHERE kind = ?", [kind])]


def journal(folder: Path) -> list[str]:
    """What stands in the journal."""
    return kept(folder, "journal")


@contextmanager
def staged(folder: Path, calls: int, daemons: int) -> Iterator[Stage]:
    """Daemons, and so many pairs who do not talk yet."""
    choir = Choir()
    with ExitStack() as stack:
        running = [stack.enter_context(RtpengineDaemon(folder, f"rtpengine-{n}")) for n in range(daemons)]
        for daemon in running:
            asyncio.run(daemon.answers())
        pairs = [
            Pair(
                stack.enter_context(RtpCaller(choir.voice(CALLERS[number % 10]))),
                stack.enter_context(RtpCallee(choir.voice(CALLEES[number % 10]), answers=True)),
            )
            for number in range(calls)
        ]
        stack.enter_context(choir)
        yield Stage(folder, running, pairs)


def until_hears(listener: Voice, speaker: Voice) -> None:
    """Until one of them hears nobody but the other."""

    def look() -> bool:
        latest = listener.heard[-10:]
        return len(latest) == 10 and all(each.payload in speaker.frames for each in latest)

    wait_until(look, 10.0, f"{speaker.frequency} Hz")


def until_counted(api: Api, call_id: str) -> None:
    """Until the packets of all legs are counted, those that have ended included."""

    def look() -> bool:
        legs = api.ask("GET", f"/v1/calls/{call_id}")["legs"]
        return all(leg["media"].get("packets_in") for leg in legs)

    wait_until(look, 10.0, "packets of all legs")


def until_heard(voices: list[Voice], packets: int) -> None:
    """Until each of them has heard so many more packets."""
    before = [len(voice.heard) for voice in voices]
    wait_until(
        lambda: all(len(voice.heard) >= n + packets for voice, n in zip(voices, before, strict=True)),
        15.0,
        lambda: f"{packets} more: {[len(v.heard) - n for v, n in zip(voices, before, strict=True)]}",
    )


def check_uninterrupted(listener: Voice, speaker: Voice, since: float, until: float) -> None:
    """Every packet that the speaker has said between two moments was heard, octet for octet.

    Not in order: a daemon has two threads, and on a busy machine one overtakes the other.
    """
    heard = [each for each in listener.heard if since <= each.at <= until]
    assert len(heard) > 0.9 * 50 * (until - since), f"{len(heard)} packets in {until - since:.1f} s"
    missing = {*range(heard[0].sequence, heard[-1].sequence)} - {each.sequence for each in listener.heard}
    assert not missing, f"of {heard[0].sequence} to {heard[-1].sequence}: {sorted(missing)}"
    assert len({each.ssrc for each in heard}) == 1, "one stream"
    frames = speaker.frames
    assert all(each.payload in frames for each in heard), "the tone of whom they talk to"


def byes_answered(peer: UdpPeer) -> list[SipText]:
    """The 200s to the BYEs of a far end."""
    return [
        each.message
        for each in list(peer.received)
        if each.message.status == 200 and each.message.method == "BYE"
    ]


def test_fifty_calls_go_on_and_can_be_hung_up_from_both_sides(tmp_path: Path) -> None:
    with staged(tmp_path, CALLS, DAEMONS) as stage:
        voices = [each.audio for pair in stage.pairs for each in (pair.caller, pair.callee)]
        with stage.b2bua() as first:
            stage.all_talk(first)
            stage.until_written()
            until_heard(voices, 25)
            begun = {call["call_id"]: call for call in Api(first).live_calls()}
            since = time.monotonic()
            until_heard(voices, 25)
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
            assert first.records() == []
        until_heard(voices, 25)
        with stage.b2bua() as second:
            api = Api(second)
            wait_until(lambda: len(api.live_calls()) == CALLS, 10.0, "all are taken over")
            until_heard(voices, 50)
            until = time.monotonic()
            for pair in stage.pairs:
                assert pair.caller.requests("BYE") == pair.callee.requests("BYE") == []
                check_uninterrupted(pair.caller.audio, pair.callee.audio, since, until)
                check_uninterrupted(pair.callee.audio, pair.caller.audio, since, until)

            for number, pair in enumerate(stage.pairs):
                (pair.caller if number % 2 else pair.callee).hang_up()
            for number, pair in enumerate(stage.pairs):
                leaves, stays = (pair.caller, pair.callee) if number % 2 else (pair.callee, pair.caller)
                bye = stays.wait_for_request("BYE", 10.0)
                assert "cause=16" in bye.header("Reason")
                wait_until(
                    partial(lambda each: len(byes_answered(each)) == 1, leaves), 10.0, "their BYE is answered"
                )
                assert leaves.requests("BYE") == []

            records = second.records(CALLS)
            assert len(records) == CALLS
            assert {record["call_id"] for record in records} == set(begun)
            for record in records:
                assert record["outcome"]["name"] == "normal_hangup", record["outcome"]
                for key in ("started", "answered", "caller", "called"):
                    assert record[key] == begun[record["call_id"]][key]
            assert (
                sorted(record["outcome"]["source"] for record in records) == ["agent"] * 25 + ["caller"] * 25
            )
            wait_until(lambda: not journal(tmp_path), 10.0, "all are struck out")
            second.check_end()
        unused = DAEMONS * UNUSED
        wait_until(lambda: stage.held() <= unused, 10.0, lambda: f"{stage.held()} are held, {unused} unused")
        lines = [json.loads(line) for line in second.errors.splitlines() if line.startswith("{")]
        assert sum(line.get("event") == "taken_over" for line in lines) == CALLS


def test_a_call_that_went_on_is_handed_over_and_goes_on_again(tmp_path: Path) -> None:
    """Killed while the caller talks to the assistant, once more while they talk to the human, and when the application
    has not taken yet what became of it."""
    receiver = Receiver(tmp_path)
    with staged(tmp_path, 2, 1) as stage:
        stage.settings["webhooks"] = {"allow_private": True}
        (caller, bot), human = (stage.pairs[0].caller, stage.pairs[0].callee), stage.pairs[1].callee
        with stage.b2bua() as first:
            caller.talk(first.address, SUPPORT)
            call_id = Api(first).the_call()
            wait_until(lambda: journal(tmp_path) or None, 10.0, "it is written down")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with stage.b2bua() as second:
            api = Api(second)
            assert api.the_call() == call_id
            until_counted(api, call_id)
            handoff = api.hand_off(call_id, destination="callee-1", action_url=receiver.url("/done"))
            api.reaches(handoff, "connected")
            until_hears(caller.audio, human.audio)
            until_hears(human.audio, caller.audio)
            bot.wait_for_request("BYE")
            wait_until(
                lambda: human.requests("INVITE")[0].header("Call-ID") in journal(tmp_path)[0], 10.0, "it too"
            )
            second.send_signal(signal.SIGKILL)
            second.wait(5.0)
        with stage.b2bua() as third:
            api = Api(third)
            assert api.the_call() == call_id
            assert api.handoff(handoff["id"])["state"] == "connected"
            until_hears(caller.audio, human.audio)
            until_counted(api, call_id)
            human.hang_up()
            caller.wait_for_request("BYE", 10.0)
            (record,) = third.records(1)
            assert record["outcome"]["source"] == "agent"
            assert [(each["id"], each["outcome"]["code"]) for each in record["handoffs"]] == [
                (handoff["id"], 4000)
            ]
            assert [leg["role"] for leg in record["legs"]] == ["caller", "assistant", "agent"]
            assert all(leg["media"]["packets_in"] > 0 for leg in record["legs"]), (
                "counted through all of them"
            )
            assert api.handoff(handoff["id"])["state"] == "completed"
            wait_until(lambda: kept(tmp_path, "webhook"), 10.0, "what became of it waits")
            third.send_signal(signal.SIGKILL)
            third.wait(5.0)
        with receiver.start(), stage.b2bua() as fourth:
            (final,) = receiver.heard("DialAction")
            assert final["parameters"]["HandoffID"] == handoff["id"]
            assert final["parameters"]["DialStatus"] == "completed"
            wait_until(lambda: not kept(tmp_path, "webhook"), 10.0, "it waits no more")
            fourth.check_end()
            receiver.heard("DialAction")
        assert len(bot.requests("BYE")) == 1


def test_a_human_who_has_answered_gets_the_caller_from_the_next_process(tmp_path: Path) -> None:
    """Killed while the assistant still says its last sentence to the caller."""
    with staged(tmp_path, 2, 1) as stage:
        (caller, bot), human = (stage.pairs[0].caller, stage.pairs[0].callee), stage.pairs[1].callee
        with stage.b2bua() as first:
            caller.talk(first.address, SUPPORT)
            api = Api(first)
            call_id = api.the_call()
            until_hears(caller.audio, bot.audio)
            # rtpengine tells nobody that the assistant is silent: the wait is as long as it may be.
            handoff = api.hand_off(call_id, destination="callee-1", wait_for_silence=10)
            human_leg = human.wait_for_request("INVITE", 10.0).header("Call-ID")
            wait_until(lambda: human_leg in "".join(journal(tmp_path)), 10.0, "the human has answered")
            assert api.handoff(handoff["id"])["state"] != "connected"
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with stage.b2bua() as second:
            api = Api(second)
            api.reaches(handoff, "connected")
            until_hears(caller.audio, human.audio)
            until_hears(human.audio, caller.audio)
            assert "cause=16" in bot.wait_for_request("BYE", 10.0).header("Reason")
            until_counted(api, call_id)
            caller.hang_up()
            human.wait_for_request("BYE", 10.0)
            (record,) = second.records(1)
            assert record["outcome"]["name"] == "normal_hangup"
            assert [each["outcome"]["code"] for each in record["handoffs"]] == [4000]
            assert [leg["role"] for leg in record["legs"]] == ["caller", "assistant", "agent"]
            second.check_end()
        wait_until(lambda: stage.held() <= UNUSED, 10.0, lambda: f"{stage.held()} are held")


def test_joined_calls_go_on_and_a_phone_that_rang_is_told(tmp_path: Path) -> None:
    """Killed while two calls are joined over the API, and a phone rings for the handoff of a third."""
    with staged(tmp_path, 2, 1) as stage, ToneStream(1200.0) as audio, RtpCallee(audio) as ringing:
        (alice, carol), bob = (pair.caller for pair in stage.pairs), stage.pairs[1].callee
        stage.destinations["ringing"] = {"route": f"sip:ringing@{ringing.address}"}
        with stage.b2bua() as first:
            api = Api(first)
            alice.talk(first.address, SUPPORT)
            hers = api.the_call()
            ours = api.ask("POST", "/v1/calls", {"destination": "callee-1"})["call_id"]
            wait_until(lambda: len(api.live_calls()) == 2, 10.0, "both are answered")
            api.ask("POST", f"/v1/calls/{hers}/bridge", {"call_id": ours})
            until_hears(alice.audio, bob.audio)
            carol.talk(first.address, SUPPORT)
            wait_until(lambda: len(api.live_calls()) == 3, 10.0, "the third is up")
            (third,) = {call["call_id"] for call in api.live_calls()} - {hers, ours}
            handoff = api.hand_off(third, destination="ringing")
            invite = ringing.wait_for_request("INVITE", 10.0)
            wait_until(lambda: invite.branch in "".join(journal(tmp_path)), 10.0, "it is written down")
            wait_until(lambda: ours in "".join(journal(tmp_path)), 10.0, "the joined ones too")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with stage.b2bua() as second:
            api = Api(second)
            wait_until(lambda: len(api.live_calls()) == 3, 10.0, "all are taken over")
            cancel = ringing.wait_for_request("CANCEL", 10.0)
            assert cancel.branch == invite.branch
            ringing.reply(487, "Request Terminated")
            ringing.wait_for_request("ACK", 10.0)
            assert api.handoff(handoff["id"])["state"] == "failed"
            until_hears(alice.audio, bob.audio)
            until_hears(bob.audio, alice.audio)
            bob.hang_up()
            alice.wait_for_request("BYE", 10.0)
            carol.hang_up()
            records = {record["call_id"]: record for record in second.records(3)}
            assert len(records) == len(second.records()) == 3
            assert {each["outcome"]["name"] for each in records.values()} == {"normal_hangup"}
            bridges = {name: [each["call_id"] for each in records[name]["bridges"]] for name in records}
            assert bridges == {hers: [ours], ours: [hers], third: []}
            wait_until(lambda: not journal(tmp_path), 10.0, "all are struck out")
            second.check_end()
