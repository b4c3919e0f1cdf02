"""`trusted` and `pass_headers`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

TRUNK = "    accept: {addresses: [192.0.2.0/24]}\n"
OUTBOUND = "    outbound: {uri: sip:gw.example.com}\n"


def test_a_place_has_those_of_its_trunk_unless_it_has_its_own(tmp_path: Path) -> None:
    main = MAIN.replace(
        TRUNK,
        TRUNK + OUTBOUND + "    trusted: true\n    pass_headers: [X-A*]\n",
    )
    own = "own:\n  method: invite\n  encryption: udp/rtp\n  trunk: sbc\n  route: '+1555'\n"
    loaded = ConfigFiles(
        tmp_path,
        main,
        DESTINATIONS + own + own.replace("own:", "other:") + "  trusted: false\n  pass_headers: []\n",
    ).load()
    own_place, other, desk = (loaded.destinations[name] for name in ("own", "other", "desk"))
    assert (own_place.is_trusted, other.is_trusted, desk.is_trusted) == (True, False, False)
    assert own_place.passes.admits("X-Abc")
    assert not own_place.passes.admits("X-Bcd")
    assert not other.passes.admits("X-Abc")
    assert desk.passes.admits("X-Bcd")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[Contact]", "desk.pass_headers[0]: a header that each side says for itself; it never passes"),
        ("[v]", "desk.pass_headers[0]: not the name of a header"),
        ("['*']", "desk.pass_headers[0]: not the name of a header"),
        ("['X-*-Y']", "desk.pass_headers[0]: not the name of a header"),
    ],
)
def test_what_is_no_header_that_may_pass_is_refused(tmp_path: Path, written: str, problem: str) -> None:
    (text,) = ConfigFiles(tmp_path, destinations=DESTINATIONS + f"  pass_headers: {written}\n").texts()
    assert problem in text


def test_a_name_for_trusted_peers_on_the_list_of_another_is_a_warning(tmp_path: Path) -> None:
    main = MAIN.replace(TRUNK, TRUNK + "    pass_headers: [X-*, Diversion]\n")
    (warning,) = ConfigFiles(tmp_path, main).load().warnings
    assert "trunks.sbc.pass_headers[1]: never passes: only among peers with `trusted: true`" in str(warning)
    trusted = main.replace("    pass_headers", "    trusted: true\n    pass_headers")
    assert ConfigFiles(tmp_path, trusted).load().warnings == ()
