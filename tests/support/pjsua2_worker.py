"""The process behind `PjsuaPhone`: `python -m tests.support.pjsua2_worker SETTINGS`, settings as JSON.

One thread does it all (PJSUA2 runs with no worker thread of its own), so events come in the order they happened.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

import pjsua2 as pj

from tests.support.json_peer import Event, serve, take_stdout
from tests.support.pjsua2_peer import PhoneSettings
from tests.support.ports import LOOPBACK


class Phone:
    """One account, one call, or two for an attended transfer, one file played and one recorded."""

    def __init__(self, settings: PhoneSettings, events: TextIO) -> None:
        self._events = events
        self._endpoint = _endpoint(settings)
        self.player, self.recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
        self.player.createPlayer(settings.play)
        self.recorder.createRecorder(settings.record)
        self.account = Account(self)
        self.account.create(_account_config(settings))
        self.call: Call | None = None
        self.former: Call | None = None
        """The call that a REFER took it away from; the library still ends it."""
        self.first: Call | None = None
        """The call it was in before it called somebody else besides."""
        self.refer_status = 202
        self.tell("ready", port=settings.port)

    def tell(self, event: str, **values: object) -> None:
        """Report what happened."""
        self._events.write(json.dumps({"event": event, **values}) + "\n")

    def poll(self) -> None:
        """Let the library work for up to 5 ms."""
        self._endpoint.libHandleEvents(5)

    def obey(self, command: Event) -> None:
        """Do what the test says."""
        match command:
            case {"command": "call" | "call_without_offer" | "call_besides" as verb, "uri": uri}:
                if verb == "call_besides":
                    self.first = self.call
                option = pj.CallOpParam(True)
                if verb == "call_without_offer":
                    option.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
                self.call = Call(self, self.account)
                self.call.makeCall(uri, option)
            case {"command": "answer", "status": status}:
                answer = pj.CallOpParam()
                answer.statusCode = status
                self.call.answer(answer)
            case {"command": "hangup"}:
                self.call.hangup(pj.CallOpParam())
            case {"command": "refer", "uri": uri}:
                self.call.xfer(uri, pj.CallOpParam())
            case {"command": "join"}:
                self.first.xferReplaces(self.call, pj.CallOpParam())
            case {"command": "leave"}:
                self.call.xferReplaces(self.first, pj.CallOpParam())
            case {"command": "on_refer", "status": int(status)}:
                self.refer_status = status
            case {"command": "dtmf", "digits": digits}:
                self.call.dialDtmf(digits)
            case {"command": "hold" | "resume" | "update" | "ask" as verb}:
                self._reoffer(verb)

    def _reoffer(self, verb: str) -> None:
        """Re-INVITE or UPDATE; `ask` has no offer. `reoffer` tells whether the library lets us right now."""
        option = pj.CallOpParam(True)
        try:
            if verb == "hold":
                self.call.setHold(option)
            elif verb == "resume":
                option.opt.flag = pj.PJSUA_CALL_UNHOLD
                self.call.reinvite(option)
            elif verb == "ask":
                option.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
                self.call.reinvite(option)
            else:
                self.call.update(option)
        except pj.Error:  # an offer is open already
            self.tell("reoffer", verb=verb, sent=False)
        else:
            self.tell("reoffer", verb=verb, sent=True)

    def close(self) -> None:
        """End the library in the order it wants; this completes the recording."""
        self.call = self.former = self.first = None
        del self.player, self.recorder
        self.account.shutdown()
        self._endpoint.libDestroy()


class Account(pj.Account):
    """Takes calls for the phone."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        """The library's callback."""
        self._phone.call = Call(self._phone, self, prm.callId)
        self._phone.tell("incoming", caller=self._phone.call.getInfo().remoteUri)


