"""Recording a call: begun by the configuration or over the API, told of in the record and the feed.

One leg is recorded, the caller's (in a call of our own, whom we called): on the left what it says, on the right all
that it hears. So whatever becomes of the others, the recording goes on. Nothing here waits for a disk, and no disk
ends a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from b2bua.call.record import RecordingRecord
from b2bua.control import ControlError
from b2bua.feed import RecordingChanged
from media.engine import MediaError, Recording
from media.events import RecordingEnded

if TYPE_CHECKING:
    from b2bua.call.call import Call

RecordVerb = Literal["start", "pause", "resume", "stop"]
MAX_RECORDINGS = 100
"""Of one call."""


@dataclass(frozen=True, slots=True)
class Running:
    """The recording that is being made."""

    engine: Recording
    record: RecordingRecord


def begin_if_asked(call: Call, asked: bool) -> None:
    """Record from now on if that was asked for and is not done already; what cannot be recorded goes on unrecorded."""
    if asked and call.recording is None:
        try:
            _start(call)
        except MediaError as error:
            call.log.warning("not_recorded", why=str(error))


def tell(call: Call, verb: RecordVerb) -> RecordingRecord:
    """Do what somebody asks of the recording of a live call; what it is now. Raises `ControlError`."""
    running = call.recording
    if verb == "start" and running is None:
        if not call.answered:
            raise ControlError(409, "call_not_answered", "nobody has answered the call yet")
        if len(call.record.recordings) >= MAX_RECORDINGS:
            raise ControlError(409, "not_recordable", f"the call has {MAX_RECORDINGS} recordings")
        try:
            return _start(call)
        except MediaError as error:
            raise ControlError(409, "not_recordable", str(error)) from error
    if running is None:
        raise ControlError(409, "not_recording", "the call is not being recorded")
    if verb == "stop":
        running.engine.finish()
        _end(call, running, None)
    elif verb != "start":
        running.engine.pause(verb == "pause")
        _move(call, running.record, "paused" if verb == "pause" else "recording")
    return running.record


def go_on(call: Call) -> None:
    """Somebody else has the caller's place: go on with them, in a recording of its own."""
    running = call.recording
    if running is not None:
        paused = running.record.state == "paused"
        running.engine.finish()
        _end(call, running, None)
        begin_if_asked(call, True)
        if paused and call.recording is not None:
            tell(call, "pause")


def ended(call: Call, event: RecordingEnded) -> None:
    """Hear that a recording is over by itself: its leg has gone, or the disk took no more."""
    running = call.recording
    if running is not None and running.engine is event.recording:
        _end(call, running, event.error)
    elif event.error is not None:
        # It was stopped, and its last moments did not fit.
        call.log.warning("recording_cut", path=str(event.recording.path), error=event.error)


def end_with(call: Call) -> None:
    """The call is over, and so is what is being recorded of it."""
    if call.recording is not None:
        _end(call, call.recording, None)


def _start(call: Call) -> RecordingRecord:
    leg = call.caller or call.peer
    if leg is None:
        raise MediaError("nobody is left to be recorded")
    codec = leg.description.codec
    if codec is not None and codec.passes_through:
        raise MediaError(f"{codec} is passed through, and cannot be recorded")
    number = len(call.record.recordings) + 1
    name = f"{call.id}.wav" if number == 1 else f"{call.id}-{number}.wav"
    path = call.configuration.records.recordings / name
    engine = call.media.record(leg.media, path)
    record = RecordingRecord(str(path), call.services.now())
    call.record.recordings.append(record)
    call.recording = Running(engine, record)
    _tell(call, record)
    return record


def _end(call: Call, running: Running, error: str | None) -> None:
    running.record.ended = call.services.now()
    running.record.dropped = running.engine.dropped
    running.record.error = error
    call.recording = None
    _move(call, running.record, "ended" if error is None else "failed")


def _move(
    call: Call, record: RecordingRecord, state: Literal["recording", "paused", "ended", "failed"]
) -> None:
    if record.state != state:
        record.state = state
        _tell(call, record)


def _tell(call: Call, record: RecordingRecord) -> None:
    log = call.log.info if record.error is None else call.log.warning
    log("recording", state=record.state, path=record.path, error=record.error)
    now = call.services.now()
    call.services.feed.publish(
        RecordingChanged(call.id, call.record.clock, now, record.state, record.path, record.error)
    )
