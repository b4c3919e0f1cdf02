"""Limits count calls in all and per trunk."""

from __future__ import annotations

from b2bua.call.limits import Limits


def test_a_trunk_is_full_while_another_is_not() -> None:
    limits = Limits()
    limits.enter("acme")
    assert not limits.admits("acme", trunk_limit=1, total_limit=None)
    assert limits.admits("other", trunk_limit=1, total_limit=None)


def test_the_total_limit_holds_for_every_trunk() -> None:
    limits = Limits()
    limits.enter("acme")
    limits.enter("other")
    assert not limits.admits("third", trunk_limit=None, total_limit=2)


def test_an_ended_call_makes_room() -> None:
    limits = Limits()
    limits.enter("acme")
    limits.leave("acme")
    assert limits.admits("acme", trunk_limit=1, total_limit=1)
    assert limits.running == 0
