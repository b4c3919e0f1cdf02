"""Recording a call: who is heard on which side and when, across a handoff, and what a disk can do to it: nothing."""

from __future__ import annotations

import asyncio
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from media.engine import Codec, MediaError, Recording
from media.events import MediaEvent, RecordingEnded
from tests.support.audio import mu_law, tone
from tests.support.listening import AGENT, ASSISTANT, frame, heard, heard_until, talking
from tests.support.native_calls import Bridged, becomes_true, peers, running, story
from tests.support.recordings import in_time, place_of, sides
from tests.support.rtp_peer import RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)
THREE = (*TWO, Codec.PCMU)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:
        yield Path(path)


async def ended(bridged: Bridged, recording: Recording) -> str | None:
    """Why it ended."""
    event: MediaEvent | None = None
    while not isinstance(event, RecordingEnded):
        event = await bridged.events.next()
    assert event.recording is recording
    return event.error


@contextmanager
def disk_with(octets: int) -> Iterator[None]:
    """No file of this process grows beyond that, as on a full disk (EFBIG where that says ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_both_sides_are_in_their_channel_and_in_time_across_a_handoff(folder: Path) -> None:
    @story(*THREE)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, assistant, agent = people
        legs, call = bridged.legs, bridged.call
        recording = call.record(legs[0], folder / "new" / "call.wav")
        async with talking(assistant, legs[1].local_address, ASSISTANT):
            taken = await heard_until(caller, ASSISTANT, 5)
            call.hear(legs[0], bridged.engine.ringback())
            taken += await heard(caller, 10)
        said = [caller.say(legs[0].local_address, frame(1000, n)) for n in range(10)]
        call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
        async with talking(agent, legs[2].local_address, AGENT):
            taken += await heard_until(caller, AGENT, 5)
            call.bridge(legs[0], legs[2])
            taken += await heard(caller, 5)
        call.close_leg(legs[0])
        assert await ended(bridged, recording) is None
        assert recording.dropped == 0
        left, right = sides(recording.path)
        phone = in_time([each.packet for each in taken])
        place = place_of(phone, right)
        # The caller spoke while it rang: after the assistant, before the human.
        spoke = place_of(in_time(said), left)
        first = next(n for n, each in enumerate(taken) if each.packet.payload == frame(AGENT, 0))
        human = place + (taken[first].packet.timestamp - taken[0].packet.timestamp & 0xFFFFFFFF)
        assert place < spoke < human
        assert not left[:spoke].any(), "nothing of the one side on the other"
        assert not left[spoke + 1600 :].any()
        assert not right[:place].any()
        assert stat.S_IMODE(recording.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(recording.path.parent.stat().st_mode) == 0o700

    told()


def test_a_pause_is_silence_and_what_follows_is_where_it_belongs(folder: Path) -> None:
    @story(*TWO)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, assistant = people
        recording = bridged.call.record(bridged.legs[0], folder / "call.wav")

        async def speak(count: int) -> None:
            for _ in range(count):
                caller.say(bridged.legs[0].local_address, b"\x00" * 160)
                await assistant.hear()

        await speak(3)
        recording.pause(True)
        await speak(2)
        recording.pause(False)
        await speak(3)
        recording.finish()
        recording.finish()
        assert await ended(bridged, recording) is None
        await speak(1)
        left, right = sides(recording.path)
        heard_at = np.flatnonzero(left)
        begun = left[heard_at[0] :][: 8 * 160]
        loud = [bool(begun[at : at + 160].all()) for at in range(0, begun.size, 160)]
        assert loud == [True] * 3 + [False] * 2 + [True] * (len(loud) - 5)
        assert not begun[480:800].any()
        assert not right.any()

    told()


def test_the_file_can_be_read_while_it_grows_as_after_a_kill(folder: Path) -> None:
    @story(*TWO)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, assistant = people
        path = bridged.call.record(bridged.legs[0], folder / "call.wav").path
        async with talking(assistant, bridged.legs[1].local_address, ASSISTANT):
            await heard_until(caller, ASSISTANT)
            await becomes_true(lambda: path.exists() and path.stat().st_size > 10_000)
        _, right = sides(path)
        assert right.any()

    told()


def test_a_full_disk_ends_the_recording_and_not_the_call(folder: Path) -> None:
    @story(*TWO)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, assistant = people
        async with talking(assistant, bridged.legs[1].local_address, ASSISTANT):
            with disk_with(20_000):
                recording = bridged.call.record(bridged.legs[0], folder / "call.wav")
                error = await ended(bridged, recording)
            assert error == "File too large (os error 27)"
            await heard_until(caller, ASSISTANT, 3)
        assert sides(recording.path)[0].size * 4 <= 20_000, "what fitted can be read"

    told()


def test_a_file_that_is_there_is_not_written_over(folder: Path) -> None:
    (folder / "call.wav").write_bytes(b"somebody's")

    @story(*TWO)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        recording = bridged.call.record(bridged.legs[0], folder / "call.wav")
        assert await ended(bridged, recording) == "File exists (os error 17)"
        assert recording.path.read_bytes() == b"somebody's"
        unusable = bridged.call.record(bridged.legs[0], folder / "call.wav" / "below a file.wav")
        assert await ended(bridged, unusable) is not None
        bridged.call.close_leg(bridged.legs[0])
        with pytest.raises(MediaError):
            bridged.call.record(bridged.legs[0], folder / "other.wav")

    told()


def test_what_was_said_until_the_end_of_the_process_is_in_the_file(folder: Path) -> None:
    """Nobody hears of the end of a recording whose call is closed; the engine finishes it all the same."""

    async def told() -> None:
        async with running() as engine:
            with peers(*TWO) as people:
                bridged = Bridged(engine, people)
                bridged.call.record(bridged.legs[0], folder / "call.wav")
                people[0].say(bridged.legs[0].local_address, mu_law(tone(440, 0.02)))
                await people[1].hear()
                bridged.call.close()
        assert sides(folder / "call.wav")[0].any()
        assert bridged.events.empty() or not isinstance(bridged.events.get_nowait(), RecordingEnded)

    asyncio.run(told())


def test_a_recording_goes_with_its_leg_to_another_call(folder: Path) -> None:
    @story(*THREE)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, _, agent = people
        legs = bridged.legs
        recording = bridged.call.record(legs[0], folder / "call.wav")
        host = bridged.engine.open_call(lambda event: None)
        for leg in (legs[0], legs[2]):
            host.adopt(leg, bridged.call)
        host.bridge(legs[0], legs[2])
        async with talking(agent, legs[2].local_address, AGENT):
            taken = await heard_until(caller, AGENT, 10)
        host.close()
        assert await ended(bridged, recording) is None
        assert place_of(in_time([each.packet for each in taken]), sides(recording.path)[1])

    told()
