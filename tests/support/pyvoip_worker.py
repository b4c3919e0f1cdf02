"""The process behind `PyvoipPhone`: `python -m tests.support.pyvoip_worker SETTINGS`, settings as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np
from pyVoIP.VoIP import CallState, PhoneStatus, VoIPCall, VoIPPhone

from tests.support.audio import RATE, tone, write_wav
from tests.support.json_peer import Event, serve, take_stdout
from tests.support.ports import LOOPBACK
from tests.support.pyvoip_peer import PyvoipSettings

FRAME = 160
"""Samples of a packet: 20 ms."""


class Phone:
    """One registered phone with one call. Its audio is 8 bit unsigned, pyVoIP's format."""

    def __init__(self, settings: PyvoipSettings, events: TextIO) -> None:
        self._settings = settings
        self._events = events
        self._says = (tone(settings.frequency, 10.0) // 256 + 128).astype(np.uint8).tobytes()
        self._heard = bytearray()
        self._state: CallState | None = None
        self._next_read = 0.0
        self._call: VoIPCall | None = None
        self._phone = VoIPPhone(
            LOOPBACK,
            settings.registrar_port,
            "pyvoip",
            "",
            myIP=LOOPBACK,
            sipPort=settings.port,
            rtpPortLow=settings.media_port,
            rtpPortHigh=settings.media_port + 19,
        )
        self._phone.start()
        while self._phone.get_status() is PhoneStatus.REGISTERING:
            time.sleep(0.01)
        self.tell("ready" if self._phone.get_status() is PhoneStatus.REGISTERED else "refused")

    def tell(self, event: str, **values: object) -> None:
        """Report what happened."""
        self._events.write(json.dumps({"event": event, **values}) + "\n")

    def poll(self) -> None:
        """Report changes of the call, and take 20 ms of audio every 20 ms."""
        if self._call is None:
            return
        if self._call.state is not self._state:
            self._state = self._call.state
            self.tell("state", state=self._state.value)
            if self._state is CallState.ANSWERED:
                self._call.write_audio(self._says)
                self._next_read = time.monotonic()
        if self._state is CallState.ANSWERED and time.monotonic() >= self._next_read:
            self._next_read += FRAME / RATE
            self._heard += self._call.read_audio(FRAME, blocking=False)

    def obey(self, command: Event) -> None:
        """Do what the test says."""
        match command:
            case {"command": "call", "number": str(number)}:
                self._call = self._phone.call(number)
            case {"command": "hangup"}:
                self._call.hangup()

    def close(self) -> None:
        """Deregister, and write what was heard."""
        self._phone.stop()
        samples = np.frombuffer(bytes(self._heard), dtype=np.uint8).astype(np.int16) - 128
        write_wav(Path(self._settings.record), samples * 256)


if __name__ == "__main__":
    stdout = take_stdout()
    phone = Phone(PyvoipSettings(**json.loads(sys.argv[1])), stdout)
    serve(phone.poll, phone.obey)
    phone.close()