class Call(pj.Call):
    """Joins the call's audio to the two files and reports."""

    def __init__(self, phone: Phone, account: Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self._phone = phone

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        """The library's callback."""
        info = self.getInfo()
        self._phone.tell("state", state=info.stateText, status=info.lastStatusCode, reason=info.lastReason)

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        """The library's callback."""
        info = self.getInfo()  # owns what `media` refers to: a temporary would be gone inside the loop
        for media in info.media:
            self._phone.tell("direction", sends=bool(media.dir & 1), hears=bool(media.dir & 2))
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(media.index)
                self._phone.player.startTransmit(audio)
                audio.startTransmit(self._phone.recorder)
                self._phone.tell("media", codec=self.getStreamInfo(media.index).codecName)

    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        """The library's callback."""
        transaction = prm.e.body.tsxState.tsx
        ours = transaction.role == pj.PJSIP_ROLE_UAC and transaction.method in ("INVITE", "UPDATE")
        if ours and transaction.state in (pj.PJSIP_TSX_STATE_COMPLETED, pj.PJSIP_TSX_STATE_TERMINATED):
            self._phone.tell("final", method=transaction.method, status=transaction.statusCode)

    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:
        """The library's callback: it calls `dstUri` by itself when the status is 2xx, and sends the NOTIFYs."""
        prm.statusCode = self._phone.refer_status
        if prm.statusCode < 300:
            # Kept by the phone: what is read back from `prm` keeps nothing alive.
            self._phone.former, self._phone.call = self, Call(self._phone, self._phone.account)
            prm.newCall = self._phone.call
        self._phone.tell("refer", uri=prm.dstUri)

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:
        """The library's callback."""
        self._phone.tell("notify", status=prm.statusCode, final=prm.finalNotify)
        prm.cont = not prm.finalNotify

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        """The library's callback."""
        self._phone.tell("dtmf", digit=prm.digit)


def _endpoint(settings: PhoneSettings) -> pj.Endpoint:
    """The library, started, with the null sound device and only the codecs asked for."""
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 4
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.ecTailLen = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = settings.port, LOOPBACK
    kind = pj.PJSIP_TRANSPORT_TCP if settings.tcp else pj.PJSIP_TRANSPORT_UDP
    if settings.certificate:
        kind = pj.PJSIP_TRANSPORT_TLS
        tls = transport.tlsConfig
        tls.certFile, tls.privKeyFile = settings.certificate, settings.private_key
        tls.CaListFile = settings.ca
        tls.verifyServer = tls.verifyClient = tls.requireClientCert = bool(settings.ca)
    endpoint.transportCreate(kind, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 0)
    for priority, name in enumerate(reversed(settings.codecs), 200):
        # PJSIP counts samples, of which G.722 has twice as many as ticks in RTP.
        endpoint.codecSetPriority(f"{name}/{16000 if name == 'G722' else 8000}/1", priority)
    return endpoint


def _account_config(settings: PhoneSettings) -> pj.AccountConfig:
    """An account that registers nowhere."""
    config = pj.AccountConfig()
    config.natConfig.contactUseSrcPort = int(not settings.names_listener)
    config.idUri = f"sip:{settings.user}@{LOOPBACK}:{settings.port}"
    if settings.tcp or settings.certificate:
        config.idUri += f";transport={'tls' if settings.certificate else 'tcp'}"
    config.mediaConfig.transportConfig.port = settings.media_port
    config.mediaConfig.transportConfig.boundAddress = LOOPBACK
    protect(config.mediaConfig, settings)
    if settings.prack:
        config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
    if settings.session_timer:
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_REQUIRED
        config.callConfig.timerMinSESec = config.callConfig.timerSessExpiresSec = settings.session_timer
    if settings.username:
        config.sipConfig.authCreds.append(
            pj.AuthCredInfo("digest", "*", settings.username, 0, settings.password)
        )
    return config


def protect(config: pj.AccountMediaConfig, settings: PhoneSettings) -> None:
    """Whether and how its audio is encrypted."""
    config.srtpUse = {
        "disabled": pj.PJMEDIA_SRTP_DISABLED,
        "optional": pj.PJMEDIA_SRTP_OPTIONAL,
        "mandatory": pj.PJMEDIA_SRTP_MANDATORY,
    }[settings.srtp]
    config.srtpSecureSignaling = 0
    config.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    for suite in settings.suites:
        crypto = pj.SrtpCrypto()
        crypto.name = suite
        config.srtpOpt.cryptos.append(crypto)


if __name__ == "__main__":
    stdout = take_stdout()
    phone = Phone(PhoneSettings(**json.loads(sys.argv[1])), stdout)
    serve(phone.poll, phone.obey)
    phone.close()
