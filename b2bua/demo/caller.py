"""A caller: places one call, sings a tone, records what it hears, and says how it ended.

python -m b2bua.demo.caller --to sip:good@127.0.0.1:5060 --wav heard.wav --talk 2.5
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import CallerResult, note, tell
from b2bua.demo.phone import ANY_PORT, HOST, audio_address, describe
from b2bua.demo.story import AGENT_TONE, CALLER_TONE, RINGING_TONE
from sip_stack import events as sip
from sip_stack.aio.stack import SipStack
from sip_stack.message import NameAddr, Response, SipUri, parse_uri
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Target

PATIENCE = 20.0
"""Seconds until the caller gives up on the whole call."""


class Caller:
    """One call from INVITE to its end."""

    def __init__(self, uri: str, talk: float) -> None:
        parsed = parse_uri(uri)
        if not isinstance(parsed, SipUri) or not parsed.user:
            raise SystemExit(f"{uri} is no SIP URI with a user")
        self.audio = AudioStream(HOST)
        self.audio.play(audio.tone(CALLER_TONE))
        self._uri = parsed
        self._talk = talk
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._final: Response | None = None

    async def call(self) -> Response | None:
        """Place the call, talk, hang up. Returns the final response to the INVITE, None when none came."""
        stack = SipStack(EndpointSettings(user_agent="b2bua-demo-caller"))
        stack.on_event = self._on_event
        await stack.start([ANY_PORT])
        try:
            self._say(f"INVITE sip:{self._uri.user}@…")
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
                if not self._over.is_set():
                    await asyncio.sleep(self._talk)
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

    def _say(self, what: str) -> None:
        note("caller", self._uri.user or "", what)

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
            case sip.Ended(_, by):
                self._say("the call is over" if by == "local" else f"the call is ended: {by}")
                self._finish()

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
    heard = caller.audio.heard()
    if heard:
        audio.write_wav(wav, heard)
    tell(
        CallerResult(
            status=final.status if final else None,
            reason=final.reason if final else "no final response",
            heard=audio.tone_heard(heard, (AGENT_TONE, RINGING_TONE)),
            heard_seconds=len(heard) / audio.RATE,
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Place one call and say how it ended.")
    parser.add_argument("--to", required=True, help="the SIP URI to call")
    parser.add_argument("--wav", required=True, type=Path, help="where to write what is heard")
    parser.add_argument("--talk", type=float, default=2.5, help="seconds to stay on an answered call")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.to, arguments.wav, arguments.talk))
