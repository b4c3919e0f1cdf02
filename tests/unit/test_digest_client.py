"""The digest client: what it sends, what it reads, and what it never shows (pitfalls by number)."""

from __future__ import annotations

import pytest

from sip_stack.auth import AuthRejected, Challenge, Credentials, parse_challenges
from sip_stack.auth import digest as digest_module
from sip_stack.auth.challenge import parse_schemes
from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Response
from tests.support.challenged_call import CREDENTIALS, SECRET, URI, Call, challenge, is_right, sent


def test_the_first_request_carries_no_credentials() -> None:
    assert "Authorization" not in Call().request.headers


def test_the_answer_in_full() -> None:
    retry = Call().challenged(407, challenge("n1", "cc", 'algorithm=MD5, qop="auth", opaque="o"'))
    response = sent(retry, "Proxy-Authorization").get("response")
    assert retry.headers.get("Proxy-Authorization") == (
        f'Digest username="acme", realm="cc", nonce="n1", uri="{URI}", response="{response}", '
        f'algorithm=MD5, opaque="o", qop=auth, nc=00000001, cnonce="cnonce-1"'
    )
    assert is_right(retry, sent(retry, "Proxy-Authorization"))


def test_pitfall_1_the_one_qop_that_is_used_is_hashed_and_not_the_list() -> None:
    retry = Call().challenged(401, challenge(extra='qop="auth,auth-int"'))
    params = sent(retry)
    assert params.raw("qop") == "auth"
    assert is_right(retry, params)


@pytest.mark.parametrize("qop", ["auth-int,auth", " AUTH-INT , Auth ", "auth-conf,auth"])
def test_pitfall_1_auth_is_found_wherever_it_stands_in_the_list(qop: str) -> None:
    assert sent(Call().challenged(401, challenge(extra=f'qop="{qop}"'))).raw("qop") == "auth"


@pytest.mark.parametrize("extra", ["", 'qop=""'])
def test_pitfall_2_without_qop_the_form_of_rfc_2069_is_used(extra: str) -> None:
    retry = Call().challenged(401, challenge(extra=extra))
    params = sent(retry)
    assert [name for name, _ in params] == ["username", "realm", "nonce", "uri", "response"]
    assert is_right(retry, params)


def test_a_session_algorithm_without_qop_tells_its_cnonce() -> None:
    retry = Call().challenged(401, challenge(extra="algorithm=MD5-sess"))
    params = sent(retry)
    assert params.get("cnonce") == "cnonce-1"
    assert not params.has("qop")
    assert is_right(retry, params)


def test_pitfall_3_auth_int_is_used_only_when_nothing_else_is_offered_and_covers_the_body() -> None:
    call = Call()
    call.send("INVITE", b"v=0\r\n")
    retry = call.challenged(401, challenge(extra='qop="auth-int"'))
    params = sent(retry)
    assert params.raw("qop") == "auth-int"
    assert is_right(retry, params)
    retry.body = b"v=1\r\n"
    assert not is_right(retry, params)


def test_pitfall_4_the_digest_uri_is_the_request_uri_to_the_octet() -> None:
    retry = Call().challenged(401, challenge())
    assert sent(retry).get("uri") == URI
    assert f" {URI} " in retry.start_line


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        (["MD5", "SHA-256"], "SHA-256"),
        (["SHA-256", "MD5"], "SHA-256"),
        (["SHA-256", "SHA-512-256", "MD5"], "SHA-512-256"),
        (["SHA-256-sess", "MD5"], "SHA-256-sess"),
        (["AKAv1-MD5", "MD5-sess"], "MD5-sess"),
        (["sha-256", "md5"], "sha-256"),
        (["MD5", "MD5-sess"], "MD5"),
    ],
)
def test_pitfall_7_the_strongest_algorithm_that_we_know_wins(offers: list[str], chosen: str) -> None:
    lines = [challenge(f"nonce of {name}", "cc", f'algorithm={name}, qop="auth"') for name in offers]
    on_several_lines = Call().challenged(401, *lines)
    on_one_line = Call().challenged(401, ", ".join(lines))
    for retry in (on_several_lines, on_one_line):
        params = sent(retry)
        assert params.raw("algorithm") == chosen
        assert params.get("nonce") == f"nonce of {chosen}"
        assert is_right(retry, params)


def test_pitfall_7_a_challenge_without_algorithm_is_md5_and_none_is_echoed() -> None:
    retry = Call().challenged(401, challenge())
    assert not sent(retry).has("algorithm")
    assert is_right(retry, sent(retry))


def test_pitfall_7_an_algorithm_that_openssl_lacks_is_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: each for name, each in digest_module._ALGORITHMS.items() if "512" not in name}
    monkeypatch.setattr(digest_module, "_ALGORITHMS", known)
    offers = [challenge(extra=f"algorithm={name}") for name in ("SHA-512-256", "MD5")]
    assert sent(Call().challenged(401, *offers)).raw("algorithm") == "MD5"
    assert Call().refused(401, offers[0]).reason == "unsupported_algorithm"
    assert digest_module._hash_named("no such hash") is None


@pytest.mark.parametrize(
    ("status", "present", "absent"),
    [(401, "Authorization", "Proxy-Authorization"), (407, "Proxy-Authorization", "Authorization")],
)
def test_pitfall_8_the_header_follows_the_status(status: int, present: str, absent: str) -> None:
    retry = Call().challenged(status, challenge())
    assert present in retry.headers
    assert absent not in retry.headers


