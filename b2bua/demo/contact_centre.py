"""A contact centre: asks every caller for a password (407, SHA-256 and MD5), then does what the number says.

    B2BUA_DEMO_PASSWORD=secret python -m b2bua.demo.contact_centre

`good` answers and plays a tone; `busy` is 486; `no-answer` rings until it is cancelled, with a ringing tone;
`silent` says nothing after the credentials, not even 100. Whoever has a wrong password is asked again, with a
fresh nonce each time (RFC 3261 section 22, RFC 7616, RFC 8760).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Sequence

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import AgentHeard, Ready, note, tell
from b2bua.demo.phone import ANY_PORT, HOST, PASSWORD, USERNAME, audio_address, describe
from b2bua.demo.story import AGENT_TONE, BUSY, CALLER_TONE, GOOD, NO_ANSWER, RINGING_TONE, SILENT
from sip_stack import events as sip
from sip_stack.aio.stack import SipStack
from sip_stack.auth import DigestServer
from sip_stack.dialog import ServerSession
from sip_stack.errors import RemoteError
from sip_stack.message import Request, SipUri
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Flow

PICKS_UP_AFTER = 0.8
"""Seconds of ringing before the good call is answered."""


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

    def __init__(self, user: str, stack: SipStack, session: ServerSession, invite: Request) -> None:
        self.user = user
        self.audio = AudioStream(HOST)
        self._stack = stack
        self._session = session
        self._caller = audio_address(invite)
        self._pick_up: asyncio.TimerHandle | None = None

    def ring(self, *, tone: bool) -> None:
        """180, or 183 with a ringing tone for the caller to hear (early media)."""
        if tone:
            self._play(audio.tone(RINGING_TONE, on=1.0, off=1.0))
            say(self.user, "183 Session Progress, plays 425 Hz")
            self._session.progress(self._stack.now(), 183, body=describe(self.audio))
        else:
            say(self.user, "180 Ringing")
            self._session.progress(self._stack.now(), 180)

    def pick_up_soon(self) -> None:
        """Answer after a moment."""
        self._pick_up = asyncio.get_running_loop().call_later(PICKS_UP_AFTER, self._answer)

    def leave(self) -> None:
        """The call is over: say what was heard, free the port."""
        if self._pick_up is not None:
            self._pick_up.cancel()
        tell(AgentHeard(self.user, audio.tone_heard(self.audio.heard(), (CALLER_TONE,))))
        self.audio.close()

    def _play(self, frames: Sequence[bytes]) -> None:
        self.audio.play(frames)
        if self._caller is not None:
            self.audio.send_to(self._caller)

    def _answer(self) -> None:
        self._play(audio.tone(AGENT_TONE))
        say(self.user, "200 OK, plays 440 Hz")
        self._session.answer(self._stack.now(), body=describe(self.audio))
        self._stack.flush()


class ContactCentre:
    """Takes the calls for every number."""

    def __init__(self, stack: SipStack, password: str) -> None:
        self._stack = stack
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
                say(user_of(request), "is cancelled: 487")
                self._forget(session)
            case sip.Ended(session, by) if isinstance(session, ServerSession):
                say(user_of(session.invite), "gets BYE" if by == "remote" else f"over: {by}")
                self._forget(session)

    def close(self) -> None:
        """Let go of all calls."""
        for session in list(self._agents):
            self._forget(session)

    def _invited(self, session: ServerSession, request: Request) -> None:
        user, now = user_of(request), self._stack.now()
        if not self._lets_in(session, request, user):
            return
        if user == BUSY.user:
            say(user, "password is right: 486 Busy Here")
            session.reject(now, 486)
        elif user in (GOOD.user, NO_ANSWER.user):
            say(user, "password is right")
            agent = self._agents[session] = Agent(user, self._stack, session, request)
            agent.ring(tone=user == NO_ANSWER.user)
            if user == GOOD.user:
                agent.pick_up_soon()
        else:
            session.reject(now, 404)

    def _lets_in(self, session: ServerSession, request: Request, user: str) -> bool:
        now = self._stack.now()
        verdict = self._digest.verify(request, now, self._passwords.get)
        if verdict.result == "accepted":
            return True
        why = {"missing": "asks for a password: 407", "refused": "wrong password: 407 again"}
        say(user, why.get(verdict.result, "old nonce: 407"))
        challenges = self._digest.challenges(now, stale=verdict.result == "stale")
        session.reject(now, 407, headers=challenges)
        return False

    def _forget(self, session: ServerSession) -> None:
        agent = self._agents.pop(session, None)
        if agent is not None:
            agent.leave()


def user_of(request: Request) -> str:
    """The number dialled."""
    uri = request.request_uri
    return uri.user or "" if isinstance(uri, SipUri) else ""


def say(user: str, what: str) -> None:
    """Note what the contact centre does about a call."""
    note("contact centre", user, what)


async def main() -> None:
    """Listen, tell the port, take calls until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stack = HardOfHearing(EndpointSettings(user_agent="b2bua-demo-contact-centre"))
    centre = ContactCentre(stack, os.environ[PASSWORD])
    stack.on_event = centre.on_event
    listening = await stack.start([ANY_PORT])
    tell(Ready(listening[0].port))
    await stop.wait()
    centre.close()
    await stack.close()


if __name__ == "__main__":
    asyncio.run(main())
