"""PJSUA2 phones transfer with consultation: REFER with Replaces to us, INVITE with Replaces to us, and a human's REFER.

Each phone says its own tone, so that what another recorded tells who was heard.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.interop.test_consult_calls import hears_alone
from tests.interop.test_handoff_calls import ASSISTANT, CALLER, HUMAN, Cast, told, tones
from tests.support.digest_gate import DigestGate
from tests.support.engines import Carrier
from tests.support.handoff_stage import SUPPORT, staged
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

COLLEAGUE = 1300.0
"""What carol's phone says."""


@contextmanager
def cast_of(engine: Carrier, folder: Path, host: str = LOOPBACK, port: int = 0) -> Iterator[Cast]:
    """Alice talks to the bot; there is a human, whose destination is `desk`; who dials `home` reaches Alice."""
    with ExitStack() as stack:
        human = stack.enter_context(PjsuaPhone(folder, "human", HUMAN))
        bot = stack.enter_context(PjsuaPhone(folder, "bot", ASSISTANT))
        gate = stack.enter_context(DigestGate((LOOPBACK, human.settings.port), "acme", "unused"))
        alice = stack.enter_context(PjsuaPhone(folder, "alice", CALLER))
        destinations: dict[str, dict[str, object]] = {
            "desk": {"route": human.uri, "agent_may_transfer": True},
            "home": {"route": alice.uri},
        }
        routes = [
            {"trunk": "sbc", "to": SUPPORT, "assistant": bot.uri},
            {"trunk": "sbc", "to": "home", "destination": "home"},
        ]
        b2bua, api = stack.enter_context(
            staged(
                folder,
                bot.uri,
                destinations,
                more={"routes": routes},
                listen=(f"udp:{host}:{port}",),
                media=engine.media,
            )
        )
        cast = Cast(b2bua, api, alice, bot, human, gate)
        cast.connect()
        yield cast


def consults(phone: PjsuaPhone, other: PjsuaPhone, uri: str) -> None:
    """The phone calls somebody besides, who answers."""
    phone.tell("call_besides", uri=uri)
    other.wait_for("incoming")
    other.tell("answer", status=200)
    other.wait_for_state("CONFIRMED")


def leaves(phone: PjsuaPhone, to: PjsuaPhone) -> None:
    """The phone leaves its first call to whom it called besides, and lets them go when it hears that it worked."""
    phone.tell("leave")
    to.wait_for("refer")
    phone.wait_for("notify", status=200)
    phone.wait_for_state("DISCONNECTED")
    phone.tell("hangup")


def test_the_caller_leaves_its_place_to_a_phone_that_later_joins_it_with_the_bot_again(
    engine: Carrier, tmp_path: Path
) -> None:
    """First the other phone gets the REFER and sends us an INVITE with Replaces (RFC 5589 section 7.1). Then it has two
    calls through us, and sends us a REFER with Replaces."""
    with cast_of(engine, tmp_path) as cast:
        alice, bot, other = cast.alice, cast.bot, cast.human
        consults(alice, other, other.uri)
        leaves(alice, other)
        cast.more(other, bot)
        calls = len(alice.events("incoming"))
        other.tell("call_besides", uri=cast.b2bua.uri("home"))
        wait_until(lambda: len(alice.events("incoming")) > calls, 10.0, "alice is called")
        alice.tell("answer", status=200)
        wait_until(lambda: len(cast.api.live_calls()) == 2, 10.0, "and has answered")
        other.tell("join")
        wait_until(lambda: told(other)[-1:] == [200], 10.0, "the other hears that it worked")
        cast.more(alice, bot, seconds=1.2)
        alice.tell("hangup")
        bot.wait_for_state("DISCONNECTED")
        records = cast.b2bua.records(2)
        heard = {phone: phone.quit() for phone in (alice, bot, other)}
    tones(heard[bot], CALLER, CALLER)
    assert hears_alone(heard[bot], HUMAN), "in between"
    tones(heard[alice], ASSISTANT, ASSISTANT)
    assert hears_alone(heard[other], ASSISTANT)
    assert [record["outcome"]["code"] for record in records] == [4000, 4000]
    assert all(record["bridges"] for record in records)
    first = next(record for record in records if record["called"] == SUPPORT)
    before, assistant, after = first["legs"][:3]
    assert [leg["role"] for leg in (before, assistant, after)] == ["caller", "assistant", "caller"]
    assert after["replaces"] == before["sip_call_id"]
    assert before["ended_by"] == "b2bua"
    assert assistant["replaces"] is None


def test_the_human_leaves_the_caller_to_a_colleague_who_sends_them_on(
    engine: Carrier, tmp_path: Path
) -> None:
    # Phones take our From, which has no port, for where the INVITE is to go: an address of our own with the usual one.
    host = f"127.{os.getpid() >> 16 & 0xFF}.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF or 1}"
    with PjsuaPhone(tmp_path, "carol", COLLEAGUE) as carol, cast_of(engine, tmp_path, host, 5060) as cast:
        handoff = cast.api.hand_off(cast.api.the_call(), destination="desk")
        cast.human_answers()
        cast.api.reaches(handoff, "connected")
        cast.more(cast.alice, cast.human)
        consults(cast.human, carol, carol.uri)
        leaves(cast.human, carol)
        cast.more(carol, cast.alice)
        assert cast.api.handoff(handoff["id"])["state"] == "connected", "it is the same handoff"
        # What the destination permits the human it permits whoever has their place.
        carol.tell("refer", uri=cast.b2bua.uri("desk"))
        wait_until(lambda: len(cast.human.events("incoming")) == 2, 10.0, "the human is called again")
        cast.human.tell("answer", status=200)
        carol.wait_for("notify", status=200)
        carol.wait_for_state("DISCONNECTED")
        cast.more(cast.alice, cast.human)
        cast.alice.tell("hangup")
        cast.human.wait_for_state("DISCONNECTED")
        record = cast.b2bua.record()
        heard = {phone: phone.quit() for phone in (cast.alice, cast.human, carol)}
    tones(heard[cast.alice], ASSISTANT, HUMAN)
    tones(heard[cast.human], CALLER, CALLER)
    tones(heard[carol][-9600:], CALLER)
    assert [leg["role"] for leg in record["legs"]] == ["caller", "assistant", "agent", "agent", "agent"]
    assert record["legs"][3]["replaces"] == record["legs"][2]["sip_call_id"]
    assert [each["outcome"]["code"] for each in record["handoffs"]] == [4000, 4000]
