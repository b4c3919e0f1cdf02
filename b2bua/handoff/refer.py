"""Handoff by REFER: the SBC is told where the caller belongs, and takes them there.

RFC 3515, RFC 7647. Success is a final sipfrag 2xx, a BYE after acceptance, or silence where the operator says so;
the outcome carries which (`confirmed`). The caller stays with the assistant until then. docs/handoff.md, "refer".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import CallOver
from b2bua.call.events import ReferAnswered, ReferNotified
from b2bua.handoff.failed import HandoffFailed
from b2bua.handoff.handoff import Confirmed, HandoffState, Referred
from b2bua.handoff.headers import custom_headers
from b2bua.handoff.invite import by_invite
from b2bua.handoff.silence import longest_wait, wait_for_silence
from sip_stack.dialog.refer import refer_to

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.handoff import Handoff

GRACE = 2.0
"""Seconds the SBC has to send its own BYE after it said that the transfer worked."""


class _Refused(Exception):
    """The SBC does not do REFER, or not this one."""

    def __init__(self, outcome: cause.Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


async def by_refer(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> None:
    """Raises `CallOver` when the SBC has the caller, `HandoffFailed` when it has not.

    A REFER that an earlier process has sent is not sent again: what became of it is awaited from now on.
    """
    if handoff.referred is None:
        await _send(call, caller, handoff, destination)
    try:
        await _follow(call, caller, handoff, destination)
    except _Refused as refused:
        if destination.refer_fallback is None:
            raise HandoffFailed(refused.outcome) from refused
        call.log.info("refer_refused", sip_status=refused.outcome.sip_status)
        handoff.method = "invite"
        await by_invite(call, caller, handoff, destination)
    finally:
        handoff.referred = None


async def _send(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> None:
    headers = custom_headers(call, caller, handoff, destination)
    await wait_for_silence(call, longest_wait(handoff.request, destination))
    handoff.move(HandoffState.DIALING, call.services.now())
    (uri,) = destination.route
    # A tel URI cannot carry headers (RFC 3966): they are not lost, but stand in the REFER.
    where = "request" if uri.lower().startswith("tel:") else destination.refer_headers
    in_uri = headers if where in ("refer_to", "both") else []
    beside = headers if where in ("request", "both") else []
    caller.referrals.send(refer_to(uri, in_uri), beside)
    handoff.referred = Referred(frozenset(caller.referrals.accepted))
    call.note_up()
    call.log.info("refer_sent", destination=destination.name, target=uri)


async def _follow(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> None:
    """Until it is known what became of the REFER; a NOTIFY may come before the response to it."""
    timers = call.configuration.timers_for(destination)
    deadline = call.services.now() + timers.refer_timeout
    referred = handoff.referred
    assert referred is not None, "it was sent"
    earlier = referred.earlier
    if referred.accepted:
        call.stop_watching()
    while True:
        try:
            event = await call.next_event(deadline)
        except TimeoutError:
            raise _silence(call, handoff, destination, referred) from None
        except CallOver as over:
            if referred.accepted and over.leg is caller:
                _complete(call, handoff, "bye")
            raise
        match event:
            case ReferAnswered(_, status, reason, number) if not referred.accepted:
                if status is None or status >= 300:
                    raise _Refused(cause.refer_refused(status, reason))
                referred.accepted = True
                caller.referrals.accepted.add(number)
                # The SBC may take the audio away before it says how it went.
                call.stop_watching()
                call.note_up()
            case ReferNotified(leg, _, _, number) if leg is not caller or number in earlier:
                pass  # the assistant's NOTIFYs say nothing about the caller, nor late ones about this REFER
            case ReferNotified(_, status, _, _) if status is not None and status >= 300:
                raise HandoffFailed(cause.from_response(status, source="caller"))
            case ReferNotified(_, status, _, _) if status is not None and status >= 200:
                await _grace(call, handoff)
            case ReferNotified(_, 180 | 183, _, _):
                handoff.move(HandoffState.RINGING, call.services.now())


async def _grace(call: Call, handoff: Handoff) -> None:
    """The transfer worked: the SBC may say goodbye itself, else we do."""
    _complete(call, handoff, "notify")
    deadline = call.services.now() + GRACE
    while True:
        try:
            await call.next_event(deadline)
        except TimeoutError:
            raise CallOver(cause.local("normal_hangup", source="b2bua")) from None


def _complete(call: Call, handoff: Handoff, confirmed: Confirmed) -> None:
    handoff.confirmed = confirmed
    handoff.finish(HandoffState.COMPLETED, cause.local("normal_hangup", source="b2bua"), call.services.now())
    call.note_up()


def _silence(
    call: Call, handoff: Handoff, destination: Destination, referred: Referred
) -> CallOver | HandoffFailed:
    """What comes of a REFER of which nothing more is heard."""
    if not referred.accepted or destination.on_refer_timeout != "assume_done":
        return HandoffFailed(cause.local("refer_timeout"))
    _complete(call, handoff, "assumed")
    return CallOver(cause.local("normal_hangup", source="b2bua"))
