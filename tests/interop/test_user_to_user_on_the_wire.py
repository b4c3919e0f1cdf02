"""User-to-User and the presets as SIPp receives them, octet by octet: in an INVITE, a Refer-To and a BYE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.sipp import Sipp, sipp_callee, sipp_caller

SHARED_ID = "case 7"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Sipp]:
    """The contact centre that is dialled."""
    with sipp_callee(tmp_path, name="agent", trace=True) as agent:
        yield agent


@pytest.fixture
def stage(tmp_path: Path, agent: Sipp) -> Iterator[tuple[B2bua, Api]]:
    """A B2BUA with a destination for each method."""
    dialled = f"sip:queue@{agent.address}"
    taken_back = {"data": "$shared_id", "encoding": "ascii", "purpose": "pop"}
    places: dict[str, dict[str, object]] = {
        "queue": {"encryption": "udp/rtp", "route": dialled, "preset": "genesys"},
        "desk": {"method": "refer", "route": "sip:desk@sbc.example.com", "preset": "genesys"},
        "back": {"method": "bye", "preset": "five9", "user_to_user": taken_back},
    }
    with (
        sipp_callee(tmp_path, name="assistant") as bot,
        staged(tmp_path, f"sip:bot@{bot.address}", places) as (b2bua, api),
    ):
        yield b2bua, api


def handed_over(
    stage: tuple[B2bua, Api], folder: Path, scenario: str, destination: str, state: str
) -> tuple[dict, Sipp]:
    """The handoff of one SIPp call, and the SIPp that made it, when both are over."""
    b2bua, api = stage
    with sipp_caller(folder, b2bua.host_port, scenario, service=SUPPORT, trace=True) as caller:
        call_id = api.the_call()
        handoff = api.hand_off(call_id, destination=destination, shared_id=SHARED_ID)
        handoff = api.reaches(handoff, state)
        if state == "connected":
            api.ask("DELETE", f"/v1/calls/{call_id}")
        counted = caller.finished(20.0)
    assert (counted.successful, counted.failed) == (1, 0), caller.complaints()
    return handoff, caller


def test_genesys_gets_the_package_of_isdn_in_an_invite(
    stage: tuple[B2bua, Api], agent: Sipp, tmp_path: Path
) -> None:
    handoff, _ = handed_over(stage, tmp_path, "caller_hears_bye.xml", "queue", "connected")
    assert agent.finish().successful == 1
    uui = handoff["id"].encode().hex()
    assert agent.header_lines("User-to-User") == [
        f"User-to-User: 00{uui};encoding=hex;purpose=isdn-uui;content=isdn-uui"
    ]


def test_genesys_gets_the_encoding_alone_in_a_refer_to(stage: tuple[B2bua, Api], tmp_path: Path) -> None:
    handoff, caller = handed_over(stage, tmp_path, "caller_is_referred.xml", "desk", "completed")
    uui = handoff["id"].encode().hex()
    assert caller.header_lines("Refer-To") == [
        f"Refer-To: <sip:desk@sbc.example.com?User-to-User=00{uui}%3Bencoding%3Dhex&X-Handoff-ID={handoff['id']}>"
    ]
    assert caller.header_lines("User-to-User") == []


def test_five9_reads_in_the_bye_where_the_caller_belongs(stage: tuple[B2bua, Api], tmp_path: Path) -> None:
    _, caller = handed_over(stage, tmp_path, "caller_hears_bye.xml", "back", "completed")
    assert caller.header_lines("X-contained") == ["X-contained: false"]
    assert caller.header_lines("X-destination") == ["X-destination: back"]
    assert caller.header_lines("User-to-User") == ['User-to-User: "case 7";encoding=ascii;purpose=pop']
