"""When calls are recorded, under which name, and who is told: by configuration, over the API, on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.call.recording import tell
from b2bua.call_order import CallOrder
from b2bua.control import ControlError
from b2bua.feed import Entry, RecordingChanged
from b2bua.handoff.handoff import HandoffRequest
from tests.support.b2bua_world import DESK, DESTINATIONS, World, play
from tests.support.handoff_cast import MAIN, Cast, talking, with_route

RECORDED_DESK = DESTINATIONS.replace("front-desk:\n", "front-desk:\n  record: true\n")


class Told:
    """The states of recordings, as the feed tells them."""

    def __init__(self, world: World) -> None:
        self.states: list[str] = []
        world.registry.services.feed.listen(self, [RecordingChanged])

    def hear(self, entry: Entry) -> None:
        assert isinstance(entry.event, RecordingChanged)
        self.states.append(str(entry.event.facts()["state"]))


async def handed_over(world: World, cast: Cast) -> None:
    """The caller has the human."""
    await world.phone(DESK)
    handoff = world.hand_off(destination="front-desk")
    await cast.until_awaited()
    cast.agent().hear()
    await cast.until_over(handoff)


def test_a_recorded_route_is_recorded_from_the_answer_across_the_handoff_to_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        told = Told(world)
        cast = await talking(world)
        await handed_over(world, cast)
        (recording,) = cast.call.recordings
        assert recording.leg is cast.caller, "what it hears is whoever it talks to"
        (call_id,) = world.registry.calls
        assert recording.path == tmp_path / "state" / "recordings" / f"{call_id}.wav"
        cast.hang_up()
        record = (await world.record()).as_json()
        assert record["recordings"] == [
            {
                "path": str(recording.path),
                "state": "ended",
                "started": record["answered"],
                "ended": record["ended"],
                "error": None,
                "dropped": 0,
            }
        ]
        assert told.states == ["recording", "ended"]

    play(story, tmp_path, main=with_route("record: true"))


def test_a_recorded_destination_is_recorded_once_the_caller_has_the_human(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        assert not cast.call.recordings
        await handed_over(world, cast)
        assert len(cast.call.recordings) == 1
        cast.hang_up()
        assert len((await world.record()).recordings) == 1

    play(story, tmp_path, main=MAIN, destinations=RECORDED_DESK)


def test_nobody_is_recorded_who_need_not_be(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        await handed_over(world, cast)
        cast.hang_up()
        assert (await world.record()).as_json()["recordings"] == []
        assert not cast.call.recordings

    play(story, tmp_path, main=MAIN)


def test_over_the_api_it_is_begun_paused_resumed_stopped_and_begun_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        told = Told(world)
        cast = await talking(world)
        (call,) = world.registry.calls.values()
        with pytest.raises(ControlError, match="not being recorded"):
            tell(call, "pause")
        for _ in range(2):
            assert tell(call, "start").path.endswith(f"{call.id}.wav")
        (first,) = cast.call.recordings
        tell(call, "pause")
        paused = first.paused
        assert paused
        tell(call, "resume")
        assert not first.paused
        tell(call, "stop")
        assert first.finished
        assert tell(call, "start").path.endswith(f"{call.id}-2.wav")
        cast.hang_up()
        record = await world.record()
        assert [each.state for each in record.recordings] == ["ended", "ended"]
        once = ["recording", "paused", "recording", "ended"]
        assert told.states == [*once, "recording", "ended"]

    play(story, tmp_path, main=MAIN)


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        told = Told(world)
        cast = await talking(world)
        cast.call.recordings[0].fail("No space left on device")
        assert told.states == ["recording", "failed"]
        assert cast.caller.peer is cast.assistant, "they talk"
        cast.hang_up()
        record = await world.record()
        (recording,) = record.recordings
        assert (recording.state, recording.error) == ("failed", "No space left on device")
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path, main=with_route("record: true"))


def test_an_engine_that_cannot_record_carries_the_call_all_the_same(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.records_nothing = True
        cast = await talking(world)
        (call,) = world.registry.calls.values()
        with pytest.raises(ControlError) as refused:
            tell(call, "start")
        assert (refused.value.status, refused.value.code) == (409, "not_recordable")
        cast.hang_up()
        assert (await world.record()).recordings == []

    play(story, tmp_path, main=with_route("record: true"))


def test_a_call_of_our_own_is_recorded_on_the_side_of_who_was_called(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        call = world.registry.place(CallOrder(HandoffRequest(destination="front-desk"), record=True))
        with pytest.raises(ControlError, match="nobody has answered"):
            tell(call, "start")
        await world.until(lambda: call.recording)
        media = world.media.calls[-1]
        assert [each.leg.role for each in media.recordings] == ["agent"]
        world.registry.end_all()
        assert len((await world.record()).recordings) == 1
        assert desk.invites()

    play(story, tmp_path)
