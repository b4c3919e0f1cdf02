"""The demonstration judges what it played: every wrong end is named, and only those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from b2bua.demo.journal import CallerResult, Entry, Heard, Referred
from b2bua.demo.receiver import Callback
from b2bua.demo.report import in_order
from b2bua.demo.story import AGENT_TONE, ASKED_BY_REFER, ASKED_OVER_HTTP, ASSISTANT_TONE, CALLER_TONE
from b2bua.demo.verdict import JsonObject, PlayedCall


def heard(who: str, *tones: int, pause: float = 0.05, streams: int = 1) -> Heard:
    return Heard(who, ASKED_BY_REFER.user, list(tones), pause, 4.5, streams)


def outcome(name: str, code: int) -> JsonObject:
    return {"name": name, "code": code}


def record(**changes: object) -> JsonObject:
    handoff = {"outcome": outcome("normal_hangup", 4000), "method": "invite", "confirmed": None}
    return {
        "outcome": outcome("normal_hangup", 4000),
        "handoffs": [handoff | changes],
        "legs": [{"role": "caller", "ended_by": "caller"}, {"role": "assistant", "ended_by": "b2bua"}],
    }


def played(**changes: object) -> PlayedCall:
    """A call whose assistant asked by REFER, with a human at the end."""
    people = [
        heard("caller", ASSISTANT_TONE, AGENT_TONE),
        heard("assistant", CALLER_TONE),
        heard("agent", CALLER_TONE),
    ]
    call = PlayedCall(
        ASKED_BY_REFER,
        Path("caller.wav"),
        result=CallerResult(200, "OK"),
        heard={each.who: each for each in people},
        referred=Referred(ASKED_BY_REFER.user, 202, [100, 180, 200], [False, False, True]),
        record=record(),
    )
    return replace(call, **changes)  # type: ignore[arg-type]


def asked_over_http(**changes: object) -> PlayedCall:
    """A call whose application asked, was called back, and gave a context."""
    assert ASKED_OVER_HTTP.transfer is not None
    callbacks = [Callback(1.0, "/live", {"Event": event}) for event in ASKED_OVER_HTTP.transfer.callbacks]
    told: dict[str, object] = {
        "scenario": replace(ASKED_OVER_HTTP, hears=ASKED_BY_REFER.hears),
        "followed": {"outcome": outcome("", 4000)},
        "context": {"data": ASKED_OVER_HTTP.transfer.data},
        "callbacks": callbacks,
    }
    return played(**told | changes)


def test_a_call_that_ended_as_it_should_has_no_problems() -> None:
    assert played().problems() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"result": None}, "no result"),
        ({"result": CallerResult(486, "Busy Here")}, "the caller got 486 Busy Here, not 200"),
        ({"record": None}, "no record"),
        ({"record": {"outcome": outcome("busy", 3010)}}, "recorded as busy 3010"),
        ({"record": record(outcome=outcome("busy", 3010))}, "the handoff is recorded as busy 3010"),
        ({"record": record(confirmed="notify")}, "by invite, confirmed: notify"),
        ({"record": record(method="refer")}, "by refer, confirmed: None"),
        ({"record": record() | {"legs": []}}, "the assistant was let go by None, not b2bua"),
        ({"referred": None}, "the assistant was told nothing"),
        ({"referred": Referred("", 603, [100, 200], [False, True])}, "answered 603, not 202"),
        ({"referred": Referred("", 202, [100, 486], [False, True])}, "[100, 486], not 100 to 200"),
        ({"referred": Referred("", 202, [200], [True])}, "[200], not 100 to 200"),
        ({"referred": Referred("", 202, [100, 200], [True, True])}, "the last NOTIFY"),
        ({"referred": Referred("", 202, [100, 200], [False, False])}, "the last NOTIFY"),
    ],
)
def test_every_wrong_end_is_named(changes: dict[str, object], said: str) -> None:
    assert said in "; ".join(played(**changes).problems())


@pytest.mark.parametrize(
    ("ears", "said"),
    [
        (heard("caller", ASSISTANT_TONE), "the caller heard 440 Hz, not 440 Hz, then 880 Hz"),
        (heard("caller", ASSISTANT_TONE, AGENT_TONE, ASSISTANT_TONE), "then 440 Hz, not 440 Hz, then 880 Hz"),
        (heard("caller", ASSISTANT_TONE, AGENT_TONE, pause=0.5), "no clear tone for 0.50 s"),
        (heard("caller", ASSISTANT_TONE, AGENT_TONE, streams=2), "2 RTP streams"),
        (heard("agent"), "the agent heard nothing, not 1000 Hz"),
        (heard("assistant", CALLER_TONE, AGENT_TONE), "the assistant heard 1000 Hz, then 880 Hz"),
    ],
)
def test_every_wrong_sound_is_named(ears: Heard, said: str) -> None:
    call = played()
    call.heard[ears.who] = ears
    assert said in "; ".join(call.problems())


def test_somebody_who_told_nothing_heard_nothing() -> None:
    assert "the agent heard nothing, not 1000 Hz" in played(heard={}).problems()


@pytest.mark.parametrize("code", [4000, 4240, None])
def test_the_application_must_have_been_told_the_same(code: int | None) -> None:
    followed = None if code is None else {"outcome": outcome("", code)}
    call = asked_over_http(followed=followed)
    assert call.problems() == ([] if code == 4000 else [f"the application was told {code}"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"callbacks": []}, "the application was called back with []"),
        ({"callbacks": [Callback(1.0, "/done", {"Event": "DialAction"})]}, "with ['DialAction']"),
        ({"context": None}, "the human's screen did not show the context"),
        ({"context": {"data": {}}}, "the human's screen did not show the context"),
    ],
)
def test_what_the_application_did_not_get_is_named(changes: dict[str, object], said: str) -> None:
    assert said in "; ".join(asked_over_http(**changes).problems())


def test_a_request_comes_before_what_it_causes_even_when_it_was_logged_later() -> None:
    first = Entry(10.000, "caller", "good", "INVITE sip:good@…")
    challenge = Entry(10.001, "contact centre", "good", "asks for a password: 407")
    invite = Entry(10.002, "b2bua", "good", "INVITE sip:good@…", "contact centre")
    referred = Entry(11.001, "caller", "good", "is referred to operator: 202")
    refer = Entry(11.002, "b2bua", "good", "REFER to sip:operator@…", "caller")
    shown = in_order([challenge, invite, first, refer, referred])
    assert [entry.what for entry in shown] == [
        each.what for each in (first, invite, challenge, refer, referred)
    ]
