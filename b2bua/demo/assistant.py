"""An assistant that cannot help: answers every call, plays a tone, and asks for a human by REFER where it should.

    python -m b2bua.demo.assistant

It stands for an AI voice agent with a SIP interface: it refers the caller to
`sip:DESTINATION@<the B2BUA>` and listens to the NOTIFYs until one says that no more will come (RFC 3515).
"""

from __future__ import annotations

import asyncio

from b2bua.demo import audio
from b2bua.demo.audio_stream import AudioStream
from b2bua.demo.journal import Referred, Talks, note, tell
from b2bua.demo.phone import CALL_ID, HOST, REASON, audio_address, call_of, describe, heard, listen, serve
from b2bua.demo.story import ASKS_AFTER, ASSISTANT_TONE, HANDOFFS, Transfer
from sip_stack import events as sip
from sip_stack.aio.stack import SipStack
from sip_stack.dialog import ServerSession
from sip_stack.dialog.refer import is_terminated, read_sipfrag, refer_to
from sip_stack.message import Request, SipUri, parse_uri, reason_phrase
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ServerTransaction

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "NOTIFY")
_TRANSFERS = {scenario.user: scenario.transfer for scenario in HANDOFFS}


class Conversation:
    """One caller, from the answer to the BYE."""

    def __init__(self, stack: SipStack, session: ServerSession, invite: Request) -> None:
        self.call = call_of(invite)
        self.audio = AudioStream(HOST)
        listen(self.audio, self.say)
        self._stack = stack
        self._session = session
        self._invite = invite
        self._accepted: int | None = None
        self._notified: list[int] = []
        self._terminated: list[bool] = []
        self._asks: asyncio.TimerHandle | None = None

    def answer(self) -> None:
        """Answer at once; ask for a human after a while, if this assistant is one that asks."""
        self.audio.play(audio.tone(ASSISTANT_TONE))
        caller = audio_address(self._invite)
        if caller is not None:
            self.audio.send_to(caller)
        self.say(f"200 OK, plays {ASSISTANT_TONE} Hz")
        self._session.answer(self._stack.now(), body=describe(self.audio))
        tell(Talks(self.call, self._invite.headers.get(CALL_ID) or ""))
        transfer = _TRANSFERS.get(self.call)
        if transfer is not None and transfer.asked_by == "assistant":
            self._asks = asyncio.get_running_loop().call_later(ASKS_AFTER, self._refer, transfer)

    def referred(self, status: int | None) -> None:
        """The answer to the REFER; None for silence."""
        self._accepted = status
        self.say(f"REFER is answered {status or 'by nobody'}")

    def notify(self, transaction: ServerTransaction, request: Request) -> None:
        """Listen to how the handoff goes."""
        self._session.respond(self._stack.now(), transaction, 200)
        status, last = read_sipfrag(request.body) or 0, is_terminated(request)
        self._notified.append(status)
        self._terminated.append(last)
        self.say(f"NOTIFY {status} {reason_phrase(status)}{', the last' if last else ''}")

    def leave(self) -> None:
        """The call is over for the assistant: say what was heard and what was told."""
        if self._asks is not None:
            self._asks.cancel()
        self.audio.close()
        tell(heard("assistant", self.call, self.audio))
        tell(Referred(self.call, self._accepted, self._notified, self._terminated))

    def say(self, what: str) -> None:
        """Note what the assistant does or hears."""
        note("assistant", self.call, what)

    def _refer(self, transfer: Transfer) -> None:
        contact = parse_uri(self._session.remote_contact or "")
        assert isinstance(contact, SipUri), "the B2BUA has a SIP address"
        target = f"sip:{transfer.destination}@{contact.host}"
        self.say(f"REFER to {target}")
        headers = [("Refer-To", refer_to(target, [(REASON, transfer.reason)]))]
        self._session.request(self._stack.now(), "REFER", headers)
        self._stack.flush()


class Assistant:
    """Takes all calls."""

    def __init__(self, stack: SipStack) -> None:
        self._stack = stack
        self._conversations: dict[object, Conversation] = {}

    def on_event(self, event: sip.Event) -> None:
        """Hear what the stack has to say."""
        match event:
            case sip.InviteReceived(session, request):
                conversation = self._conversations[session] = Conversation(self._stack, session, request)
                conversation.answer()
            case sip.RequestCompleted(session, "REFER", response):
                self._conversations[session].referred(response.status if response else None)
            case sip.RequestReceived(session, transaction, request) if request.method == "NOTIFY":
                self._conversations[session].notify(transaction, request)
            case sip.Ended(session, by) if session in self._conversations:
                conversation = self._conversations.pop(session)
                conversation.say("gets BYE" if by == "remote" else f"over: {by}")
                conversation.leave()

    def close(self) -> None:
        """Let go of all calls."""
        while self._conversations:
            self._conversations.popitem()[1].leave()


async def main() -> None:
    """Take calls until SIGTERM."""
    stack = SipStack(EndpointSettings(user_agent="b2bua-demo-assistant", allow=METHODS))
    assistant = Assistant(stack)
    await serve(stack, assistant.on_event, assistant.close)


if __name__ == "__main__":
    asyncio.run(main())