def test_pitfall_8_a_challenge_in_the_header_of_the_other_status_is_none() -> None:
    call = Call()
    response = Response(401, None, [("CSeq", "1 INVITE"), ("Proxy-Authenticate", challenge())])
    with pytest.raises(AuthRejected) as caught:
        call.client.answer(response, call.request)
    assert caught.value.reason == "no_challenge"


def test_pitfall_9_a_proxy_then_the_callee_both_get_credentials() -> None:
    call = Call()
    call.challenged(407, challenge("p1", "proxy"))
    retry = call.challenged(401, challenge("u1", "callee"))
    proxy, callee = sent(retry, "Proxy-Authorization"), sent(retry, "Authorization")
    assert (proxy.get("realm"), proxy.raw("nc")) == ("proxy", "00000002")
    assert (callee.get("realm"), callee.raw("nc")) == ("callee", "00000001")
    assert is_right(retry, proxy)
    assert is_right(retry, callee)


def test_pitfall_9_two_proxies_one_after_the_other() -> None:
    call = Call()
    call.challenged(407, challenge("a1", "a"))
    retry = call.challenged(407, challenge("b1", "b"))
    lines = retry.headers.get_all("Proxy-Authorization")
    assert [parse_schemes(line)[0][1].get("realm") for line in lines] == ["a", "b"]


def test_two_realms_in_one_response_are_both_answered() -> None:
    retry = Call().challenged(407, challenge("a1", "a"), challenge("b1", "b"))
    assert len(retry.headers.get_all("Proxy-Authorization")) == 2


def test_old_credentials_are_replaced_and_not_repeated() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    retry = call.challenged(401, challenge("n2", extra='qop="auth", stale=true'))
    assert sent(retry).get("nonce") == "n2"


def test_quoted_strings_are_hashed_unescaped_and_echoed_as_received() -> None:
    realm, nonce, opaque = r'"a \"big\" realm\\"', r'"n\"1"', r'"o\"p\\"'
    retry = Call().challenged(401, f"Digest realm={realm},nonce={nonce},opaque={opaque}")
    params = sent(retry)
    assert (params.raw("realm"), params.raw("nonce"), params.raw("opaque")) == (realm, nonce, opaque)
    assert params.get("realm") == 'a "big" realm\\'
    assert is_right(retry, params)


def test_commas_and_equal_signs_inside_quotes_separate_nothing() -> None:
    retry = Call().challenged(401, 'Digest realm="a, b=c", domain="sip:x, sip:y", nonce="=,="')
    assert sent(retry).get("realm") == "a, b=c"
    assert sent(retry).get("nonce") == "=,="


def test_values_that_should_have_been_quoted_are_understood_and_then_quoted() -> None:
    retry = Call().challenged(401, 'digest REALM=cc , Nonce = n1==, algorithm="MD5", QOP=auth')
    params = sent(retry)
    assert (params.raw("realm"), params.raw("nonce"), params.raw("algorithm")) == ('"cc"', '"n1=="', "MD5")
    assert is_right(retry, params)


def test_names_and_passwords_may_be_any_text() -> None:
    credentials = Credentials('Jäsøn "J" Doe\\', "pässwörd ☎")
    retry = Call(credentials).challenged(401, challenge(realm="Zürich"))
    params = sent(retry)
    assert params.get("username") == credentials.username
    assert is_right(retry, params, credentials)
    assert 'username="Jäsøn \\"J\\" Doe\\\\"'.encode() in retry.encode()


def test_realm_octets_that_are_no_utf_8_go_back_as_they_came() -> None:
    realm = b"caf\xe9".decode("utf-8", "surrogateescape")
    retry = Call().challenged(401, challenge(realm=realm))
    assert b'realm="caf\xe9"' in retry.encode()
    assert is_right(retry, sent(retry))


# Secrets


def test_no_secret_is_shown() -> None:
    call = Call()
    call.challenged(401, challenge())
    rejected = call.refused(401, challenge())
    for shown in (CREDENTIALS, call.client, rejected, Challenge.parse_many(challenge())):
        assert SECRET not in f"{shown!r} {shown}"
    assert "acme" in repr(CREDENTIALS)
    assert str(rejected) == "rejected: 401 again for realm 'cc'"


@pytest.mark.parametrize(("username", "password"), [("acme", SECRET + "\ud800"), ("\ud800", SECRET)])
def test_credentials_that_cannot_be_encoded_are_refused_without_showing_them(
    username: str, password: str
) -> None:
    with pytest.raises(LocalError) as caught:
        Credentials(username, password)
    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("username", ["a\r\nX: y", "a\0", "\x7f"])
def test_a_username_with_control_characters_is_refused(username: str) -> None:
    with pytest.raises(LocalError):
        Credentials(username, SECRET)


def test_names_chosen_by_the_peer_do_not_flood_the_error() -> None:
    call = Call(Credentials("acme", SECRET, realm="cc"))
    assert len(str(call.refused(401, challenge(realm="x" * 60000)))) < 300


# Reading challenges


def test_challenges_of_a_response_come_in_order() -> None:
    lines = [f"{challenge('n1')}, {challenge('n2', 'b')}", challenge("n3")]
    response = Response(407, None, [("Proxy-Authenticate", line) for line in lines])
    assert [each.nonce for each in parse_challenges(response)] == ["n1", "n2", "n3"]


def test_a_response_that_is_no_challenge_has_none() -> None:
    assert parse_challenges(Response(200, None, [("WWW-Authenticate", challenge())])) == []


def test_a_response_whose_only_challenge_is_malformed_raises() -> None:
    with pytest.raises(RemoteError, match="400"):
        parse_challenges(Response(401, None, [("WWW-Authenticate", "Digest nonsense=")]))
