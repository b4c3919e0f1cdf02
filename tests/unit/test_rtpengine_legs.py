"""What a daemon is told of the legs of a call, command by command, and in which order."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from weakref import WeakValueDictionary, ref

import pytest

from media.engine import Codec, MediaError, NoAddress, StreamParameters
from media.events import DtmfDigit, EngineLost, FirstPacket, MediaEvent, MediaTimeout, Switched
from media.rtpengine.call import RtpengineCall
from media.rtpengine.leg import RtpengineLeg
from media.srtp import CryptoSuite, SrtpKeys
from tests.support.rtpengine_double import HOST, HOST6, KEY, NodeDouble
from tests.support.virtual_loop import run_virtual

NOBODY = 9


def peer(number: int, codec: Codec = Codec.PCMU) -> StreamParameters:
    """What a peer agreed to."""
    kind = 0 if codec is Codec.PCMU else 8
    return StreamParameters(("198.51.100.1", 30_000 + 2 * number), None, codec, kind, 101)


class Stage:
    """A call with three legs on one daemon, the first two of which hear each other."""

    def __init__(self) -> None:
        self.node = NodeDouble()
        self.events: list[MediaEvent] = []
        self.call = RtpengineCall(lambda: [self.node.as_node], WeakValueDictionary(), self.events.append)
        self.legs: list[RtpengineLeg] = [
            self.call.open_leg(role) for role in ("caller", "assistant", "agent")
        ]
        for number, leg in enumerate(self.legs):
            leg.set_remote(peer(number))
        self.call.bridge(self.legs[0], self.legs[1])
        self.node.answer()
        self.begun = self.node.told()


def staged(told: Callable[[Stage], Awaitable[None]]) -> None:
    """Plays a story in virtual time."""

    async def run() -> None:
        await told(Stage())

    run_virtual(run())


async def pass_time(stage: Stage, seconds: float, **packets: int) -> None:
    """Answers all questions for packets with these numbers meanwhile."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
        stage.node.count(**packets)
        stage.node.answer()


@pytest.mark.usefixtures("collector")
def test_what_has_ended_is_freed_without_the_collector() -> None:
    """Found with 10,000 calls: each left a hundred containers, and the collector stopped the process for seconds."""
    gc.disable()

    async def told(stage: Stage) -> None:
        there: list[Callable[[], object]] = [*map(ref, stage.legs), ref(stage.legs[0].watch), ref(stage.call)]
        stage.call.close()
        stage.node.count()
        await stage.call.settle()
        stage.legs.clear()
        stage.events.clear()
        del stage.call
        await asyncio.sleep(0)
        assert [each() for each in there] == [None] * 5

    staged(told)


def test_two_legs_send_to_each_others_insides() -> None:
    async def told(stage: Stage) -> None:
        offers = [each for each in stage.begun if "offer" in each]
        assert sorted(offers[-2:]) == ["leg-0 offer 10006", "leg-1 offer 10002"]
        assert not any("block" in each for each in stage.begun), "nobody else sends to them"

    staged(told)


def test_the_old_source_is_cut_before_the_new_one_is_let_in() -> None:
    async def told(stage: Stage) -> None:
        caller, _, agent = stage.legs
        stage.call.bridge(caller, agent)
        stage.node.answer()
        commands = stage.node.told()
        cut, gone = commands.index("leg-0 block int"), commands.index(f"leg-1 offer {NOBODY}")
        comes, opened = commands.index("leg-2 offer 10002"), commands.index("leg-0 unblock int")
        assert cut < comes < opened
        assert gone < opened

    staged(told)


def test_a_prompt_is_played_once_nobody_else_is_heard() -> None:
    async def told(stage: Stage) -> None:
        stage.call.hear(stage.legs[0], None)
        stage.node.answer()
        commands = stage.node.told()
        assert commands.index("leg-0 block int") < commands.index("leg-0 play ext")
        assert "leg-0 offer" not in " ".join(commands), "the assistant goes on hearing the caller"
        stage.call.hear(stage.legs[0], stage.legs[1])
        stage.node.answer()
        commands = stage.node.told()
        assert commands.index("leg-0 stop ext") < commands.index("leg-0 unblock int")

    staged(told)


