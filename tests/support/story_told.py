"""One random story from beginning to end; as a command, many of them, and of each that fails the steps that matter.

`.venv/bin/python -m tests.support.story_told FIRST COUNT` plays them, leaves steps out of those that fail for as long
as they go on failing, and prints what is left: the steps, what did not hold, what was done, and the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.b2bua_world import World, play
from tests.support.forking_proxy import LEFT, PROXY, RIGHT
from tests.support.random_wire import RoughWire
from tests.support.story_plan import DESTINATIONS, MAIN, StoryPlan
from tests.support.story_stage import Stage
from tests.support.story_verdict import assert_nothing_left, judge
from tests.support.taken_over import clock_of_the_loop


def tell(folder: Path, plan: StoryPlan) -> None:
    """Play a story; fails with what was done and what did not hold."""
    kept: list[Stage] = []
    wire = RoughWire(plan.seed, good={frozenset((PROXY, LEFT)), frozenset((PROXY, RIGHT))})
    if not plan.rough:
        wire.loss = wire.duplicate = wire.reorder = 0.0

    async def story(world: World) -> None:
        before = asyncio.all_tasks()
        stage = Stage(world, wire, plan)
        kept.append(stage)
        await stage.play()
        await judge(stage)
        await world.settle()
        assert_nothing_left(stage)
        assert not [task for task in asyncio.all_tasks() - before if not task.done()], "a task is left"

    try:
        with pytest.MonkeyPatch.context() as patched:
            clock_of_the_loop(patched)
            random.seed(plan.seed)
            play(story, folder, main=MAIN, destinations=DESTINATIONS, wire=wire)
    except BaseException as error:
        said = kept[0].notes if kept else []
        raise AssertionError("\n".join([f"{type(error).__name__}: {error}", *said, wire.ladder()])) from error


def fault_of(plan: StoryPlan) -> str:
    """What does not hold of a story; empty when all does."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        try:
            tell(Path(folder), plan)
        except AssertionError as error:
            return str(error)
    return ""


def reduced(plan: StoryPlan) -> StoryPlan:
    """The story with as few steps as still fail: halves are left out first, then single steps."""
    numbers = [step.number for step in plan.steps]
    size = len(numbers) // 2
    while size:
        for start in range(0, len(numbers), size):
            fewer = numbers[:start] + numbers[start + size :]
            if fewer and fault_of(plan.with_only(set(fewer))):
                numbers = fewer
                break
        else:
            size //= 2
    return plan.with_only(set(numbers))


def main(first: int, count: int) -> None:
    """Play them and print those that fail."""
    failed = 0
    for seed in range(first, first + count):
        plan = StoryPlan.draw(seed)
        if fault_of(plan):
            failed += 1
            small = reduced(plan)
            steps = ",".join(str(step.number) for step in small.steps)
            sys.stdout.write(f"story {seed}: STORY_STEPS={steps}\n{fault_of(small)}\n\n")
            sys.stdout.flush()
    sys.stdout.write(f"{failed} of {count} stories fail\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
