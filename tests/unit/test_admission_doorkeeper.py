"""The doorkeeper: who is heard, who is served, who is refused once and who gets no answer at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.admission import Doorkeeper, Load
from b2bua.admission.doorkeeper import COME_BACK_LATER, FORBIDDEN, NO_SUCH_DIALOG, RETRY_SOON
from b2bua.admission.strangers import MAX_SOURCES
from b2bua.config import Configuration
from sip_stack.gate import SILENCE
from sip_stack.message import Request
from sip_stack.refusals import Refusal
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.sip_text import parsed_request

TRUNK = "192.0.2.7"
STRANGER = "203.0.113.9"
LIMITS = "limits: {unknown_requests_per_source: 2, unknown_requests_in_all: 30}\n"
INVITE = parsed_request("INVITE")
WITH_LOGIN = MAIN.replace(
    "trunks:\n", "trunks:\n  pbx: {accept: {auth: {username: pbx, password: of-the-pbx}}}\n"
)


def configuration(folder: Path, extra: str = LIMITS, main: str = MAIN) -> Configuration:
    return ConfigFiles(folder, main=main + extra).load()


@pytest.fixture
def doorkeeper(tmp_path: Path) -> Doorkeeper:
    return doorkeeper_of(configuration(tmp_path))


CHALLENGE = Refusal(401, stateless=True)


def doorkeeper_of(configuration: Configuration) -> Doorkeeper:
    return Doorkeeper(configuration, clock=lambda: 0.0, challenge=lambda now: CHALLENGE)


def heard(doorkeeper: Doorkeeper, source: str, now: float, messages: int) -> int:
    return sum(doorkeeper.hears(source, now) for _ in range(messages))


def scanner(name: str = "friendly-scanner", header: str = "User-Agent") -> Request:
    request = parsed_request("OPTIONS")
    request.headers.set(header, name)
    return request


def test_a_trunk_is_heard_and_served_however_much_it_sends(doorkeeper: Doorkeeper) -> None:
    assert heard(doorkeeper, TRUNK, 1.0, 10_000) == 10_000
    assert doorkeeper.judge(INVITE, TRUNK, 1.0) is None
    assert doorkeeper.judge(scanner(), TRUNK, 1.0) is None, "what it names itself is its own business"


def test_a_stranger_over_its_rate_is_told_once_and_then_not_heard(doorkeeper: Doorkeeper) -> None:
    verdicts = [doorkeeper.judge(INVITE, STRANGER, 1.0) for _ in range(20) if doorkeeper.hears(STRANGER, 1.0)]

    assert verdicts == [FORBIDDEN] * 10 + [COME_BACK_LATER]
    assert doorkeeper.counters.unknown_sources == 10
    assert doorkeeper.counters.silenced == 1
    assert doorkeeper.counters.unread == 9
    assert not doorkeeper.hears(STRANGER, 60.9)
    assert doorkeeper.hears(STRANGER, 61.1)
    assert doorkeeper.judge(INVITE, STRANGER, 61.1) is FORBIDDEN


def test_nothing_a_stranger_is_told_is_repeated(doorkeeper: Doorkeeper) -> None:
    """Else one packet with a spoofed source would aim ten of ours at its victim."""
    assert FORBIDDEN.stateless
    assert COME_BACK_LATER.stateless


def test_a_stranger_may_ask_whether_we_are_there(doorkeeper: Doorkeeper) -> None:
    assert doorkeeper.judge(parsed_request("OPTIONS"), STRANGER, 1.0) is None


def test_a_stranger_who_may_log_in_is_challenged_until_it_shows_credentials(tmp_path: Path) -> None:
    doorkeeper = doorkeeper_of(configuration(tmp_path, "", WITH_LOGIN))
    showing = parsed_request("INVITE")
    showing.headers.add("Authorization", "Digest whatever")

    assert doorkeeper.judge(INVITE, STRANGER, 1.0) is CHALLENGE
    assert doorkeeper.judge(showing, STRANGER, 1.0) is None


def said_to(to: str, method: str = "INVITE") -> Request:
    request = parsed_request(method)
    request.headers.set("To", to)
    return Request(method, request.uri, request.headers)


def of_a_call_that_is_over(method: str) -> Request:
    return said_to("<sip:desk@b2bua.example.com>;tag=of-before", method)


def test_what_belongs_to_a_call_that_is_over_is_no_call_of_a_stranger(tmp_path: Path) -> None:
    """A re-INVITE that crosses our BYE: 481 ends the dialog there (RFC 3261 section 12.2.1.2), 403 would not."""
    doorkeeper = doorkeeper_of(configuration(tmp_path, "", WITH_LOGIN))

    assert doorkeeper.judge(of_a_call_that_is_over("INVITE"), STRANGER, 1.0) is NO_SUCH_DIALOG
    assert doorkeeper.judge(of_a_call_that_is_over("BYE"), STRANGER, 1.0) is None, "answered as in any dialog"
    assert doorkeeper.counters.unknown_sources == 0
    assert NO_SUCH_DIALOG.stateless, "nothing a stranger is told is repeated"


def test_a_to_header_that_cannot_be_read_makes_no_dialog(doorkeeper: Doorkeeper) -> None:
    assert doorkeeper.judge(said_to("<<<"), STRANGER, 1.0) is FORBIDDEN


def test_a_stranger_that_keeps_to_its_rate_is_heard_for_ever(doorkeeper: Doorkeeper) -> None:
    assert all(doorkeeper.hears(STRANGER, 1.0 + number / 2) for number in range(1000))


def test_all_strangers_together_are_heard_a_bounded_number_of_times(doorkeeper: Doorkeeper) -> None:
    sources = [f"203.0.113.{number}" for number in range(200)]

    assert sum(doorkeeper.hears(source, 1.0) for source in sources) == 30
    assert sum(doorkeeper.hears(source, 2.0) for source in sources) == 30
    assert doorkeeper.hears(TRUNK, 2.0)


def test_ipv6_neighbours_share_one_bucket(doorkeeper: Doorkeeper) -> None:
    assert sum(doorkeeper.hears(f"2001:db8::{number:x}", 1.0) for number in range(1, 40)) == 11
    assert doorkeeper.hears("2001:db8:0:1::1", 1.0), "another /64 is somebody else"


def test_a_trunk_beside_ipv6_strangers_is_heard(tmp_path: Path) -> None:
    main = MAIN.replace("[192.0.2.0/24]", '"2001:db8::7/128"')
    doorkeeper = doorkeeper_of(configuration(tmp_path, LIMITS, main))
    for number in range(0x10, 0x40):
        doorkeeper.hears(f"2001:db8::{number:x}", 1.0)

    assert heard(doorkeeper, "2001:db8::7", 1.0, 100) == 100


def test_what_strangers_can_make_us_remember_is_bounded(tmp_path: Path) -> None:
    doorkeeper = doorkeeper_of(
        configuration(tmp_path, "limits: {unknown_requests_per_source: 1, unknown_requests_in_all: 100000}\n")
    )
    for number in range(MAX_SOURCES + 500):
        doorkeeper.hears(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0)

    assert len(doorkeeper._strangers._met) == MAX_SOURCES


@pytest.mark.parametrize(
    "request_",
    [
        scanner(),
        scanner("SIPVicious/0.3"),
        scanner("sipcli/v1.8"),
        scanner('"sipvicious"<sip:100@1.1.1.1>', "From"),
    ],
)
def test_a_scanner_gets_no_answer_and_is_not_heard_again(doorkeeper: Doorkeeper, request_: Request) -> None:
    assert doorkeeper.hears(STRANGER, 1.0)
    assert doorkeeper.judge(request_, STRANGER, 1.0) is SILENCE
    assert doorkeeper.counters.scanners == 1
    assert heard(doorkeeper, STRANGER, 1.1, 100) == 0
    assert doorkeeper.hears(STRANGER, 62.0)


def test_scanners_are_named_in_the_configuration(tmp_path: Path) -> None:
    own = doorkeeper_of(configuration(tmp_path, "limits: {scanners: EvilPhone}\n"))
    none = doorkeeper_of(configuration(tmp_path, "limits: {scanners: []}\n"))

    assert own.judge(scanner("my evilphone 2"), STRANGER, 1.0) is SILENCE
    assert own.judge(scanner(), "203.0.113.10", 1.0) is None
    assert none.judge(scanner(), STRANGER, 1.0) is None


def test_whom_we_call_is_heard_but_not_served_without_end(doorkeeper: Doorkeeper) -> None:
    """A destination answers our calls as fast as we make them; what it asks by itself has the bounds of a stranger."""
    doorkeeper.expect(STRANGER)

    assert heard(doorkeeper, STRANGER, 1.0, 1000) == 1000
    verdicts = [doorkeeper.judge(INVITE, STRANGER, 1.0) for _ in range(20)]
    assert verdicts == [FORBIDDEN] * 10 + [COME_BACK_LATER] + [SILENCE] * 9
    assert heard(doorkeeper, STRANGER, 1.0, 1000) == 1000


@pytest.mark.parametrize(
    ("of_the_trunk", "of_all"), [(None, 5), (5, None), (5, 1)], ids=["default", "its own", "its own first"]
)
def test_a_trunk_has_its_calls_per_second(
    tmp_path: Path, of_the_trunk: int | None, of_all: int | None
) -> None:
    own = f"    max_calls_per_second: {of_the_trunk}\n" if of_the_trunk else ""
    limits = f"limits: {{max_calls_per_second: {of_all}}}\n" if of_all else ""
    settings = configuration(tmp_path, limits, MAIN.replace("routes:\n", f"{own}routes:\n"))
    doorkeeper, sbc = doorkeeper_of(settings), settings.trunks["sbc"]

    def calls(now: float) -> int:
        started = 0
        for _ in range(20):
            if doorkeeper.judge(INVITE, TRUNK, now) is None:
                started += doorkeeper.start_call(sbc, now)
        return started

    doorkeeper.hears(TRUNK, 1.0)
    with capture_logs() as logs:
        assert calls(1.0) == 5
        assert doorkeeper.judge(INVITE, TRUNK, 1.0) == RETRY_SOON
    assert [(line["event"], line["trunk"]) for line in logs] == [("over_rate", "sbc")]
    assert doorkeeper.judge(parsed_request("OPTIONS"), TRUNK, 1.0) is None
    assert doorkeeper.counters.over_rate == 16
    assert calls(2.0) == 5


def test_a_source_that_logged_in_is_no_stranger_for_an_hour(doorkeeper: Doorkeeper, tmp_path: Path) -> None:
    doorkeeper.logged_in(STRANGER, doorkeeper.configuration.trunks["sbc"], 1.0)

    assert heard(doorkeeper, STRANGER, 2.0, 1000) == 1000
    assert [doorkeeper.judge(INVITE, STRANGER, 2.0) for _ in range(100)] == [None] * 100
    assert SILENCE in [doorkeeper.judge(INVITE, STRANGER, 4000.0) for _ in range(100)]


def test_ten_failures_in_a_minute_silence_a_stranger_for_a_minute(doorkeeper: Doorkeeper) -> None:
    for number in range(9):
        doorkeeper.failed_login(STRANGER, float(number))
    assert doorkeeper.hears(STRANGER, 9.0)
    doorkeeper.failed_login(STRANGER, 9.0)

    assert doorkeeper.counters.lockouts == 1
    assert doorkeeper.counters.authentication_failures == 10
    assert not doorkeeper.hears(STRANGER, 68.9)
    assert doorkeeper.hears(STRANGER, 69.1)
    doorkeeper.failed_login(STRANGER, 69.1)
    assert doorkeeper.hears(STRANGER, 69.2), "it starts anew"


def test_failures_that_are_far_apart_lock_nobody_out(doorkeeper: Doorkeeper) -> None:
    for number in range(50):
        doorkeeper.failed_login(STRANGER, number * 7.0)

    assert doorkeeper.counters.lockouts == 0


def test_a_trunk_that_is_locked_out_makes_no_new_calls_but_keeps_those_it_has(doorkeeper: Doorkeeper) -> None:
    for _ in range(10):
        doorkeeper.failed_login(TRUNK, 1.0)

    assert doorkeeper.hears(TRUNK, 2.0)
    assert doorkeeper.judge(INVITE, TRUNK, 2.0) is SILENCE
    assert doorkeeper.judge(parsed_request("OPTIONS"), TRUNK, 2.0) is None
    assert doorkeeper.judge(INVITE, TRUNK, 61.1) is None


def test_under_overload_trunks_are_refused_and_strangers_not_heard(doorkeeper: Doorkeeper) -> None:
    for tick in range(100):
        doorkeeper.measured(Load(lag=1.0, busy=1.0), tick / 10)
    doorkeeper.hears(TRUNK, 10.0)
    verdicts = [doorkeeper.judge(INVITE, TRUNK, 10.0) for _ in range(50)]

    assert verdicts.count(RETRY_SOON) >= 40
    assert verdicts[0] is None
    assert doorkeeper.counters.overload == verdicts.count(RETRY_SOON)
    assert doorkeeper.judge(parsed_request("BYE"), TRUNK, 10.0) is None
    assert not doorkeeper.hears(STRANGER, 10.0)


def test_a_flood_of_strangers_is_not_held_against_trunks(doorkeeper: Doorkeeper) -> None:
    for tick in range(50):
        heard(doorkeeper, STRANGER, tick / 10, 5_100)
        doorkeeper.measured(Load(lag=1.0, busy=1.0, behind=True), tick / 10)

    assert not doorkeeper.overload.active


def test_silent_toward_unknown_sources(tmp_path: Path) -> None:
    main = MAIN.replace("sip:\n", "sip:\n  unknown_source: silent\n")
    doorkeeper = doorkeeper_of(configuration(tmp_path, "", main))

    assert doorkeeper.judge(INVITE, STRANGER, 1.0) is SILENCE
    assert doorkeeper.judge(parsed_request("OPTIONS"), STRANGER, 1.0) is SILENCE
    assert doorkeeper.judge(INVITE, TRUNK, 1.0) is SILENCE, "never heard, hence not known"
    doorkeeper.hears(TRUNK, 1.0)
    assert doorkeeper.judge(INVITE, TRUNK, 1.0) is None


def test_silent_about_calls_that_are_over_but_to_those_we_speak_with(tmp_path: Path) -> None:
    """A destination whose call we have just ended knows that we are here; its phone need not wait for 64*T1."""
    main = MAIN.replace("sip:\n", "sip:\n  unknown_source: silent\n")
    doorkeeper = doorkeeper_of(configuration(tmp_path, "", main))

    assert doorkeeper.judge(of_a_call_that_is_over("INVITE"), STRANGER, 1.0) is SILENCE
    assert doorkeeper.judge(of_a_call_that_is_over("BYE"), STRANGER, 1.0) is SILENCE
    doorkeeper.expect(STRANGER)
    assert doorkeeper.judge(of_a_call_that_is_over("INVITE"), STRANGER, 1.0) is NO_SUCH_DIALOG
    assert doorkeeper.judge(of_a_call_that_is_over("BYE"), STRANGER, 1.0) is None


def test_silent_but_for_those_who_may_log_in(tmp_path: Path) -> None:
    main = WITH_LOGIN.replace("sip:\n", "sip:\n  unknown_source: silent\n")
    doorkeeper = doorkeeper_of(configuration(tmp_path, "", main))

    assert doorkeeper.judge(INVITE, STRANGER, 1.0) is CHALLENGE
    assert doorkeeper.judge(parsed_request("OPTIONS"), STRANGER, 1.0) is SILENCE


def test_a_reload_counts_at_once_and_lifts_no_lockout(doorkeeper: Doorkeeper, tmp_path: Path) -> None:
    heard(doorkeeper, STRANGER, 1.0, 100)
    doorkeeper._strangers.lock("203.0.113.66", 1.0)
    doorkeeper.hears(TRUNK, 1.0)
    doorkeeper.configuration = configuration(tmp_path, LIMITS, MAIN.replace("192.0.2.0/24", f"{STRANGER}/32"))

    assert heard(doorkeeper, STRANGER, 1.5, 100) == 100
    assert doorkeeper.judge(INVITE, STRANGER, 1.5) is None
    assert heard(doorkeeper, TRUNK, 1.5, 100) == 100, "it may have calls under way"
    assert doorkeeper.judge(INVITE, TRUNK, 1.5) is FORBIDDEN
    assert not doorkeeper.hears("203.0.113.66", 1.5)


def test_what_was_refused_is_said_once_per_interval(
    doorkeeper: Doorkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    for tick in range(205):
        if tick < 50:
            doorkeeper.hears(STRANGER, tick / 10)
        doorkeeper.measured(Load(lag=0.0, busy=0.1), tick / 10)

    lines = [line for line in capsys.readouterr().out.splitlines() if "refused_lately" in line]
    assert len(lines) == 1
    assert "silenced=1" in lines[0].replace("\x1b[35m", "").replace("\x1b[0m", "").replace("\x1b[36m", "")
