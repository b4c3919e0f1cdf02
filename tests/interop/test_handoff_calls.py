"""Handoffs between PJSUA2 phones: one calls, one is the assistant (sends REFERs, hears NOTIFYs), one is the human.

Each phone says its own tone, so that what another recorded tells who was heard, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.audio import Samples, dominant_frequency, share_of, sound, sounding
from tests.support.b2bua_process import B2bua
from tests.support.digest_gate import DigestGate
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

PASSWORD = "s3cret-of-billing"
CALLER, ASSISTANT, HUMAN = 300.0, 440.0, 880.0
TALK = 1.0
"""Seconds that somebody must have been heard."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Alice talks to the bot; the human is behind a contact centre's digest check."""

    b2bua: B2bua
    api: Api
    alice: PjsuaPhone
    bot: PjsuaPhone
    human: PjsuaPhone
    gate: DigestGate

    def more(self, *phones: PjsuaPhone, seconds: float = TALK) -> None:
        """Let these phones record so much more."""
        goal = {phone.name: phone.heard_so_far() + seconds for phone in phones}
        wait_until(
            lambda: all(phone.heard_so_far() > goal[phone.name] for phone in phones),
            15.0,
            "enough is recorded",
        )

    def connect(self) -> None:
        """Alice calls, the bot answers, and they talk."""
        self.alice.tell("call", uri=self.b2bua.uri(SUPPORT))
        self.bot.wait_for("incoming")
        self.bot.tell("answer", status=200)
        self.alice.wait_for_state("CONFIRMED")
        self.more(self.alice, self.bot)

    def human_answers(self) -> None:
        """The human takes the call."""
        self.human.wait_for("incoming")
        self.human.tell("answer", status=180)
        self.human.tell("answer", status=200)
        self.human.wait_for_state("CONFIRMED")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Cast]]:
    """Sets the stage; `password` is what the B2BUA knows, `billing` further keys of the destination."""
    with ExitStack() as stack:

        def start(password: str = PASSWORD, **billing: object) -> Cast:
            human = stack.enter_context(PjsuaPhone(tmp_path, "human", HUMAN))
            bot = stack.enter_context(PjsuaPhone(tmp_path, "bot", ASSISTANT))
            address = (LOOPBACK, human.settings.port)
            gate = stack.enter_context(DigestGate(address, "acme", PASSWORD))
            destinations: dict[str, dict[str, object]] = {
                "billing": {
                    "route": f"sip:human@{gate.address}",
                    "auth": {"username": "acme", "password": password},
                    **billing,
                },
                "by-refer": {"method": "refer", "route": human.uri},
            }
            b2bua, api = stack.enter_context(staged(tmp_path, bot.uri, destinations))
            alice = stack.enter_context(PjsuaPhone(tmp_path, "alice", CALLER))
            cast = Cast(b2bua, api, alice, bot, human, gate)
            cast.connect()
            return cast

        yield start


def tones(heard: Samples, *frequencies: float) -> None:
    """Fails unless `heard` begins with the first and ends with the last of these tones, whole seconds of each."""
    talk = sound(heard)
    part = round(0.8 * TALK * 8000)
    for piece, frequency in ((talk[:part], frequencies[0]), (talk[-part:], frequencies[-1])):
        assert dominant_frequency(piece) == pytest.approx(frequency, abs=3)
        assert share_of(piece, frequency) > 0.9, "and nobody else"


def told(bot: PjsuaPhone) -> list[int]:
    """The statuses of the NOTIFYs that came to the assistant."""
    return [int(str(event["status"])) for event in bot.events("notify")]


def test_over_http_with_digest(stage: Callable[..., Cast]) -> None:
    cast = stage()
    handoff = cast.api.hand_off(cast.api.the_call(), destination="billing", reason="refund")
    cast.human_answers()
    assert cast.api.reaches(handoff, "connected")["attempts"][0]["challenged"] is not None
    assert cast.bot.wait_for_state("DISCONNECTED")
    cast.more(cast.alice, cast.human)
    cast.alice.tell("hangup")
    cast.human.wait_for_state("DISCONNECTED")
    record = cast.b2bua.record()
    heard = {phone: phone.quit() for phone in (cast.alice, cast.bot, cast.human)}
    tones(heard[cast.alice], ASSISTANT, HUMAN)
    tones(heard[cast.bot], CALLER)
    tones(heard[cast.human], CALLER)
    pause = longest_pause(heard[cast.alice])
    assert pause <= 0.3, "a guard: five times what is promised"
    assert (cast.gate.challenged, cast.gate.passed) == (1, 1)
    (written,) = record["handoffs"]
    assert (written["method"], written["reason"], written["outcome"]["code"]) == ("invite", "refund", 4000)
    assert record["outcome"]["source"] == "caller"
    for role in ("caller", "assistant", "agent"):
        assert record["media"][role]["packets_in"] >= TALK * 40


