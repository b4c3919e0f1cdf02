"""`session_timers` and `100rel`: what a trunk, a place, or nobody says, and what that means for a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.extensions import TimerTerms
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

TRUNK = "    accept: {addresses: [192.0.2.0/24]}\n"
OUTBOUND = "  gateway: {outbound: {uri: sip:gw.example.com}, session_timers: required}\n"


def files(folder: Path, *, sip: str = "", trunk: str = "", desk: str = "") -> ConfigFiles:
    main = MAIN.replace("sip:\n", f"sip:\n{sip}").replace(TRUNK, TRUNK + trunk)
    return ConfigFiles(folder, main.replace("routes:", f"{OUTBOUND}routes:"), DESTINATIONS + desk)


def test_without_a_word_they_are_used_with_who_has_them(tmp_path: Path) -> None:
    loaded = files(tmp_path).load()
    usual = TimerTerms("supported", 1800, 90, "any")
    assert loaded.extensions_for("sbc").timer == usual
    desk = loaded.destinations["desk"]
    assert loaded.extensions_for(desk.trunk, desk) is loaded.extensions_for("sbc"), "one object for all alike"


def test_the_place_comes_before_its_trunk_and_the_trunk_before_the_rest(tmp_path: Path) -> None:
    loaded = files(
        tmp_path,
        sip="  session_timers: {expires: 1h, min_se: 2m}\n",
        trunk="    session_timers: disabled\n",
        desk="  session_timers: {refresher: us}\n"
        'number: {method: invite, encryption: udp/rtp, route: "+1555", trunk: gateway}\n'
        "plain: {method: invite, encryption: udp/rtp, route: sip:a@b.example.com}\n",
    ).load()

    def of_place(name: str) -> TimerTerms:
        place = loaded.destinations[name]
        return loaded.extensions_for(place.trunk, place).timer

    assert loaded.extensions_for("sbc").timer.use == "disabled"
    assert of_place("desk") == TimerTerms("supported", 1800, 90, "us")
    assert of_place("number").use == "required"
    assert of_place("plain") == TimerTerms("supported", 3600, 120, "any")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{expires: 60s}", "session_timers.expires: out of range; found '60s'; allowed: 90s to 24h"),
        ("{expires: 2m, min_se: 3m}", "session_timers: expires is shorter than min_se"),
        (
            "require",
            "session_timers: not a known value; found 'require'; allowed: disabled, supported, required; "
            "did you mean 'required'?",
        ),
        ("{refresher: caller}", "session_timers.refresher: not a known value"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, written: str, problem: str) -> None:
    (found,) = files(tmp_path, sip=f"  session_timers: {written}\n").problems()
    assert problem in str(found)


def test_100rel_follows_the_same_order(tmp_path: Path) -> None:
    loaded = files(
        tmp_path, sip="  100rel: disabled\n", trunk='    "100rel": required\n', desk="  100rel: supported\n"
    ).load()
    desk = loaded.destinations["desk"]
    assert loaded.extensions_for("gateway").reliable == "disabled"
    assert loaded.extensions_for("sbc").reliable == "required"
    assert loaded.extensions_for(desk.trunk, desk).reliable == "supported"


@pytest.mark.parametrize("wrong", ["100REL: required", "reliable_provisionals: required"])
def test_100rel_has_one_spelling(tmp_path: Path, wrong: str) -> None:
    (problem,) = files(tmp_path, sip=f"  {wrong}\n").problems()
    assert problem.message == "unknown key"
    assert "100rel" in str(problem)


def test_100rel_is_no_key_of_a_destination_that_is_not_dialled(tmp_path: Path) -> None:
    other = "back: {method: bye, 100rel: required}\n"
    (problem,) = files(tmp_path, desk=other).problems()
    assert problem.message == "not a key of method bye"
