"""A copy of a part of the configuration with other values: what was worked out of the old ones is worked out anew."""

from __future__ import annotations

from b2bua.config.destination import Destination

DESK = {"method": "invite", "encryption": "udp/rtp", "route": "sip:desk@192.0.2.1"}


def test_a_copy_knows_nothing_that_was_worked_out_before() -> None:
    desk = Destination.model_validate({**DESK, "trusted": True})
    assert not desk.must_accept
    assert desk.passes.trusted

    copy = desk.model_copy(update={"accept_key": "1", "trusted": False})

    assert copy.must_accept
    assert not copy.passes.trusted
    assert desk.passes.trusted


def test_a_copy_with_another_name_has_that_name() -> None:
    desk = Destination.model_validate(DESK).named("desk")
    assert desk.name == "desk"

    assert desk.named("lobby").name == "lobby"
