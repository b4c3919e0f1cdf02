"""Random stories: callers, assistants, humans, applications and peers do what they like, at random moments, several at
once; whatever they do, every call and every handoff has one end that everybody is told, and nobody is left alone.

A seed is a story. `make test` plays the first 50; `RANDOM_STORIES=10000 .venv/bin/pytest
tests/scenarios/test_random_stories.py` plays more, `FIRST_STORY=1018 RANDOM_STORIES=1` one of them, exactly as it was,
and with `STORY_STEPS=0,4,9` only these steps of it. Which matter is found by `tests/support/story_told.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.story_plan import STEPS, StoryPlan
from tests.support.story_told import tell

STORIES = int(os.environ.get("RANDOM_STORIES", "50"))
FIRST = int(os.environ.get("FIRST_STORY", "0"))
ONLY = os.environ.get("STORY_STEPS")


@pytest.mark.parametrize("seed", [pytest.param(n, id=f"story-{n}") for n in range(FIRST, FIRST + STORIES)])
def test_whatever_happens_everybody_knows_how_it_ended(tmp_path: Path, seed: int) -> None:
    plan = StoryPlan.draw(seed)
    tell(tmp_path, plan if ONLY is None else plan.with_only({int(each) for each in ONLY.split(",")}))


def test_a_hundred_stories_try_everything() -> None:
    plans = [StoryPlan.draw(seed) for seed in range(100)]
    assert {step.what for plan in plans for step in plan.steps} == set(STEPS)
    assert {plan.rough for plan in plans} == {True, False}