def test_what_was_wanted_only_in_between_is_never_told() -> None:
    async def told(stage: Stage) -> None:
        caller, assistant, agent = stage.legs
        stage.call.bridge(caller, agent)
        stage.call.hear(caller, None)
        stage.call.bridge(caller, assistant)
        stage.node.answer()
        assert not any("play" in each for each in stage.node.told())

    staged(told)


def test_of_several_listeners_the_last_one_hears_and_the_one_before_is_not_forgotten() -> None:
    async def told(stage: Stage) -> None:
        caller, _, agent = stage.legs
        stage.call.hear(agent, caller)
        stage.node.answer()
        assert "leg-0 offer 10010" in stage.node.told()
        stage.call.close_leg(agent)
        stage.node.answer()
        assert stage.node.told() == ["leg-2 give back", "leg-0 offer 10006", "leg-0 answer"]

    staged(told)


def test_peers_of_different_laws_are_transcoded_at_one_of_them() -> None:
    async def told(stage: Stage) -> None:
        stage.legs[1].set_remote(peer(1, Codec.PCMA))
        stage.node.answer()
        offers = [arguments for command, arguments in stage.node.commands if command == "offer"]
        assert [(each["call-id"], each["codec"]) for each in offers] == [
            ("leg-1", {"mask": ["PCMU"], "transcode": ["PCMA"]})
        ]

    staged(told)


def test_keys_of_tones_are_listened_for_where_there_are_no_others() -> None:
    """On both sides of the call: what the daemon hears goes on as events, to be turned back for the other."""

    async def told(stage: Stage) -> None:
        caller, assistant, _ = stage.legs
        for number, leg in enumerate((caller, assistant)):
            leg.set_remote(replace(peer(number), telephone_event=None))
        stage.node.answer()
        stage.node.commands.clear()
        caller.listen_for_keys(True)
        stage.node.answer()
        offers = [arguments for command, arguments in stage.node.commands if command == "offer"]
        assert [each["codec"] for each in offers] == [{"consume": ["telephone-event"]}] * 2
        for pressed in (caller, assistant):
            pressed.press("5", 90)
        assert stage.events == [DtmfDigit(caller, "5", 90, in_band=True)], "nobody waits for the other's"
        caller.listen_for_keys(False)
        caller.press("6", 90)
        assert len(stage.events) == 1

    staged(told)


def test_who_is_held_hears_nothing_and_is_not_heard() -> None:
    """Pitfall 83: c=0.0.0.0 is a hold, and nothing is sent there."""

    async def told(stage: Stage) -> None:
        stage.legs[0].set_remote(replace(peer(0), remote=None, receive=False))
        stage.node.answer()
        commands = stage.node.told()
        assert {"leg-0 block int", "leg-0 block ext"} <= set(commands)
        answers = [each for command, each in stage.node.commands if command == "answer"]
        assert len(answers) <= 1
        assert "0.0.0.0" not in str(answers)
        stage.legs[0].set_remote(peer(0))
        stage.node.answer()
        assert {"leg-0 unblock int", "leg-0 unblock ext"} <= set(stage.node.told())

    staged(told)


def test_the_first_packet_is_told_once_and_a_silence_too() -> None:
    async def told(stage: Stage) -> None:
        caller = stage.legs[0]
        await pass_time(stage, 1.0)
        assert stage.events == []
        await pass_time(stage, 1.0, leg0=5)
        assert stage.events == [FirstPacket(caller)]
        caller.set_media_timeout(4.0)
        await pass_time(stage, 3.5, leg0=5)
        assert len(stage.events) == 1
        await pass_time(stage, 10.0, leg0=5)
        assert stage.events[1:] == [MediaTimeout(caller)]
        assert (caller.statistics().packets_in, caller.statistics().octets_in) == (5, 800)

    staged(told)