def longest_pause(heard: Samples) -> float:
    """The longest silence between the first and the last sound, in seconds."""
    loud = sounding(sound(heard))
    longest = run = 0
    for each in loud:
        run = 0 if each else run + 1
        longest = max(longest, run)
    return longest * 0.02


def test_the_assistant_asks_by_refer_and_is_told(stage: Callable[..., Cast]) -> None:
    cast = stage()
    cast.bot.tell("refer", uri=f"sip:billing@{cast.b2bua.host_port}?X-Reason=refund")
    cast.human_answers()
    cast.bot.wait_for("notify", final=True)
    assert told(cast.bot) == sorted(told(cast.bot))
    assert told(cast.bot)[-1] == 200
    cast.bot.wait_for_state("DISCONNECTED")
    cast.more(cast.alice, cast.human)
    cast.human.tell("hangup")
    cast.alice.wait_for_state("DISCONNECTED")
    record = cast.b2bua.record()
    tones(cast.alice.quit(), ASSISTANT, HUMAN)
    tones(cast.human.quit(), CALLER)
    assert record["outcome"]["source"] == "agent"
    assert record["handoffs"][0]["outcome"]["code"] == 4000


@pytest.mark.parametrize(
    ("password", "code", "status"),
    [("wr0ng-password", 4240, 502), (PASSWORD, 3010, 486)],
    ids=["wrong password", "busy"],
)
def test_a_failure_brings_the_caller_back_and_the_assistant_learns_why(
    stage: Callable[..., Cast], password: str, code: int, status: int
) -> None:
    cast = stage(password)
    cast.bot.tell("refer", uri=f"sip:billing@{cast.b2bua.host_port}")
    if code == 3010:
        cast.human.wait_for("incoming")
        cast.human.tell("answer", status=486)
    cast.bot.wait_for("notify", final=True)
    assert told(cast.bot)[-1] == status, "of a challenge, what a caller would get"
    cast.more(cast.alice, cast.bot)
    cast.alice.tell("hangup")
    cast.bot.wait_for_state("DISCONNECTED")
    record = cast.b2bua.record()
    heard = cast.alice.quit()
    tones(heard, ASSISTANT)
    assert share_of(sound(heard), ASSISTANT) > 0.95, "440 Hz throughout"
    assert longest_pause(heard) <= 0.3, "a guard: the machine may be busy"
    assert record["handoffs"][0]["outcome"]["code"] == code
    assert record["outcome"] == {**record["outcome"], "code": 4000, "source": "caller"}


def test_a_refer_is_taken_by_the_phone_of_the_caller(stage: Callable[..., Cast]) -> None:
    cast = stage()
    handoff = cast.api.hand_off(cast.api.the_call(), destination="by-refer")
    assert cast.alice.wait_for("refer")["uri"]
    cast.human_answers()
    done = cast.api.reaches(handoff, "completed")
    assert done["confirmed"] == "notify"
    assert done["outcome"]["code"] == 4000
    cast.bot.wait_for_state("DISCONNECTED")
    record = cast.b2bua.record()
    cast.more(cast.alice, cast.human)
    cast.alice.tell("hangup")
    cast.human.wait_for_state("DISCONNECTED")
    tones(cast.alice.quit(), ASSISTANT, HUMAN)
    tones(cast.human.quit(), CALLER)
    assert record["handoffs"][0]["confirmed"] == "notify"


@pytest.mark.parametrize("status", [405, 603])
def test_a_phone_that_refuses_the_refer(stage: Callable[..., Cast], status: int) -> None:
    cast = stage()
    cast.alice.tell("on_refer", status=status)
    handoff = cast.api.hand_off(cast.api.the_call(), destination="by-refer")
    outcome = cast.api.reaches(handoff, "failed")["outcome"]
    assert (outcome["code"], outcome["sip_status"]) == (11040, status)
    cast.more(cast.alice)
    cast.alice.tell("hangup")
    cast.bot.wait_for_state("DISCONNECTED")
    tones(cast.alice.quit(), ASSISTANT)
