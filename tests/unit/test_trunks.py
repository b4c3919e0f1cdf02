"""Who calls: by address, by credentials, or by both; and nothing that fails tells why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.config import Configuration, Trunk
from b2bua.trunks import Trunks
from sip_stack.auth import AuthRejected, Credentials, DigestClient
from sip_stack.auth.challenge import parse_challenges
from sip_stack.message import Request, Response, response_to
from sip_stack.refusals import Refusal
from tests.support.certificates import Authority
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.sip_text import parsed_request

ADDRESSES_ONLY = "192.0.2.7"
BOTH = "198.51.100.7"
ANYWHERE = "203.0.113.9"
TRUNKS = """\
trunks:
  both:
    accept: {addresses: 198.51.100.0/24, auth: {username: both, password: password-of-both}}
  login:
    accept: {auth: {username: login, password: password-of-login}}
"""


TLS = "  tls: {certificate: own.pem, private_key: own.key}\n"


def configuration(folder: Path, trunks: str = TRUNKS, sip: str = "") -> Configuration:
    if sip == TLS:
        Authority(folder).issue("own")
    main = MAIN.replace("trunks:\n", trunks).replace("sip:\n", f"sip:\n{sip}")
    if sip == TLS:
        main = main.replace("[udp:127.0.0.1:0]", "['tls:127.0.0.1:0', 'udp:127.0.0.1:0']")
    return ConfigFiles(folder, main=main).load()


@pytest.fixture
def trunks(tmp_path: Path) -> Trunks:
    return Trunks(configuration(tmp_path), clock=lambda: 0.0)


def challenge_for(trunks: Trunks, request: Request, source: str, now: float = 1.0) -> Response:
    answer = trunks.identify(request, source, now)
    assert isinstance(answer, Refusal), "identified at once"
    return response_to(request, answer.status, to_tag="us", headers=answer.headers)


def with_credentials(challenge: Response, username: str, password: str) -> Request:
    """The INVITE again, as a client sends it after that challenge."""
    request = parsed_request("INVITE")
    client = DigestClient(Credentials(username, password), cnonce=lambda: "c0ffee")
    client.begin(request)
    client.answer(challenge, request)
    return request


def log_in(trunks: Trunks, source: str, username: str, password: str, now: float = 1.0) -> Trunk | Refusal:
    challenge = challenge_for(trunks, parsed_request("INVITE"), source, now)
    return trunks.identify(with_credentials(challenge, username, password), source, now)


CERTIFIED = """\
trunks:
  carrier:
    accept: {tls_subject: [sbc.carrier.example, "sbc 2"]}
  both:
    accept: {addresses: 198.51.100.0/24, tls_subject: both.example}
  all:
    accept:
      tls_subject: all.example
      auth: {username: all, password: password-of-all}
  login:
    accept: {auth: {username: login, password: password-of-login}}