def test_a_peer_of_ipv6_has_an_address_of_its_own_version_outside_alone() -> None:
    async def told(stage: Stage) -> None:
        with pytest.raises(NoAddress, match="IPv6"):
            stage.call.open_leg("agent", ipv6=True)
        stage.node.has_ipv6 = True
        leg = stage.call.open_leg("agent", ipv6=True)
        assert leg.local_address[0] == HOST6
        leg.set_remote(replace(peer(3), remote=("2001:db8::9", 30_006)))
        await asyncio.sleep(0)
        stage.node.answer()
        (offer,) = [each for command, each in stage.node.commands if command == "offer"]
        assert offer["address-family"] == "IP6"
        assert "c=IN IP4 127.0.0.1" in str(offer["sdp"]), "nobody is reached inside"
        stage.call.bridge(leg, stage.legs[0])
        stage.node.answer()
        offers = [each for command, each in stage.node.commands if command == "offer"][1:]
        assert {"IP6", "IP4"} == {str(each["address-family"]) for each in offers}
        assert all(
            f"c=IN IP4 {HOST}" in str(each["sdp"]) for each in offers if "m=audio 9 " not in str(each["sdp"])
        )

    staged(told)


def test_the_figures_of_a_leg_that_was_closed_are_those_that_its_daemon_lets_it_go_with() -> None:
    async def told(stage: Stage) -> None:
        caller = stage.legs[0]
        await pass_time(stage, 1.0, leg0=5)
        stage.call.close()
        assert caller.statistics().packets_in == 5
        settling = asyncio.create_task(stage.call.settle())
        await asyncio.sleep(0.01)
        assert not settling.done()
        stage.node.count(leg0=9)
        await settling
        assert caller.statistics().packets_in == 9
        await stage.call.settle()

    staged(told)


def test_a_daemon_that_tells_no_figures_is_not_waited_for_any_longer_than_a_second() -> None:
    async def told(stage: Stage) -> None:
        await pass_time(stage, 1.0, leg0=5)
        stage.call.close()
        begun = asyncio.get_running_loop().time()
        await stage.call.settle()
        assert asyncio.get_running_loop().time() - begun == pytest.approx(1.0)
        assert stage.legs[0].statistics().packets_in == 5

    staged(told)


def test_who_is_waited_for_is_heard_from_their_next_packet_on() -> None:
    async def told(stage: Stage) -> None:
        caller, _, agent = stage.legs
        await pass_time(stage, 1.0, leg0=1, leg1=1, leg2=7)
        stage.events.clear()
        stage.call.hear_when_heard(caller, agent)
        await pass_time(stage, 0.3, leg2=7)
        assert stage.events == [], "what came before does not count"
        await pass_time(stage, 0.1, leg2=8)
        assert stage.events == [Switched(caller, heard=True)]
        assert caller.source is agent

    staged(told)


def test_who_is_not_heard_in_time_is_silence_until_they_are() -> None:
    async def told(stage: Stage) -> None:
        caller, _, agent = stage.legs
        stage.call.hear_when_heard(caller, agent)
        await pass_time(stage, 0.6)
        assert stage.events == [Switched(caller, heard=False)]
        assert "leg-0 play ext" in stage.node.told()
        await pass_time(stage, 0.2, leg2=1)
        assert [type(event) for event in stage.events] == [Switched, FirstPacket]
        assert caller.source is agent

    staged(told)


def test_a_leg_that_nobody_sends_to_is_told_again_before_the_daemon_drops_it() -> None:
    async def told(stage: Stage) -> None:
        await pass_time(stage, 40.0)
        offers = [each for each in stage.node.told() if each.startswith("leg-0 offer")]
        assert len(offers) == 2
        assert not stage.node.doubted

    staged(told)


