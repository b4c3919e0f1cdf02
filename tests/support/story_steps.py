"""What may happen in a random story: each step chooses by its own source whom it is about and what is said."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from b2bua.call_order import CallOrder
from b2bua.handoff.handoff import HandoffRequest
from tests.support.b2bua_world import B2BUA, BILLING, DESK
from tests.support.handoff_cast import ASSISTANT
from tests.support.random_plan import CHANGES
from tests.support.story_plan import CALLERS, HUMANS, INVITED, PLACES
from tests.support.told_application import URLS

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from tests.support.story_phones import StoryParty
    from tests.support.story_stage import Stage

Act = Callable[["Stage", random.Random], Awaitable[None]]
TARGETS = (
    *[f"<sip:{name}@{B2BUA}>" for name in ("front-desk", "billing", "pair", "by-refer", "back", "missing")],
    *[f"<sip:queue@{DESK}>", f"<sip:queue@{BILLING}>", "<sip:thief@203.0.113.1>"],
)
VERBS = ("brief", "introduce", "accept", "accept", "decline")
DIALLED = ("support", "support", "support", "kept", "kept", "desk")


async def call(stage: Stage, source: random.Random) -> None:
    """Somebody calls, and perhaps gives up before anybody answers."""
    phone = stage.phones[source.choice(CALLERS)]
    dialled = source.choice(DIALLED)
    party = phone.join(phone.call(dialled))
    stage.note(f"{phone.host} calls {dialled}")
    if source.random() < 0.1:
        await stage.wait(source.uniform(0, 3))
        party.hang_up()


async def hand_off(stage: Stage, source: random.Random) -> None:
    """The application asks for a handoff."""
    live = _live(stage, source)
    if live is None:
        return
    request: dict[str, object] = {"destination": source.choice(PLACES), **URLS}
    for option, values in OPTIONS.items():
        if source.random() < 0.2:
            request[option] = source.choice(values)
    stage.note(f"hand off {live.id} {request}")
    asked = await stage.ask(stage.operations.hand_off(live.id, HandoffRequest(**request)))  # type: ignore[arg-type]
    if asked is not None:
        stage.asked.append(str(asked["id"]))


OPTIONS: dict[str, tuple[object, ...]] = {
    "consult": (True,),
    "brief": ("on_answer", "on_request"),
    "consult_timeout": (3.0, 8.0),
    "hold_music": ("ringback", "silence", "early_media"),
    "release_assistant": ("on_answer", "on_start", "before_dial"),
    "wait_for_silence": (0.0, 1.0, 3.0),
    "utterance": ("I put you through.",),
    "accept_key": ("1",),
    "post_dial_digits": ("12W3",),
    "ring_timeout": (1.0, 3.0),
    "idempotency_key": ("one", "other"),
}


async def stop_the_handoff(stage: Stage, source: random.Random) -> None:
    """The application changes its mind."""
    if stage.told.handoffs:
        which = source.choice(list(stage.told.handoffs)[-3:])
        stage.note(f"stop {which}")
        await stage.ask(stage.operations.cancel_handoff(which))


async def consult(stage: Stage, source: random.Random) -> None:
    """The application says what comes next in a consultation."""
    consulted = [
        handoff.id
        for live in stage.world.registry.calls.values()
        for handoff in live.handoffs
        if handoff.consult is not None and not handoff.state.final
    ]
    if consulted:
        verb = source.choice(VERBS)
        stage.note(f"consult {verb}")
        await stage.ask(stage.operations.consult(source.choice(consulted), verb))  # type: ignore[arg-type]


def refers(*hosts: str) -> Act:
    """Somebody there asks by REFER for a handoff."""

    async def act(stage: Stage, source: random.Random) -> None:
        party = _party(stage, source, hosts)
        if party is not None:
            target = source.choice(TARGETS)
            stage.note(f"{party.phone.host} refers to {target}")
            party.do(lambda now: party.session.request(now, "REFER", headers=[("Refer-To", target)]))

    return act


def changes(*hosts: str) -> Act:
    """Somebody there holds, resumes, offers other codecs, or asks for nothing in particular."""

    async def act(stage: Stage, source: random.Random) -> None:
        party, what = _party(stage, source, hosts), source.choice(CHANGES)
        if party is not None:
            stage.note(f"{party.phone.host} {what}")
            party.change(what)

    return act


def presses(*roles: str) -> Act:
    """A key is pressed."""

    async def act(stage: Stage, source: random.Random) -> None:
        legs = [
            leg
            for each in stage.world.media.calls
            for leg in each.legs
            if leg.role in roles and not leg.closed
        ]
        if legs:
            leg, key = source.choice(legs), source.choice("111*#5")
            stage.note(f"{leg} presses {key}")
            leg.press(key)

    return act


def leaves(*hosts: str) -> Act:
    """Somebody there hangs up, refuses, or gives up calling."""

    async def act(stage: Stage, source: random.Random) -> None:
        parties = [each for host in hosts for each in stage.phones[host].parties if not each.over.is_set()]
        if parties:
            party = source.choice(parties)
            stage.note(f"{party.phone.host} leaves")
            party.hang_up()

    return act


async def api_hangs_up(stage: Stage, source: random.Random) -> None:
    """`DELETE` of a call."""
    live = _live(stage, source)
    if live is not None:
        stage.note(f"hang up {live.id}")
        stage.deleted.add(live.id)
        await stage.ask(stage.operations.hang_up(live.id))


async def api_joins(stage: Stage, source: random.Random) -> None:
    """Two calls are to be one."""
    one, other = _live(stage, source), _live(stage, source)
    if one is not None and other is not None:
        stage.note(f"join {one.id} and {other.id}")
        await stage.ask(stage.operations.bridge(one.id, other.id))


async def api_places(stage: Stage, source: random.Random) -> None:
    """A call of our own."""
    place = source.choice(INVITED)
    stage.note(f"place a call to {place}")
    await stage.ask(
        stage.operations.place_call(CallOrder(HandoffRequest(destination=place), from_user="4711"))
    )


async def falls_silent(stage: Stage, source: random.Random) -> None:
    """No audio comes from somebody any more."""
    legs = [leg for each in stage.world.media.calls for leg in each.legs if leg.timeout and not leg.closed]
    if legs:
        leg = source.choice(legs)
        stage.note(f"{leg} falls silent")
        leg.fall_silent()


ACTS: dict[str, Act] = {
    "call": call,
    "hand off": hand_off,
    "stop the handoff": stop_the_handoff,
    "consult": consult,
    "assistant refers": refers(ASSISTANT),
    "human refers": refers(*HUMANS),
    "caller changes": changes(*CALLERS),
    "assistant changes": changes(ASSISTANT),
    "human changes": changes(*HUMANS),
    "caller presses": presses("caller"),
    "human presses": presses("agent"),
    "caller leaves": leaves(*CALLERS),
    "assistant leaves": leaves(ASSISTANT),
    "human leaves": leaves(*HUMANS),
    "api hangs up": api_hangs_up,
    "api joins": api_joins,
    "api places": api_places,
    "falls silent": falls_silent,
}


def _live(stage: Stage, source: random.Random) -> Call | None:
    calls = [each for each in stage.world.registry.calls.values() if not each.over]
    return source.choice(calls) if calls else None


def _party(stage: Stage, source: random.Random, hosts: tuple[str, ...]) -> StoryParty | None:
    parties = [party for host in hosts for party in stage.phones[host].talking()]
    return source.choice(parties) if parties else None
