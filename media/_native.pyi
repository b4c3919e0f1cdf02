"""The contract of the Rust core (`media/core`): what `media.native` may ask of it.

Nothing here blocks except `Engine.close`. Errors: `ValueError` for arguments that make no sense, `OSError`
for what the system refuses, `RuntimeError` when the worker of a leg is gone or overloaded, `Exhausted`
without ports.
"""

from pathlib import Path
from typing import Literal, final

from media.rtpengine.bencode import Value

__all__ = ["Call", "Engine", "Exhausted", "Leg", "Prompt", "Recording", "Statistics", "read_bencode"]

_Address = tuple[str, int]
_Keys = tuple[str, bytes, bytes, int]
"""Suite, our master key and salt, the peer's, octets of the identifier in its packets."""
_EventName = Literal[
    "first_packet",
    "media_timeout",
    "digit",
    "tone_digit",
    "switched",
    "quiet",
    "prompt_ended",
    "answer_judged",
    "recording_ended",
    "worker_lost",
]

class Exhausted(Exception): ...

def read_bencode(data: bytes, start: int) -> tuple[Value, int] | None:
    """The bencoded value that begins at `start`, with where it ends; None when `data` ends before it does.

    The keys of dictionaries are texts, all other texts octets. Raises `ValueError` for octets that are no value.
    """

@final
class Engine:
    """Worker threads and the port pool. `low` and `high` 0: any port pair the system has.

    `quarantine` and `gather` are in seconds, `receive_buffer` in octets (SO_RCVBUF), `dscp` 0..63.
    """

    def __new__(
        cls,
        address: str,
        low: int,
        high: int,
        quarantine: float,
        workers: int,
        receive_buffer: int,
        gather: float,
        dscp: int,
    ) -> Engine: ...
    def fileno(self) -> int:
        """Readable while `drain` has something."""

    @property
    def capacity(self) -> int:
        """Port pairs in all."""

    @property
    def free_ports(self) -> int:
        """Port pairs that can be opened now."""

    def open_call(self) -> Call:
        """Chooses the worker with the fewest legs; a lost worker is replaced."""

    def open_leg(self, call: Call, latching: str, signalling: str | None) -> Leg:
        """Binds a port pair and hands it to the call's worker; `signalling` is where the peer's SIP comes from."""

    def record(self, leg: Leg, path: Path) -> Recording:
        """What the leg's peer says and hears goes to a new WAV file, in the place of a recording of before."""

    def drain(self) -> list[tuple[_EventName, int, str, int]]:
        """Takes the waiting events: name, leg id (`worker_lost`: worker number, `recording_ended`: that of the
        recording), digit (`recording_ended`: why it failed, empty for an end that was wanted), duration
        in ms (`switched`: 1 when the source was heard, `answer_judged`: 1 for a machine)."""

    def close(self) -> None:
        """Stops and joins the workers; all sockets are closed afterwards."""

@final
class Call:
    """Keeps the legs of one call on one worker."""

    @property
    def worker(self) -> int: ...

@final
class Recording:
    """A file that is being written; it ends with its leg."""

    @property
    def id(self) -> int: ...
    @property
    def dropped(self) -> int:
        """Packets that were not written."""

    def pause(self, paused: bool) -> None: ...
    def finish(self) -> None: ...

@final
class Prompt:
    """Sound at 8 kHz in both laws."""

    @staticmethod
    def load(path: Path) -> Prompt:
        """Reads and converts a WAV file; `ValueError` when it cannot. Blocks, without the GIL."""

    @staticmethod
    def ringback(country: str) -> Prompt:
        """A ringing tone; `ValueError` for a country that is not known."""

    @staticmethod
    def digits(text: str) -> Prompt:
        """Digits and waits, events to who takes those and tones to others; `ValueError` for anything else."""

    @property
    def duration_ms(self) -> int: ...
    def mu_law(self, looped: bool) -> bytes:
        """All of it in mu-law; `looped`: one round of its loop, whose end meets its beginning."""

@final
class Leg:
    """One leg. Dropping the last reference closes it. Commands to a closed leg are ignored."""

    @property
    def id(self) -> int: ...
    @property
    def ssrc(self) -> int:
        """The SSRC of what this leg sends, until it is given a new key."""

    @property
    def local_address(self) -> _Address: ...
    def set_remote(
        self,
        remote: _Address | None,
        remote_rtcp: _Address | None,
        codec: str,
        payload_type: int,
        telephone_event: int | None,
        receive_telephone_event: int | None,
        send: bool,
        receive: bool,
        rtcp_mux: bool,
        comfort_noise: bool,
        protection: _Keys | None,
    ) -> None: ...
    def set_media_timeout(self, seconds: float | None) -> None: ...
    def bridge(self, other: Leg) -> None: ...
    def unbridge(self) -> None: ...
    def hear(self, other: Leg) -> None: ...
    def hear_silence(self) -> None: ...
    def play(self, prompt: Prompt, loop: bool) -> None: ...
    def hear_when_heard(self, other: Leg, within: float) -> None:
        """`within` is in seconds."""

    def mix(self, one: Leg, other: Leg) -> None:
        """This leg's peer hears both of theirs."""

    def watch_silence(self, quiet: float | None) -> None:
        """Seconds."""

    def move_to(self, call: Call) -> None:
        """Brings the leg to the call's worker; waits for its own at most 0.1 s."""

    def listen_for_keys(self, wanted: bool) -> None: ...
    def judge_answer(self, sign: str | None) -> None:
        """`beep` or `long_speech`."""

    def digit_delivered(self) -> None:
        """Makes room for a digit: at most 32 of a leg wait for the event loop."""

    def statistics(self) -> Statistics: ...
    def close(self) -> None: ...

@final
class Statistics:
    """A copy of a leg's counters; see `media.engine.LegStatistics`."""

    @property
    def codec(self) -> str | None: ...
    @property
    def packets_in(self) -> int: ...
    @property
    def packets_out(self) -> int: ...
    @property
    def octets_in(self) -> int: ...
    @property
    def octets_out(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def late(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def jitter_ms(self) -> float: ...
    @property
    def longest_gap_ms(self) -> int: ...
    @property
    def foreign(self) -> int: ...
    @property
    def malformed(self) -> int: ...
    @property
    def unauthenticated(self) -> int: ...
    @property
    def replayed(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def rtcp_in(self) -> int: ...
    @property
    def rtcp_out(self) -> int: ...
    @property
    def remote_lost(self) -> int | None: ...
    @property
    def remote_jitter_ms(self) -> float | None: ...
    @property
    def round_trip_ms(self) -> float | None: ...
