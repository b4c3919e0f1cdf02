"""Debian's linphonec as a soft phone: belle-sip's SIP, oRTP, mediastreamer, and mbedTLS, in which nothing else here is.

It says a tone and records what it hears, by files in place of a sound card, and is told what to do at its prompt. It
verifies whom it calls against a CA, by host name alone: its mbedTLS does not read addresses in certificates.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.audio import Samples, read_wav, tone, write_wav
from tests.support.ports import LOOPBACK, free_port_range
from tests.support.processes import ChildProcess, PeerError, wait_until

CONFIGURATION = """\
[sip]
sip_port=0
sip_tcp_port=0
sip_tls_port={port}
root_ca={ca}
contact="linphone" <sip:linphone@{host}>
guess_hostname=0
use_ipv6=0
ipv6_migration_done=1
media_encryption=srtp
media_encryption_mandatory=1
register_only_when_network_is_up=0
[rtp]
audio_rtp_port={first}-{last}
[video]
capture=0
display=0
automatically_initiate=0
"""


class Linphone(ChildProcess):
    """A running linphonec that calls over TLS with SRTP."""

    def __init__(self, folder: Path, ca: str, *, frequency: int = 440) -> None:
        """It says `frequency` hertz, and verifies whom it calls against `ca`."""
        home = folder / "linphone"
        (home / ".local/share/linphone").mkdir(parents=True)
        self._heard = home / "heard.wav"
        port, last = free_port_range(10)
        settings = CONFIGURATION.format(host=LOOPBACK, port=port, ca=ca, first=port + 2, last=last)
        (home / "linphonerc").write_text(settings)
        says = write_wav(home / "says.wav", tone(frequency, 2.0))
        command: list[str | Path] = ["linphonec", "-c", home / "linphonerc", "-d", "5", "-l", home / "log"]
        super().__init__("linphonec", command, folder, environment={"HOME": str(home)})
        try:
            self.wait_for_line("^linphonec>", 20.0)
        except PeerError:
            self.stop()
            raise
        for line in ("soundcard use files", f"play {says}", f"record {self._heard}"):
            self.write_line(line)

    def says(self, pattern: str, times: int = 1, deadline: float = 10.0) -> None:
        """Until its prompt has shown so many lines with `pattern`."""
        wait_until(
            lambda: len(re.findall(pattern, self.output)) >= times,
            deadline,
            lambda: f"linphonec says {pattern!r}: {self.tail()}",
        )

    def heard_so_far(self) -> float:
        """Seconds recorded up to now, at least."""
        return self._heard.stat().st_size / 16_000 if self._heard.exists() else 0.0

    def heard(self) -> Samples:
        """All it heard in its calls up to now."""
        return read_wav(self._heard)
