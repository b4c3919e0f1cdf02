"""What befalls the process of a random story and what it stands on: far ends that vanish, an engine, a store or an
application that fails, and its own end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.support.handoff_cast import ASSISTANT
from tests.support.story_plan import CALLERS, HUMANS

if TYPE_CHECKING:
    from tests.support.story_stage import Stage

TRIES = 6.0
"""Seconds for which an application may be gone: five more tries take nearly eight at least (docs/webhooks.md)."""
RECOVERED = 30.0
"""Seconds after which it may be gone again: nobody is in the middle of their tries any more."""


async def falls_silent(stage: Stage, source: random.Random) -> None:
    """No audio comes from somebody any more."""
    legs = [leg for each in stage.world.media.calls for leg in each.legs if leg.timeout and not leg.closed]
    if legs:
        leg = source.choice(legs)
        stage.note(f"{leg} falls silent")
        leg.fall_silent()


async def vanishes(stage: Stage, source: random.Random) -> None:
    """Nothing arrives in a dialog any more, in either direction."""
    party = stage.somebody(source, (*CALLERS, ASSISTANT, *HUMANS))
    if party is not None:
        stage.note(f"{party.phone.host} vanishes from {party.session.call_id}")
        stage.wire.dead.add(party.session.call_id)
        await stage.wait(source.uniform(5, 30))
        # Both phones that a proxy has forked an INVITE to, if that is who it was.
        for each in [one for phone in stage.phones.values() for one in phone.parties]:
            if each.session.call_id == party.session.call_id:
                each.hang_up()


async def engine_is_lost(stage: Stage, source: random.Random) -> None:
    """The media engine loses a call."""
    live = [each for each in stage.world.media.calls if not each.closed]
    if live and not stage.kills.down:
        stage.note("the engine loses a call")
        source.choice(live).lose()


async def ports_run_out(stage: Stage, source: random.Random) -> None:
    """Nobody gets a port for a while."""
    stage.note("ports run out")
    free = stage.world.media.take_all()
    await stage.wait(source.uniform(0, 3))
    for address in free:
        stage.world.media.give_back(address)


async def reload(stage: Stage, source: random.Random) -> None:
    """Another configuration comes into force: the same, read again, without the webhooks' receiver or the policy."""
    stage.note("reload")
    stage.world.registry.configuration = source.choice(stage.configurations)


async def drain(stage: Stage, source: random.Random) -> None:
    """The process is to end."""
    stage.note("drain")
    await stage.kills.ask(stage.world.registry.drain(source.uniform(0, 60)))


async def kill(stage: Stage, source: random.Random) -> None:
    """The process is killed, and another one starts soon or after a while.

    Not while the store fails, noticed or not: what waits for it dies with a process (docs/restart.md), and nothing
    could be said of what has changed meanwhile.
    """
    keeping = stage.watched.keeping
    works = keeping.backend.failing is None and keeping.store.status.available
    if works and not stage.kills.under_way:
        stage.note(f"kill; the audio {'goes on' if stage.world.media.outlives else 'stops'}")
        await stage.kills.kill(source.choice([0.0, source.uniform(0, 2), source.uniform(0, 10)]))
        stage.note("the next process is there")


async def store_fails(stage: Stage, source: random.Random) -> None:
    """What is kept is not written for a while, and nobody can look at it."""
    backend = stage.watched.keeping.backend
    if backend.failing is None and not stage.kills.under_way:
        stage.note("the store fails")
        backend.failing = "gone"
        await stage.wait(source.choice([source.uniform(0, 3), source.uniform(0, 30)]))
        backend.failing = None
        stage.note("the store works")


async def application_fails(stage: Stage, source: random.Random) -> None:
    """Nobody takes webhooks for a while; not for longer than they are tried."""
    application, now = stage.application, stage.world.stack.now()
    if not application.dead and now > application.back + RECOVERED:
        stage.note("the application is gone")
        application.dead = True
        await stage.wait(source.uniform(0, TRIES))
        application.dead, application.back = False, stage.world.stack.now()
        stage.note("the application is back")
