"""A caller: places one call, sings a tone, records what it hears, and says how it ended.

It stands for the SBC as well: asked by REFER it says that it connected the caller elsewhere (RFC 3515), and hangs up.

python -m b2bua.demo.caller --to sip:good@127.0.0.1:5060 --wav heard.wav --talk 2.5
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import CallerResult, note, tell
from b2bua.demo.phone import ANY_PORT, HOST, REASON, audio_address, describe, heard, listen
from b2bua.demo.story import CALLER_TONE
from sip_stack import events as sip
from sip_stack.aio.stack import SipStack
from sip_stack.dialog import Session
from sip_stack.dialog.refer import SIPFRAG, read_refer_to, sipfrag, subscription_state
from sip_stack.message import NameAddr, Request, Response, SipUri, parse_uri
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ServerTransaction
from sip_stack.transport import Target

PATIENCE = 20.0
"""Seconds until the caller gives up on the whole call."""
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "REFER")
CONNECTS_AFTER = 0.5
"""Seconds that the SBC takes to connect the caller where a REFER says."""


class Caller:
    """One call from INVITE to its end."""

    def __init__(self, uri: str, talk: float) -> None:
        parsed = parse_uri(uri)
        if not isinstance(parsed, SipUri) or not parsed.user:
            raise SystemExit(f"{uri} is no SIP URI with a user")
        self.audio = AudioStream(HOST)
        self.audio.play(audio.tone(CALLER_TONE))
        self.user = parsed.user
        listen(self.audio, self._say)
        self._uri = parsed
        self._talk = talk
        self._stack = SipStack(EndpointSettings(user_agent="b2bua-demo-caller", allow=METHODS))
        self._answered = asyncio.Event()
        self._elsewhere = False
        self._over = asyncio.Event()
        self._final: Response | None = None

    async def call(self) -> Response | None:
        """Place the call, talk, hang up. Returns the final response to the INVITE, None when none came."""
        stack = self._stack
        stack.on_event = self._on_event
        await stack.start([ANY_PORT])
        try:
            self._say(f"INVITE sip:{self.user}@…")
            session = stack.endpoint.invite(
                stack.now(),
                flow=stack.flow_to(Target("udp", self._uri.host, self._uri.port or 5060)),
                uri=str(self._uri),
                from_=NameAddr("Caller", f"sip:caller@{HOST}"),
                to=NameAddr("", str(self._uri)),
                body=describe(self.audio),
            )
            stack.flush()
            async with asyncio.timeout(PATIENCE):
                await self._answered.wait()
                await self._until_over(self._talk)
                if not self._over.is_set():
                    self._say("hangs up: BYE")
                    session.bye(stack.now())
                    stack.flush()
                await self._over.wait()
        except TimeoutError:
            self._say(f"gives up after {PATIENCE:.0f} s")
        finally:
            await stack.close()
            self.audio.close()
        return self._final

    async def _until_over(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def _say(self, what: str) -> None:
        note("caller", self.user, what)

    def _on_event(self, event: sip.Event) -> None:
        match event:
            case sip.Progress(_, response) if response.status > 100:
                self._hear(response)
                media = " with audio" if response.body else ""
                self._say(f"hears {response.status} {response.reason}{media}")
            case sip.Answered(_, response):
                self._hear(response)
                self._final = response
                self._say(f"is answered: {response.status} {response.reason}")
                self._answered.set()
            case sip.Rejected(_, response):
                self._final = response
                self._say(f"is told {response.status} {response.reason}")
                self._finish()
            case sip.Failed(_, reason):
                self._say(f"no final response: {reason}")
                self._finish()
            case sip.RequestReceived(session, transaction, request) if request.method == "REFER":
                self._referred(session, transaction, request)
            case sip.RequestCompleted(session, "NOTIFY") if self._elsewhere:
                self._say("is no longer ours: BYE")
                session.bye(self._stack.now())
            case sip.Ended(_, "remote", Request() as request):
                why = request.headers.get(REASON)
                self._say(f"gets BYE, reason: {why}" if why else "gets BYE")
                self._finish()
            case sip.Ended(_, by):
                self._say("the call is over" if by == "local" else f"the call is ended: {by}")
                self._finish()

    def _referred(self, session: Session, transaction: ServerTransaction, request: Request) -> None:
        self._say(f"is referred to {read_refer_to(request).user}: 202")
        session.respond(self._stack.now(), transaction, 202)
        self._notify(session, 100)
        asyncio.get_running_loop().call_later(CONNECTS_AFTER, self._connected, session)

    def _connected(self, session: Session) -> None:
        self._say("is connected elsewhere: NOTIFY 200")
        self._elsewhere = True
        self._notify(session, 200)
        self._stack.flush()

    def _notify(self, session: Session, status: int) -> None:
        headers = [("Event", "refer"), ("Subscription-State", subscription_state(status < 200))]
        session.request(self._stack.now(), "NOTIFY", headers, sipfrag(status), SIPFRAG)

    def _hear(self, response: Response) -> None:
        remote = audio_address(response)
        if remote is not None:
            self.audio.send_to(remote)

    def _finish(self) -> None:
        self._over.set()
        self._answered.set()


async def main(uri: str, wav: Path, talk: float) -> None:
    """Place the call, write the recording if anything was heard, tell the result."""
    caller = Caller(uri, talk)
    final = await caller.call()
    if caller.audio.packets_in:
        audio.write_wav(wav, caller.audio.heard())
    tell(heard("caller", caller.user, caller.audio))
    tell(CallerResult(final.status, final.reason) if final else CallerResult(None, "no final response"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Place one call and say how it ended.")
    parser.add_argument("--to", required=True, help="the SIP URI to call")
    parser.add_argument("--wav", required=True, type=Path, help="where to write what is heard")
    parser.add_argument("--talk", type=float, default=2.5, help="seconds to stay on an answered call")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.to, arguments.wav, arguments.talk))
