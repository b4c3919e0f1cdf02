"""Targets that failed a moment ago are tried last, and nothing else changes."""

from __future__ import annotations

from sip_stack.avoided import AVOIDED, LONGEST, AvoidedTargets
from sip_stack.transport import Target

FIRST, SECOND, THIRD = (Target("udp", f"192.0.2.{number}", 5060) for number in (1, 2, 3))
ALL = [FIRST, SECOND, THIRD]


def test_nothing_is_avoided_at_first() -> None:
    assert AvoidedTargets().last(ALL, 0.0) == ALL


def test_a_target_that_failed_comes_last_for_a_while() -> None:
    avoided = AvoidedTargets()
    avoided.avoid(FIRST, 100.0)
    assert avoided.last(ALL, 100.0 + AVOIDED - 1) == [SECOND, THIRD, FIRST]
    assert avoided.last(ALL, 100.0 + AVOIDED) == ALL


def test_the_only_target_is_never_left_out() -> None:
    avoided = AvoidedTargets()
    avoided.avoid(FIRST, 0.0)
    assert avoided.last([FIRST], 1.0) == [FIRST]


def test_another_port_or_transport_of_the_address_is_not_avoided() -> None:
    avoided = AvoidedTargets()
    avoided.avoid(FIRST, 0.0)
    others = [Target("tcp", FIRST.host, 5060), Target("udp", FIRST.host, 5070)]
    assert avoided.last([FIRST, *others], 1.0) == [*others, FIRST]
    assert avoided.last([Target("udp", FIRST.host, 5060, "another.name"), SECOND], 1.0)[0] == SECOND


def test_it_is_avoided_as_long_as_it_said_but_not_for_ever() -> None:
    avoided = AvoidedTargets()
    avoided.avoid(FIRST, 0.0, 5.0)
    avoided.avoid(SECOND, 0.0, 86_400.0)
    assert avoided.last(ALL, 4.9) == [THIRD, FIRST, SECOND]
    assert avoided.last(ALL, 5.0) == [FIRST, THIRD, SECOND]
    assert avoided.last(ALL, LONGEST) == ALL


def test_one_that_works_again_is_forgiven() -> None:
    avoided = AvoidedTargets()
    avoided.avoid(FIRST, 0.0)
    avoided.forgive(FIRST)
    avoided.forgive(SECOND)
    assert avoided.last(ALL, 1.0) == ALL


def test_the_memory_is_bounded() -> None:
    avoided = AvoidedTargets(limit=2)
    for target in (FIRST, SECOND, FIRST, THIRD):
        avoided.avoid(target, 0.0)
    assert avoided.last(ALL, 1.0) == [SECOND, FIRST, THIRD]
