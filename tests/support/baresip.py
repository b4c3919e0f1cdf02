"""Debian's baresip as a soft phone over TLS: says a tone, records what it hears, is told what to do over TCP.

It answers by itself. Its control channel (module ctrl_tcp) speaks netstrings of JSON; events come with a `type` such as
CALL_ESTABLISHED and CALL_CLOSED.
"""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from tests.support.audio import RATE, Samples, read_wav, tone, write_wav
from tests.support.certificates import Pair
from tests.support.ports import LOOPBACK, free_port_range
from tests.support.processes import ChildProcess, PeerError, wait_until

MODULES = "/usr/lib/baresip/modules"
CONFIGURATION = """\
module_path {modules}
sip_listen {host}:{port}
sip_certificate {folder}/baresip-both.pem
sip_cafile {ca}
call_local_timeout 60
call_max_calls 4
audio_source aufile,{said}
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
rtp_ports {first}-{last}
module {codec}.so
audio_srate {rate}
audio_channels {channels}
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {folder}
"""


class Baresip(ChildProcess):
    """A running baresip, ready for calls; it verifies whom it calls against `ca`."""

    def __init__(
        self,
        folder: Path,
        pair: Pair,
        ca: str,
        *,
        name: str = "baresip",
        frequency: int = 440,
        srtp: bool = False,
        opus: bool = False,
    ) -> None:
        """It shows `pair` when it is called. With `srtp` it neither takes nor makes a call without; with `opus` it has
        no other codec, else G.711 alone."""
        self._rate, self._channels = (48_000, 2) if opus else (8000, 1)
        self._folder = folder / name
        self._folder.mkdir()
        first, last = free_port_range(24)
        # TLS is at the port after the one for UDP and TCP.
        self.port = first + 1
        both = Path(pair.certificate).read_text() + Path(pair.key).read_text()
        (self._folder / "baresip-both.pem").write_text(both)
        (self._folder / "config").write_text(
            CONFIGURATION.format(
                modules=MODULES,
                host=LOOPBACK,
                port=first,
                folder=self._folder,
                ca=ca,
                codec="opus" if opus else "g711",
                rate=self._rate,
                channels=self._channels,
                said=write_wav(
                    self._folder / "says.wav",
                    tone(frequency, 2.0, rate=self._rate),
                    rate=self._rate,
                    channels=self._channels,
                ),
                first=first + 4,
                last=last,
                control=first + 2,
            )
        )
        encryption = ";mediaenc=srtp-mand" if srtp else ""
        account = f"<sip:baresip@{LOOPBACK}:{self.port};transport=tls>;regint=0;answermode=auto;auth_pass=x"
        (self._folder / "accounts").write_text(f"{account}{encryption}\n")
        (self._folder / "contacts").write_text("")
        super().__init__(name, ["baresip", "-f", self._folder], folder)
        self._control: socket.socket | None = None
        self._said = b""
        try:
            wait_until(
                lambda: "baresip is ready" in self.output, 10.0, lambda: f"baresip starts: {self.tail()}"
            )
            self._control = socket.create_connection((LOOPBACK, first + 2), 5.0)
            self._control.settimeout(0.1)
        except (OSError, PeerError):
            self.stop()
            raise

    @property
    def uri(self) -> str:
        """Its SIP URI."""
        return f"sip:baresip@{LOOPBACK}:{self.port};transport=tls"

    def tell(self, command: str, parameters: str = "") -> None:
        """`dial` with a URI, `hangup`."""
        assert self._control is not None
        text = json.dumps({"command": command, "params": parameters, "token": "t"})
        self._control.sendall(f"{len(text)}:{text},".encode())

    def wait_for(self, kind: str, deadline: float = 10.0) -> None:
        """Until it has told an event of that type."""
        end = time.monotonic() + deadline
        while kind not in self._told():
            if time.monotonic() > end:
                raise PeerError(f"baresip did not tell {kind}, but {self._told()}: {self.tail()}")

    def heard_so_far(self) -> float:
        """Seconds recorded up to now, at least."""
        files = list(self._folder.glob("dump-*-dec.wav"))
        return files[0].stat().st_size / (2 * self._rate * self._channels) if files else 0.0

    def heard(self) -> Samples:
        """All it heard in its call, which is over; of 48 kHz each sixth sample."""
        (file,) = self._folder.glob("dump-*-dec.wav")
        return read_wav(file, rate=self._rate, channels=self._channels)[:: self._rate // RATE]

    def stop(self, deadline: float = 5.0) -> int:
        """End it. Returns its exit status; may be repeated."""
        if self._control is not None:
            self._control.close()
            self._control = None
        return super().stop(deadline)

    def _told(self) -> list[str]:
        """The types of the events so far."""
        assert self._control is not None
        with suppress(TimeoutError):
            self._said += self._control.recv(65536)
        return re.findall(r'"type":"([A-Z_]+)"', self._said.decode(errors="replace"))