@pytest.mark.parametrize("command", ["offer", "answer", "block media"])
def test_a_daemon_that_refuses_loses_the_call_once(command: str) -> None:
    async def told(stage: Stage) -> None:
        stage.node.refused[command] = "no"
        stage.call.bridge(stage.legs[0], stage.legs[2])
        stage.node.answer()
        assert [type(event) for event in stage.events] == [EngineLost]
        assert stage.node.doubted
        assert stage.node.in_use == 0
        with pytest.raises(MediaError):
            stage.call.open_leg("agent")

    staged(told)


def test_a_daemon_that_was_restarted_does_not_pass_for_the_one_before() -> None:
    """It would open a new call under the old name, with other ports."""

    async def told(stage: Stage) -> None:
        stage.node.restart()
        stage.call.bridge(stage.legs[0], stage.legs[2])
        stage.node.answer()
        assert [type(event) for event in stage.events] == [EngineLost]

    staged(told)


def test_music_that_is_refused_leaves_the_call_as_it_is() -> None:
    async def told(stage: Stage) -> None:
        stage.node.refused["play media"] = "cannot decode"
        stage.call.hear(stage.legs[0], None)
        stage.node.answer()
        assert stage.events == []

    staged(told)


def test_a_prompt_that_has_ended_by_itself_need_not_be_stopped() -> None:
    async def told(stage: Stage) -> None:
        stage.call.hear(stage.legs[0], None)
        stage.node.answer()
        stage.node.refused["stop media"] = "Not currently playing media"
        stage.call.hear(stage.legs[0], stage.legs[1])
        stage.node.answer()
        assert stage.events == []
        assert stage.node.told()[-1] == "leg-0 unblock int"

    staged(told)


@pytest.mark.parametrize("laws", [(Codec.PCMU, Codec.PCMU), (Codec.PCMU, Codec.PCMA)])
def test_legs_that_were_left_behind_are_never_told_to_be_silent(laws: tuple[Codec, Codec]) -> None:
    """What each says goes on to the other from the first command on, however late it is said who hears whom."""

    async def told(stage: Stage) -> None:
        call = RtpengineCall(lambda: [stage.node.as_node], WeakValueDictionary(), stage.events.append)
        legs = [await call.take_over(str(leg.identity), leg.role) for leg in stage.legs[:2]]
        await asyncio.sleep(0.1)
        assert stage.node.told() == []
        for number, leg in enumerate(legs):
            leg.set_remote(peer(number, laws[number]))
        call.bridge(*legs)
        await asyncio.sleep(0)
        begun = list(stage.node.commands)
        stage.node.answer()
        commands = stage.node.told()
        assert {each for each in commands if "offer" in each} == {"leg-0 offer 10006", "leg-1 offer 10002"}
        assert not any(" block" in each for each in commands)
        transcoding = [bool(arguments.get("codec")) for _, arguments in begun]
        assert transcoding == [False, laws[1] is Codec.PCMA]

    staged(told)


def test_keys_are_those_that_the_daemon_has_made() -> None:
    async def told(stage: Stage) -> None:
        suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
        leg = stage.call.open_leg("agent")
        assert leg.master_key(suite) == KEY
        with pytest.raises(MediaError):
            leg.master_key(CryptoSuite.AEAD_AES_128_GCM)
        with pytest.raises(MediaError):
            leg.set_remote(replace(peer(0), keys=SrtpKeys(suite, local=bytes(30), remote=KEY)))
        leg.set_remote(replace(peer(0), keys=SrtpKeys(suite, local=KEY, remote=bytes(30))))
        await asyncio.sleep(0)
        stage.node.answer()
        (answer,) = [each["sdp"] for command, each in stage.node.commands if command == "answer"]
        assert "RTP/SAVP" in str(answer)
        assert f"a=crypto:6 {suite} inline:" in str(answer)
        assert leg.announced_host == HOST
        with pytest.raises(MediaError):
            stage.legs[0].master_key(suite)  # it is plain, and rtpengine would make another one

    staged(told)
