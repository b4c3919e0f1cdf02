"""A PJSUA2 soft phone: plays a WAV file, records what it hears, answers digest challenges. UDP, no sound card.

`PjsuaPhone` is the test's end; the module itself is the phone (`python -m tests.support.pjsua2_peer OPTIONS`).
Commands: `call` (uri), `answer` (status), `hangup`, `dtmf` (digits), `quit`. Events: `ready` (port), `incoming` (from),
`state` (state, status, reason), `media` (codec), `dtmf` (digit).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from tests.support.json_peer import Event, JsonPeer, serve, take_stdout
from tests.support.ports import LOOPBACK, free_port, free_port_range


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a phone is made of; crosses to its process as JSON."""

    user: str
    play: str
    """The WAV file it says, over and over."""
    record: str
    """The WAV file for what it hears; complete once the phone has ended."""
    username: str = ""
    password: str = ""
    """The answer to any challenge; none when `username` is empty."""
    codecs: Sequence[str] = ("PCMU", "PCMA")
    """The codecs it knows, best first."""
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=lambda: free_port_range(40)[0])


class PjsuaPhone(JsonPeer):
    """A running phone."""

    def __init__(self, folder: Path, settings: PhoneSettings) -> None:
        """Start it; it is ready for calls afterwards."""
        self.settings = settings
        super().__init__(
            f"phone-{settings.user}", "tests.support.pjsua2_peer", folder, [json.dumps(asdict(settings))]
        )

    @property
    def address(self) -> str:
        """HOST:PORT it listens on."""
        return f"{LOOPBACK}:{self.settings.port}"

    @property
    def uri(self) -> str:
        """Its SIP URI."""
        return f"sip:{self.settings.user}@{self.address}"

    def wait_for_state(self, state: str, deadline: float = 10.0) -> Event:
        """The event of its call reaching `state`: CALLING, EARLY, CONFIRMED, DISCONNECTED."""
        return self.wait_for("state", deadline, state=state)

    def quit(self) -> None:
        """End it in good order, which completes its recording."""
        self.tell("quit")
        self.wait(10.0)


def _run(settings: PhoneSettings, events: TextIO) -> None:
    """The phone's own process, from here on; one thread runs it all, so that callbacks come in order."""
    import pjsua2 as pj

    def tell(event: str, **values: object) -> None:
        events.write(json.dumps({"event": event, **values}) + "\n")

    class Call(pj.Call):  # type: ignore[misc]
        def onCallState(self, prm: object) -> None:
            info = self.getInfo()
            tell("state", state=info.stateText, status=info.lastStatusCode, reason=info.lastReason)

        def onCallMediaState(self, prm: object) -> None:
            info = self.getInfo()  # owns what `media` refers to: a temporary would be gone inside the loop
            for media in info.media:
                if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                    audio = self.getAudioMedia(media.index)
                    player.startTransmit(audio)
                    audio.startTransmit(recorder)
                    tell("media", codec=self.getStreamInfo(media.index).codecName)

        def onDtmfDigit(self, prm: object) -> None:
            tell("dtmf", digit=prm.digit)  # type: ignore[attr-defined]

    class Account(pj.Account):  # type: ignore[misc]
        def onIncomingCall(self, prm: object) -> None:
            call = Call(self, prm.callId)  # type: ignore[attr-defined]
            calls.append(call)
            tell("incoming", caller=call.getInfo().remoteUri)

    def obey(command: Event) -> None:
        match command["command"]:
            case "call":
                call = Call(account)
                calls.append(call)
                call.makeCall(command["uri"], pj.CallOpParam(True))
            case "answer":
                answer = pj.CallOpParam()
                answer.statusCode = command["status"]
                calls[-1].answer(answer)
            case "hangup":
                calls[-1].hangup(pj.CallOpParam())
            case "dtmf":
                calls[-1].dialDtmf(command["digits"])

    calls: list[Call] = []
    endpoint = _start_endpoint(pj, settings)
    player, recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
    player.createPlayer(settings.play)
    recorder.createRecorder(settings.record)
    account = Account()
    account.create(_account_config(pj, settings))
    tell("ready", port=settings.port)
    serve(lambda: endpoint.libHandleEvents(5), obey)
    calls.clear()
    del player, recorder  # closes the recording
    account.shutdown()
    endpoint.libDestroy()


def _start_endpoint(pj: object, settings: PhoneSettings) -> object:
    """The library, started, with the null sound device and only the codecs asked for."""
    endpoint = pj.Endpoint()  # type: ignore[attr-defined]
    endpoint.libCreate()
    config = pj.EpConfig()  # type: ignore[attr-defined]
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 4
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.ecTailLen = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()  # type: ignore[attr-defined]
    transport.port, transport.boundAddress = settings.port, LOOPBACK
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)  # type: ignore[attr-defined]
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 0)
    for priority, name in enumerate(reversed(settings.codecs), 200):
        endpoint.codecSetPriority(f"{name}/8000/1", priority)
    return endpoint


def _account_config(pj: object, settings: PhoneSettings) -> object:
    """An account that registers nowhere."""
    config = pj.AccountConfig()  # type: ignore[attr-defined]
    config.idUri = f"sip:{settings.user}@{LOOPBACK}:{settings.port}"
    config.mediaConfig.transportConfig.port = settings.media_port
    config.mediaConfig.transportConfig.boundAddress = LOOPBACK
    if settings.username:
        credentials = pj.AuthCredInfo("digest", "*", settings.username, 0, settings.password)  # type: ignore[attr-defined]
        config.sipConfig.authCreds.append(credentials)
    return config


def phone(folder: Path, user: str, samples_file: Path, **settings: object) -> PjsuaPhone:
    """A phone of `user` that says `samples_file` and records to `heard-USER.wav` in `folder`."""
    make: Callable[..., PhoneSettings] = PhoneSettings
    return PjsuaPhone(
        folder, make(user=user, play=str(samples_file), record=str(folder / f"heard-{user}.wav"), **settings)
    )


if __name__ == "__main__":
    _run(PhoneSettings(**json.loads(sys.argv[1])), take_stdout())
