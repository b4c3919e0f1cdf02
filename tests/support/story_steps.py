"""What may happen in a random story: each step chooses by its own source whom it is about and what is said."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from b2bua.call_order import CallOrder
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog.refer import refer_to
from sip_stack.extensions import NO_EXTENSIONS
from tests.support.attended_transfer import replaces
from tests.support.b2bua_world import B2BUA, BILLING, DESK
from tests.support.handoff_cast import ASSISTANT
from tests.support.random_plan import CHANGES, EXTENSIONS
from tests.support.story_plan import CALLERS, HUMANS, INVITED, PLACES
from tests.support.story_troubles import (
    application_fails,
    drain,
    engine_is_lost,
    falls_silent,
    kill,
    ports_run_out,
    reload,
    store_fails,
    vanishes,
)
from tests.support.told_application import URLS

if TYPE_CHECKING:
    from b2bua.call.call import Call
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
    offers = source.random() > 0.05
    # Our stack as a phone has no answer for an offer in a reliable response.
    extensions = source.choice(EXTENSIONS) if offers else NO_EXTENSIONS
    party = phone.join(phone.call(dialled, body=None if offers else b"", extensions=extensions))
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
        party = stage.somebody(source, hosts)
        if party is not None:
            target = source.choice(TARGETS)
            stage.note(f"{party.phone.host} refers to {target}")
            party.do(lambda now: party.session.request(now, "REFER", headers=[("Refer-To", target)]))

    return act


def changes(*hosts: str) -> Act:
    """Somebody there holds, resumes, offers other codecs, or asks for nothing in particular."""

    async def act(stage: Stage, source: random.Random) -> None:
        party, what = stage.somebody(source, hosts), source.choice(CHANGES)
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


async def api_records(stage: Stage, source: random.Random) -> None:
    """A recording begins, pauses, goes on or ends."""
    live, verb = _live(stage, source), source.choice(("start", "start", "pause", "resume", "stop"))
    if live is not None:
        stage.note(f"{verb} recording of {live.id}")
        await stage.ask(stage.operations.record(live.id, verb))  # type: ignore[arg-type]


def transfers(*hosts: str) -> Act:
    """Somebody there who has two calls joins those they talk to (RFC 5589 section 7)."""

    async def act(stage: Stage, source: random.Random) -> None:
        party, other = stage.somebody(source, hosts), stage.somebody(source, hosts)
        if party is not None and other is not None:
            stage.note(f"{party.phone.host} transfers {party.session.call_id} to {other.session.call_id}")
            value = refer_to(f"sip:b2bua@{B2BUA}", [("Replaces", replaces(other.session))])
            party.do(lambda now: party.session.request(now, "REFER", headers=[("Refer-To", value)]))

    return act


async def place_is_taken(stage: Stage, source: random.Random) -> None:
    """Somebody calls in the place of somebody else, who talks or is being called (RFC 3891)."""
    host = source.choice((*CALLERS, *CALLERS, DESK, ASSISTANT))
    ours = [
        party for each in (CALLERS if host in CALLERS else (host,)) for party in stage.phones[each].parties
    ]
    ours = [party for party in ours if party.session.remote_tag and not party.over.is_set()]
    if ours:
        old, phone = source.choice(ours), stage.phones[host]
        stage.note(f"{host} takes the place of {old.phone.host} in {old.session.call_id}")
        headers = (("Replaces", replaces(old.session)), ("Require", "replaces"))
        phone.join(phone.call("anybody", headers=headers))


async def keys_are_heard(stage: Stage, source: random.Random) -> None:
    """Tones in the audio of somebody who has no telephone-event."""
    legs = [leg for each in stage.world.media.calls for leg in each.legs if not leg.closed]
    if legs:
        source.choice(legs).sound_keys(source.choice(("*", "1", "12#")))


async def somebody_looks(stage: Stage, source: random.Random) -> None:
    """A page of the API is shown in the middle of everything."""
    live = _live(stage, source)
    await stage.ask(stage.operations.calls(limit=10))
    if live is not None:
        await stage.ask(stage.operations.call(live.id))
        await stage.ask(stage.operations.trace(live.id))
    if stage.told.handoffs:
        await stage.ask(stage.operations.handoff(source.choice(list(stage.told.handoffs))))


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
    "api records": api_records,
    "caller transfers": transfers(*CALLERS),
    "human transfers": transfers(*HUMANS),
    "place is taken": place_is_taken,
    "keys are heard": keys_are_heard,
    "falls silent": falls_silent,
    "vanishes": vanishes,
    "engine is lost": engine_is_lost,
    "ports run out": ports_run_out,
    "reload": reload,
    "somebody looks": somebody_looks,
    "drain": drain,
    "kill": kill,
    "store fails": store_fails,
    "application fails": application_fails,
}


def _live(stage: Stage, source: random.Random) -> Call | None:
    calls = [each for each in stage.world.registry.calls.values() if not each.over]
    return source.choice(calls) if calls else None
