"""A pyVoIP phone in a process of its own, registered with a `Registrar` that passes its calls on.

pyVoIP imports `audioop` (gone in Python 3.13), warns and starts threads as it likes, and writes SIP that differs from
other people's: its ACK to a 2xx has a To tag of its own and the INVITE's branch.
Commands: `call` (number), `hangup`, `quit`. Events: `ready`, `state` (state: DIALING, ANSWERED, ENDED).
The phone itself is `pyvoip_worker.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.audio import Samples, read_wav
from tests.support.json_peer import JsonPeer
from tests.support.ports import free_port, free_port_range


@dataclass(frozen=True, slots=True)
class PyvoipSettings:
    """What the phone is made of; crosses to its process as JSON."""

    registrar_port: int
    frequency: float
    """Of the tone it says, in hertz."""
    record: str
    """The WAV file for what it hears; written when it quits."""
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=lambda: free_port_range(20)[0])


class PyvoipPhone(JsonPeer):
    """A running phone, registered."""

    def __init__(self, folder: Path, registrar_port: int, frequency: float) -> None:
        """A phone that says a tone of `frequency` hertz; its files are in `folder`."""
        self._heard = folder / "heard-pyvoip.wav"
        self.settings = PyvoipSettings(registrar_port, frequency, str(self._heard))
        super().__init__("pyvoip", "tests.support.pyvoip_worker", folder, [json.dumps(asdict(self.settings))])

    def quit(self) -> Samples:
        """Deregister and end. Returns all it heard."""
        self.tell("quit")
        self.wait(10.0)
        return read_wav(self._heard)
