"""A PJSUA2 soft phone in a process of its own: says a WAV file, records what it hears. No sound card.

Commands: `call` and `call_without_offer` (uri), `answer` (status), `hangup`, `dtmf` (digits), `hold`, `resume`,
`update`, `ask` (a re-INVITE without an offer), `refer` (uri), `on_refer` (status to answer one with), `quit`.
An attended transfer: `call_besides` (uri) begins a second call; `join` refers the first far end to the second call,
`leave` the second far end to the first call, both with Replaces.
Events: `ready` (port), `incoming` (caller), `state` (state, status, reason), `media` (codec), `direction` (sends,
hears), `reoffer` (verb, sent), `final` (method, status), `dtmf` (digit), `refer` (uri: it was asked to go there),
`notify` (status, final: how its own REFER goes). The phone itself is `pjsua2_worker.py`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest

from tests.support.audio import Samples, read_wav, tone, write_wav
from tests.support.certificates import Pair
from tests.support.json_peer import Event, JsonPeer
from tests.support.ports import LOOPBACK, free_port, free_port_range, listened_to
from tests.support.processes import PeerError

Srtp = Literal["disabled", "optional", "mandatory"]
"""`optional` offers keys beside RTP/AVP, `mandatory` nothing but RTP/SAVP; keys by SDES, with any signalling."""


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a phone is made of; crosses to its process as JSON."""

    user: str
    play: str
    """The WAV file it says, over and over."""
    record: str
    """The WAV file for what it hears; complete once the phone has ended."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """The codecs it knows, best first."""
    username: str = ""
    password: str = ""
    """The answer to any challenge; none when `username` is empty."""
    tcp: bool = False
    """It has TCP and no UDP."""
    certificate: str = ""
    """When set, it has TLS and no UDP, and shows this on either side of a connection."""
    private_key: str = ""
    ca: str = ""
    """When set, it verifies servers, and clients must show a certificate of this CA."""
    srtp: Srtp = "disabled"
    suites: tuple[str, ...] = ()
    """The SRTP suites it knows, best first; empty for the usual ones."""
    prack: bool = False
    """It insists on 100rel (RFC 3262)."""
    session_timer: int = 0
    """When set, it insists on a session timer (RFC 4028) of so many seconds."""
    names_listener: bool = False
    """Its Contact names where it listens, as an SBC's does, and not the port of a TCP or TLS connection it has made."""
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=lambda: free_port_range(40)[0])


class PjsuaPhone(JsonPeer):
    """A running phone, ready for calls."""

    def __init__(
        self,
        folder: Path,
        user: str,
        frequency: float,
        *,
        codecs: tuple[str, ...] = ("PCMU", "PCMA"),
        username: str = "",
        password: str = "",
        tcp: bool = False,
        pair: Pair | None = None,
        ca: str = "",
        srtp: Srtp = "disabled",
        suites: tuple[str, ...] = (),
        prack: bool = False,
        session_timer: int = 0,
        names_listener: bool = False,
    ) -> None:
        """A phone of `user` that says a tone of `frequency` hertz; its files are in `folder`.

        With `pair` it speaks TLS and shows that; with `ca` it verifies its peers, also those that call it.
        """
        if sys.version_info >= (3, 13) and find_spec("pjsua2") is None:
            pytest.skip("pjsua2-python has no build for Python 3.13 and later")
        said = write_wav(folder / f"says-{user}.wav", tone(frequency, 2.0))
        self._heard = folder / f"heard-{user}.wav"
        streams = tcp or pair is not None
        self.settings = PhoneSettings(
            user,
            str(said),
            str(self._heard),
            codecs,
            username,
            password,
            tcp,
            certificate=pair.certificate if pair else "",
            private_key=pair.key if pair else "",
            ca=ca,
            srtp=srtp,
            suites=suites,
            prack=prack,
            session_timer=session_timer,
            names_listener=names_listener,
            port=free_port(),
        )
        settings = json.dumps(asdict(self.settings))
        super().__init__(f"phone-{user}", "tests.support.pjsua2_worker", folder, [settings])
        if streams and not listened_to(self.settings.port):
            self.stop()
            raise PeerError(f"{self.name} does not listen on {self.settings.port}: {self.tail()}")

    @property
    def address(self) -> str:
        """HOST:PORT it listens on."""
        return f"{LOOPBACK}:{self.settings.port}"

    @property
    def uri(self) -> str:
        """Its SIP URI."""
        transport = ";transport=tcp" if self.settings.tcp else ""
        if self.settings.certificate:
            transport = ";transport=tls"
        return f"sip:{self.settings.user}@{self.address}{transport}"

    def wait_for_state(self, state: str, deadline: float = 10.0) -> Event:
        """The event of its call reaching `state`: CALLING, EARLY, CONFIRMED, DISCONNECTED."""
        return self.wait_for("state", deadline, state=state)

    def heard_so_far(self) -> float:
        """Seconds recorded up to now, at least."""
        return self._heard.stat().st_size / 16_000 if self._heard.exists() else 0.0

    def quit(self) -> Samples:
        """End it in good order. Returns all it heard."""
        self.tell("quit")
        self.wait(10.0)
        return read_wav(self._heard)
