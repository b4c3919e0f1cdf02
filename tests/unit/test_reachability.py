"""What is believed of a far end after which pings."""

from __future__ import annotations

import pytest

from b2bua.reachability import Health, Reachability, State, hop_of


@pytest.mark.parametrize(
    ("pings", "state"),
    [
        ("", State.UNKNOWN),
        ("+", State.UP),
        ("-", State.UNKNOWN),
        ("--", State.DOWN),
        ("+-", State.UP),
        ("+-+-+-", State.UP),
        ("+--", State.DOWN),
        ("--+", State.DOWN),
        ("--+-+-", State.DOWN),
        ("--++", State.UP),
    ],
)
def test_two_pings_in_a_row_change_the_state_and_the_first_answer_does(pings: str, state: State) -> None:
    health = Health()
    for ping in pings:
        health.note(alive=ping == "+")
    assert health.state is state


def test_a_change_is_told_once() -> None:
    health = Health()
    assert [health.note(alive=alive) for alive in (True, True, False, False, False, True, True)] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_a_doubt_is_settled_sooner_than_the_next_ping_would_come() -> None:
    health = Health()
    health.note(alive=True)
    assert health.pause(30.0) == 30.0
    health.note(alive=False)
    assert health.pause(30.0) == 7.5
    health.note(alive=False)
    assert health.pause(30.0) == 30.0


def test_users_of_one_machine_share_what_is_known_of_it_and_other_ports_do_not() -> None:
    reachability = Reachability()
    hop = hop_of("sip:GW.example.com", tls=False)
    assert hop is not None
    health = reachability.watch(hop)
    assert reachability.state("sip:+1555@gw.example.com", tls=False) is State.UNKNOWN
    for _ in range(2):
        health.note(alive=False)
    assert reachability.is_down("sip:+1555@gw.example.com", tls=False)
    for other in ("sip:a@gw.example.com:5070", "sip:a@gw.example.com;transport=tcp", "sip:a@other.example"):
        assert reachability.state(other, tls=False) is None
    assert reachability.state("sip:a@gw.example.com", tls=True) is None
    reachability.forget(hop)
    assert reachability.state("sip:+1555@gw.example.com", tls=False) is None


def test_what_names_no_host_is_not_known() -> None:
    reachability = Reachability()
    assert hop_of("tel:+1555", tls=False) is None
    reachability.watch(hop_of("sip:h", tls=False))  # type: ignore[arg-type]
    assert not reachability.is_down("tel:+1555", tls=False)