"""


def name(identified: Trunk | Refusal) -> str | int:
    return identified.status if isinstance(identified, Refusal) else identified.name


def test_an_address_is_enough_where_nothing_else_is_asked(trunks: Trunks) -> None:
    assert name(trunks.identify(parsed_request("INVITE"), ADDRESSES_ONLY, 1.0)) == "sbc"


def test_an_unknown_source_is_challenged_and_let_in_with_credentials(trunks: Trunks) -> None:
    assert name(log_in(trunks, ANYWHERE, "login", "password-of-login")) == "login"


def test_without_a_trunk_to_log_in_as_an_unknown_source_is_forbidden(tmp_path: Path) -> None:
    trunks = Trunks(configuration(tmp_path, "trunks:\n"), clock=lambda: 0.0)

    assert name(trunks.identify(parsed_request("INVITE"), ANYWHERE, 1.0)) == 403


def test_sha_256_is_offered_before_md5(trunks: Trunks) -> None:
    challenges = parse_challenges(challenge_for(trunks, parsed_request("INVITE"), ANYWHERE))

    assert [(each.algorithm, each.realm) for each in challenges] == [("SHA-256", "b2bua"), ("MD5", "b2bua")]


def test_the_realm_is_configured(tmp_path: Path) -> None:
    trunks = Trunks(configuration(tmp_path), clock=lambda: 0.0)
    trunks.configuration = configuration(tmp_path, sip="  realm: voice.example.com\n")

    (first, _) = parse_challenges(challenge_for(trunks, parsed_request("INVITE"), ANYWHERE))
    assert first.realm == "voice.example.com"
    assert name(log_in(trunks, ANYWHERE, "login", "password-of-login")) == "login"


def test_what_is_offered_is_configured_for_peers_that_read_one_challenge(tmp_path: Path) -> None:
    trunks = Trunks(configuration(tmp_path), clock=lambda: 0.0)
    trunks.configuration = configuration(tmp_path, sip="  digest_algorithms: MD5\n")

    (only,) = parse_challenges(challenge_for(trunks, parsed_request("INVITE"), ANYWHERE))
    assert only.algorithm == "MD5"
    assert name(log_in(trunks, ANYWHERE, "login", "password-of-login")) == "login"


def test_with_both_the_address_alone_is_not_enough(trunks: Trunks) -> None:
    assert name(trunks.identify(parsed_request("INVITE"), BOTH, 1.0)) == 401
    assert name(log_in(trunks, BOTH, "both", "password-of-both")) == "both"


def test_with_both_the_credentials_alone_are_not_enough(trunks: Trunks) -> None:
    assert name(log_in(trunks, ANYWHERE, "both", "password-of-both")) == 401


def test_at_an_address_of_a_trunk_only_its_own_credentials_count(trunks: Trunks) -> None:
    assert name(log_in(trunks, BOTH, "login", "password-of-login")) == 401


def test_a_missing_password_is_no_failure_and_a_wrong_one_is(trunks: Trunks) -> None:
    for _ in range(50):
        trunks.identify(parsed_request("INVITE"), ANYWHERE, 1.0)
    assert trunks.doorkeeper.counters.authentication_failures == 0
    log_in(trunks, ANYWHERE, "login", "wrong")
    assert trunks.doorkeeper.counters.authentication_failures == 1


def test_a_wrong_name_looks_like_a_wrong_password_and_like_none(trunks: Trunks) -> None:
    """But for the nonce, the answers are the same."""

    def answer(username: str | None) -> tuple[int, list[str]]:
        request = parsed_request("INVITE")
        if username is not None:
            request = with_credentials(challenge_for(trunks, request, ANYWHERE), username, "wrong")
        refusal = trunks.identify(request, ANYWHERE, 1.0)
        assert isinstance(refusal, Refusal)
        return refusal.status, [re.sub('nonce="[^"]+"', "", value) for _, value in refusal.headers]

    assert answer("nobody") == answer("login") == answer("both") == answer(None)


def test_ten_wrong_passwords_silence_the_source(trunks: Trunks) -> None:
    for _ in range(10):
        assert name(log_in(trunks, ANYWHERE, "login", "wrong")) == 401

    assert not trunks.doorkeeper.hears(ANYWHERE, 2.0)
    assert trunks.doorkeeper.hears(ANYWHERE, 61.1)
    assert name(log_in(trunks, ANYWHERE, "login", "password-of-login", 61.1)) == "login"


def test_a_replay_is_stale_and_gets_nobody_in(trunks: Trunks) -> None:
    challenge = challenge_for(trunks, parsed_request("INVITE"), ANYWHERE)
    request = with_credentials(challenge, "login", "password-of-login")
    assert name(trunks.identify(request, ANYWHERE, 1.0)) == "login"

    again = challenge_for(trunks, request, "203.0.113.66")
    assert all(each.stale for each in parse_challenges(again))
    assert trunks.doorkeeper.counters.authentication_failures == 0


def test_an_old_nonce_is_stale_and_a_new_one_follows(trunks: Trunks) -> None:
    challenge = challenge_for(trunks, parsed_request("INVITE"), ANYWHERE, now=1.0)
    late = challenge_for(
        trunks, with_credentials(challenge, "login", "password-of-login"), ANYWHERE, now=62.0
    )

    assert all(each.stale for each in parse_challenges(late))
    request = with_credentials(late, "login", "password-of-login")
    assert name(trunks.identify(request, ANYWHERE, 62.5)) == "login"


def test_a_client_does_not_try_a_wrong_password_again(trunks: Trunks) -> None:
    """Our challenge after a failure carries no `stale`, so that a client with our manners gives up at once."""
    challenge = challenge_for(trunks, parsed_request("INVITE"), ANYWHERE)
    request = parsed_request("INVITE")
    client = DigestClient(Credentials("login", "wrong"), cnonce=lambda: "c0ffee")
    client.begin(request)
    client.answer(challenge, request)
    refused = challenge_for(trunks, request, ANYWHERE)

    with pytest.raises(AuthRejected):
        client.answer(refused, parsed_request("INVITE"))


def test_nothing_of_a_password_is_logged(trunks: Trunks, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(10):
        log_in(trunks, ANYWHERE, "login-or-password", "wrong-secret")

    logged = capsys.readouterr().out
    assert logged.count("authentication_failed") == 1
    assert "locked_out" in logged
    assert "login-or-password" not in logged
    assert "secret" not in logged


@pytest.mark.parametrize(
    ("source", "subjects", "answer"),
    [
        (ANYWHERE, ("x", "sbc.carrier.example"), "carrier"),
        (ANYWHERE, ("sbc 2",), "carrier"),
        (ANYWHERE, (), 401),  # whoever has no certificate may still log in
        (ANYWHERE, ("stranger.example",), 401),
        (ANYWHERE, ("both.example",), 401),  # not from its address
        (BOTH, ("both.example",), "both"),
        (BOTH, (), 403),
        (BOTH, ("sbc.carrier.example",), 403),  # the address belongs to somebody else
        (ADDRESSES_ONLY, ("sbc.carrier.example",), "sbc"),
        (ANYWHERE, ("all.example",), 401),
    ],
)
def test_a_certificate_is_what_a_trunk_is_known_by(
    tmp_path: Path, source: str, subjects: tuple[str, ...], answer: str | int
) -> None:
    trunks = Trunks(configuration(tmp_path, CERTIFIED, TLS), clock=lambda: 0.0)
    assert name(trunks.identify(parsed_request("INVITE"), source, 1.0, subjects)) == answer


def test_a_certificate_does_not_replace_the_password_beside_it(tmp_path: Path) -> None:
    trunks = Trunks(configuration(tmp_path, CERTIFIED, TLS), clock=lambda: 0.0)

    def log_in_with(subjects: tuple[str, ...], username: str) -> str | int:
        refusal = trunks.identify(parsed_request("INVITE"), ANYWHERE, 1.0, subjects)
        assert isinstance(refusal, Refusal)
        challenge = response_to(parsed_request("INVITE"), 401, to_tag="us", headers=refusal.headers)
        request = with_credentials(challenge, username, f"password-of-{username}")
        return name(trunks.identify(request, ANYWHERE, 1.0, subjects))

    assert log_in_with(("all.example",), "all") == "all"
    assert log_in_with((), "all") == 401, "without its certificate"
    assert log_in_with(("all.example",), "login") == 401, "with another trunk's password"


def test_a_client_with_a_trunks_certificate_is_no_stranger(tmp_path: Path) -> None:
    trunks = Trunks(configuration(tmp_path, CERTIFIED, TLS), clock=lambda: 0.0)
    doorkeeper, invite = trunks.doorkeeper, parsed_request("INVITE")
    for now in (0.0, 4000.0):
        assert doorkeeper.judge(invite, ANYWHERE, now) is not None
        doorkeeper.certified(ANYWHERE, ("nobody.example",), now)
        assert doorkeeper.judge(invite, ANYWHERE, now) is not None
        doorkeeper.certified(ANYWHERE, ("sbc.carrier.example",), now)
        assert doorkeeper.judge(invite, ANYWHERE, now) is None
        assert all(doorkeeper.hears(ANYWHERE, now) for _ in range(1000))


@pytest.mark.parametrize(("source", "trunk"), [(BOTH, "both"), (ANYWHERE, None)])
def test_the_log_names_the_trunk_whose_address_shows_wrong_credentials(
    trunks: Trunks, source: str, trunk: str | None
) -> None:
    with capture_logs() as logs:
        log_in(trunks, source, "both", "wrong-secret")
    (told,) = logs
    assert (told["event"], told["trunk"], told["source"]) == ("authentication_failed", trunk, source)
