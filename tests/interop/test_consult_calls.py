"""The human is consulted over the API, with PJSUA2 phones as caller, assistant and human: who hears whom, by ear."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.interop.test_handoff_calls import ASSISTANT, CALLER, HUMAN, TALK, Cast
from tests.support.audio import Samples, share_of, sound, tone, write_wav
from tests.support.digest_gate import DigestGate
from tests.support.engines import Carrier, Limit
from tests.support.handoff_stage import staged
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK

MUSIC = 1500.0


def share_of_quarters(heard: Samples, frequency: float) -> list[float]:
    """How much of each quarter of a second is that tone."""
    talk = sound(heard)
    return [share_of(talk[at : at + 2000], frequency) for at in range(0, talk.size - 2000, 2000)]


def hears_alone(heard: Samples, frequency: float) -> bool:
    """Whether at least half a second was that tone and nothing else."""
    alone = [share > 0.9 for share in share_of_quarters(heard, frequency)]
    return any(one and other for one, other in pairwise(alone))


def hears_together(heard: Samples, *frequencies: float) -> bool:
    """Whether at least half a second was these tones, each a good part of it and nothing beside them. In a quarter of a
    second one may also follow the other."""
    together = [
        min(shares) > 0.3 and sum(shares) > 0.9
        for shares in zip(*(share_of_quarters(heard, each) for each in frequencies), strict=True)
    ]
    return any(one and other for one, other in pairwise(together))


def never_hears(heard: Samples, frequency: float) -> bool:
    return max(share_of_quarters(heard, frequency)) < 0.2


@pytest.mark.parametrize(
    ("engine", "decision"),
    [("native", "accept"), ("native", "decline"), ("rtpengine", "accept")],
    indirect=["engine"],
)
def test_briefed_introduced_and_then_accepted_or_declined(
    engine: Carrier, tmp_path: Path, decision: str
) -> None:
    """Where voices cannot be added up, the briefing goes on instead of an introduction."""
    write_wav(tmp_path / "hold.wav", tone(MUSIC, 2.0))
    with ExitStack() as stack:
        human = stack.enter_context(PjsuaPhone(tmp_path, "human", HUMAN))
        bot = stack.enter_context(PjsuaPhone(tmp_path, "bot", ASSISTANT))
        gate = stack.enter_context(DigestGate((LOOPBACK, human.settings.port), "acme", "unused"))
        desk = {"desk": {"route": human.uri, "hold_music": str(tmp_path / "hold.wav")}}
        b2bua, api = stack.enter_context(staged(tmp_path, bot.uri, desk, media=engine.media))
        alice = stack.enter_context(PjsuaPhone(tmp_path, "alice", CALLER))
        cast = Cast(b2bua, api, alice, bot, human, gate)
        cast.connect()
        handoff = api.hand_off(api.the_call(), destination="desk", consult=True, brief="on_answer")
        cast.human_answers()
        cast.more(alice, bot, human)
        step(cast, handoff, "introduce")
        cast.more(alice, bot, human, seconds=1.5 * TALK)
        step(cast, handoff, decision)
        left, let_go = (human, bot) if decision == "accept" else (bot, human)
        let_go.wait_for_state("DISCONNECTED")
        cast.more(alice, left)
        final = api.handoff(handoff["id"])
        alice.tell("hangup")
        left.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        heard = {phone: phone.quit() for phone in (alice, bot, human)}

    assert final["state"] == {"accept": "connected", "decline": "failed"}[decision]
    assert record["handoffs"][0]["outcome"]["code"] == {"accept": 4000, "decline": 9110}[decision]
    assert hears_alone(heard[alice], MUSIC), "while the human was briefed"
    introduced = engine.can(Limit.MIX)
    assert hears_together(heard[alice], ASSISTANT, HUMAN) is introduced
    assert hears_together(heard[bot], CALLER, HUMAN) is introduced
    assert hears_together(heard[human], CALLER, ASSISTANT) is introduced
    assert ("consult_not_introduced" in b2bua.errors) is not introduced
    assert hears_alone(heard[bot], HUMAN), "the briefing"
    assert hears_alone(heard[human], ASSISTANT)
    assert hears_alone(heard[alice], HUMAN if decision == "accept" else ASSISTANT)
    for phone, own in ((alice, CALLER), (bot, ASSISTANT), (human, HUMAN)):
        assert never_hears(heard[phone], own), "nobody hears themself"
    assert never_hears(heard[human], MUSIC)


def step(cast: Cast, handoff: dict[str, object], verb: str) -> None:
    """Say what comes next."""
    cast.api.ask("POST", f"/v1/handoffs/{handoff['id']}/{verb}")
