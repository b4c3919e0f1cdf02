"""Every (state, input) pair of the four machines against RFC 3261 section 17 and RFC 6026, written out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.dialog.session_timer import SESSION_TIMER
from sip_stack.dialog.session_timer import State as TimerState
from sip_stack.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Input,
    State,
    Table,
    Verb,
)

# machine: state: input -> next state, then what is done. What is not written is absorbed.
EXPECTED = {
    "INVITE client": """
        Calling:
            timer A                -> Calling    : send the last message again, double the interval
            timer B                -> Terminated : report timeout
            transport error        -> Terminated : report transport error
            1xx received           -> Proceeding : stop repeating, tell the user
            2xx received           -> Accepted   : stop repeating, start timer M, tell the user
            300-699 received       -> Completed  : stop repeating, send ACK, start timer D, tell the user
        Proceeding:
            1xx received           -> Proceeding : tell the user
            2xx received           -> Accepted   : start timer M, tell the user
            300-699 received       -> Completed  : send ACK, start timer D, tell the user
            abandoned              -> Terminated :
        Accepted:
            2xx received           -> Accepted   : tell the user
            timer M                -> Terminated :
        Completed:
            300-699 received       -> Completed  : send ACK
            transport error        -> Terminated : report transport error
            timer D                -> Terminated :
    """,
    "non-INVITE client": """
        Trying:
            timer E                -> Trying     : send the last message again, double the interval up to T2
            timer F                -> Terminated : report timeout
            transport error        -> Terminated : report transport error
            1xx received           -> Proceeding : tell the user
            2xx received           -> Completed  : stop repeating, start timer K, tell the user
            300-699 received       -> Completed  : stop repeating, start timer K, tell the user
        Proceeding:
            timer E                -> Proceeding : send the last message again, wait T2
            timer F                -> Terminated : report timeout
            transport error        -> Terminated : report transport error
            1xx received           -> Proceeding : tell the user
            2xx received           -> Completed  : stop repeating, start timer K, tell the user
            300-699 received       -> Completed  : stop repeating, start timer K, tell the user
        Completed:
            timer K                -> Terminated :
    """,
    "INVITE server": """
        Proceeding:
            request repeated       -> Proceeding : send the last message again
            send 1xx               -> Proceeding : send the response
            send 2xx               -> Accepted   : send the response, start timer L
            send 300-699           -> Completed  : send the response, start timers G and H
        Accepted:
            ACK received           -> Accepted   : tell the user
            send 2xx               -> Accepted   : send the response
            timer L                -> Terminated :
        Completed:
            request repeated       -> Completed  : send the last message again
            timer G                -> Completed  : send the last message again, double the interval up to T2
            timer H                -> Terminated : report timeout
            ACK received           -> Confirmed  : stop repeating, start timer I
        Confirmed:
            timer I                -> Terminated :
    """,
    "non-INVITE server": """
        Trying:
            send 1xx               -> Proceeding : send the response
            send 2xx               -> Completed  : send the response, start timer J
            send 300-699           -> Completed  : send the response, start timer J
        Proceeding:
            request repeated       -> Proceeding : send the last message again
            send 1xx               -> Proceeding : send the response
            send 2xx               -> Completed  : send the response, start timer J
            send 300-699           -> Completed  : send the response, start timer J
        Completed:
            request repeated       -> Completed  : send the last message again
            timer J                -> Terminated :
    """,
}

TABLES: dict[str, Table] = {
    "INVITE client": INVITE_CLIENT,
    "non-INVITE client": NON_INVITE_CLIENT,
    "INVITE server": INVITE_SERVER,
    "non-INVITE server": NON_INVITE_SERVER,
}


def read(text: str) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """The written expectation as (state, input) -> (next state, verbs)."""
    rows: dict[tuple[str, str], tuple[str, list[str]]] = {}
    state = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if "->" not in line:
            state = line.rstrip(":")
            continue
        what, _, outcome = line.partition("->")
        following, _, verbs = outcome.partition(":")
        rows[state, what.strip()] = (following.strip(), [verb for verb in verbs.strip().split(", ") if verb])
    return rows


@pytest.mark.parametrize("machine", EXPECTED)
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("what", list(Input))
def test_every_pair(machine: str, state: State, what: Input) -> None:
    expected = read(EXPECTED[machine]).get((state.value, what.value))
    row = TABLES[machine].get((state, what))
    found = None if row is None else (row[0].value, [verb.value for verb in row[1]])
    assert found == expected


@pytest.mark.parametrize("machine", EXPECTED)
def test_nothing_happens_after_the_end(machine: str) -> None:
    assert not [what for state, what in TABLES[machine] if state is State.TERMINATED]


@pytest.mark.parametrize("machine", EXPECTED)
def test_each_state_but_the_end_can_be_left_without_the_peer(machine: str) -> None:
    """A silent peer never keeps a machine for ever, save where our own user has the word."""
    ours = {what for what in Input if what.name.startswith(("TIMER_", "S2XX", "S3XX", "ABANDON"))}
    table = TABLES[machine]
    for state in {state for state, _ in table}:
        reached, frontier = set(), {state}
        while frontier:
            current = frontier.pop()
            reached.add(current)
            steps = {
                following for (at, what), (following, _) in table.items() if at is current and what in ours
            }
            frontier |= steps - reached
        assert State.TERMINATED in reached, state


def test_each_verb_is_used() -> None:
    used = {verb for table in TABLES.values() for _, verbs in table.values() for verb in verbs}
    assert used == set(Verb)


def test_the_page_of_diagrams_is_current() -> None:
    """Each row is one arrow of docs/state-machines.md; scripts/generate_docs.py writes it."""
    page = Path(__file__).parents[2] / "docs" / "state-machines.md"
    arrows = [
        line for line in page.read_text(encoding="utf-8").splitlines() if " --> " in line and " : " in line
    ]
    tables = (INVITE_CLIENT, NON_INVITE_CLIENT, INVITE_SERVER, NON_INVITE_SERVER, SESSION_TIMER)
    rows: list[tuple[str, str, str, tuple[str, ...]]] = [
        (state, what, following, verbs)
        for table in tables
        for (state, what), (following, verbs) in table.items()
    ]
    expected = [
        f"    {state} --> {'[*]' if following in (State.TERMINATED, TimerState.OVER) else following} : {what}"
        + (f" / {', '.join(verbs)}" if verbs else "")
        for state, what, following, verbs in rows
    ]
    assert arrows == expected, "run scripts/generate_docs.py"
