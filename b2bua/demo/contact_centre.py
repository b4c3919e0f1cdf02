"""A contact centre: asks every caller for a password (407, SHA-256 and MD5), then does what the number says.

    B2BUA_DEMO_PASSWORD=secret python -m b2bua.demo.contact_centre --output FOLDER

`busy` is 486; `no-answer` rings until it is cancelled, with a ringing tone; `silent` says nothing after the
credentials, not even 100; every other number rings, answers and plays a tone. Whoever has a wrong password is asked
again, with a fresh nonce each time (RFC 3261 section 22, RFC 7616, RFC 8760).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import ScreenPop, note, tell
from b2bua.demo.phone import (
    HANDOFF_ID,
    HOST,
    PASSWORD,
    REASON,
    USERNAME,
    audio_address,
    call_of,
    describe,
    heard,
    listen,
    serve,
    user_of,
)
from b2bua.demo.story import AGENT_TONE, BUSY, NO_ANSWER, RINGING_TONE, SILENT
from sip_stack import events as sip
from sip_stack.aio.stack import SipStack
from sip_stack.auth import DigestServer
from sip_stack.dialog import ServerSession
from sip_stack.errors import RemoteError
from sip_stack.message import Request
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Flow

PICKS_UP_AFTER = 0.8
"""Seconds of ringing before a call is answered."""


class HardOfHearing(SipStack):
    """Misses INVITEs with credentials for `silent`: a stack that heard them would at least answer 100."""

    _told = False

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        """Take a message, or miss it."""
        if data.startswith(f"INVITE sip:{SILENT.user}@".encode()) and b"\r\nProxy-Authorization:" in data:
            if not self._told:
                say(SILENT.user, "gets credentials, says nothing")
            self._told = True
        else:
            super().received(data, flow, fault)


class Agent:
    """One call that got past the password."""

    def __init__(self, stack: SipStack, session: ServerSession, invite: Request, wav: Path) -> None:
        self.call = call_of(invite)
        self.audio = AudioStream(HOST)
        listen(self.audio, lambda what: say(self.call, what))
        self._stack = stack
        self._session = session
        self._caller = audio_address(invite)
        self._wav = wav
        self._pick_up: asyncio.TimerHandle | None = None

    def ring(self, *, tone: bool) -> None:
        """180, or 183 with a ringing tone for the caller to hear (early media)."""
        if tone:
            self._play(audio.tone(RINGING_TONE, on=1.0, off=1.0))
            say(self.call, f"183 Session Progress, plays {RINGING_TONE} Hz")
            self._session.progress(self._stack.now(), 183, body=describe(self.audio))
        else:
            say(self.call, "180 Ringing")
            self._session.progress(self._stack.now(), 180)

    def pick_up_soon(self) -> None:
        """Answer after a moment."""
        self._pick_up = asyncio.get_running_loop().call_later(PICKS_UP_AFTER, self._answer)

    def leave(self) -> None:
        """The call is over: say what was heard, free the port."""
        if self._pick_up is not None:
            self._pick_up.cancel()
        self.audio.close()
        if self.audio.packets_in:
            audio.write_wav(self._wav, self.audio.heard())
        tell(heard("agent", self.call, self.audio))

    def _play(self, frames: Sequence[bytes]) -> None:
        self.audio.play(frames)
        if self._caller is not None:
            self.audio.send_to(self._caller)

    def _answer(self) -> None:
        self._play(audio.tone(AGENT_TONE))
        say(self.call, f"200 OK, plays {AGENT_TONE} Hz")
        self._session.answer(self._stack.now(), body=describe(self.audio))
        self._stack.flush()


class ContactCentre:
    """Takes the calls for every number."""

    def __init__(self, stack: SipStack, password: str, output: Path) -> None:
        """`output` is where the WAV files of what is heard go."""
        self._stack = stack
        self._output = output
        self._passwords = {USERNAME: password}
        self._digest = DigestServer(
            "contact-centre.example",
            secret=secrets.token_bytes(32),
            token=lambda: secrets.token_hex(8),
            algorithms=("SHA-256", "MD5"),
            status=407,
        )
        self._agents: dict[ServerSession, Agent] = {}

    def on_event(self, event: sip.Event) -> None:
        """Hear what the stack has to say."""
        match event:
            case sip.InviteReceived(session, request):
                self._invited(session, request)
            case sip.Cancelled(session, request):
                say(call_of(request), "is cancelled: 487")
                self._forget(session)
            case sip.Ended(session, by) if isinstance(session, ServerSession):
                say(call_of(session.invite), "gets BYE" if by == "remote" else f"over: {by}")
                self._forget(session)

    def close(self) -> None:
        """Let go of all calls."""
        for session in list(self._agents):
            self._forget(session)

    def _invited(self, session: ServerSession, request: Request) -> None:
        user, call = user_of(request), call_of(request)
        if not self._lets_in(session, request, call):
            return
        if user == BUSY.user:
            say(call, "password is right: 486 Busy Here")
            session.reject(self._stack.now(), 486)
            return
        reason = request.headers.get(REASON)
        say(call, f"password is right, reason: {reason}" if reason else "password is right")
        if handoff_id := request.headers.get(HANDOFF_ID):
            tell(ScreenPop(call, handoff_id))
        wav = self._output / f"{call}-agent.wav"
        agent = self._agents[session] = Agent(self._stack, session, request, wav)
        agent.ring(tone=user == NO_ANSWER.user)
        if user != NO_ANSWER.user:
            agent.pick_up_soon()

    def _lets_in(self, session: ServerSession, request: Request, call: str) -> bool:
        now = self._stack.now()
        verdict = self._digest.verify(request, now, self._passwords.get)
        if verdict.result == "accepted":
            return True
        why = {"missing": "asks for a password: 407", "refused": "wrong password: 407 again"}
        say(call, why.get(verdict.result, "old nonce: 407"))
        challenges = self._digest.challenges(now, stale=verdict.result == "stale")
        session.reject(now, 407, headers=challenges)
        return False

    def _forget(self, session: ServerSession) -> None:
        agent = self._agents.pop(session, None)
        if agent is not None:
            agent.leave()


def say(call: str, what: str) -> None:
    """Note what the contact centre does about a call."""
    note("contact centre", call, what)


async def main(output: Path) -> None:
    """Take calls until SIGTERM."""
    stack = HardOfHearing(EndpointSettings(user_agent="b2bua-demo-contact-centre"))
    centre = ContactCentre(stack, os.environ[PASSWORD], output)
    await serve(stack, centre.on_event, centre.close)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Be a contact centre until SIGTERM.")
    parser.add_argument("--output", type=Path, default=Path(), help="where the WAV files of what is heard go")
    asyncio.run(main(parser.parse_args().output))
