"""The digest client: what it answers, with what, and when it stops (docs/design.md 4.3.1; pitfalls by number)."""

from __future__ import annotations

import itertools

import pytest

from sip_stack.auth import (
    AuthRejected,
    Challenge,
    Credentials,
    DigestClient,
    algorithm_named,
    parse_challenges,
    response_value,
)
from sip_stack.auth import digest as digest_module
from sip_stack.auth.challenge import parse_schemes
from sip_stack.auth.client import MAX_REALMS
from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Params, Request, Response

URI = "sip:queue-1@cc.example.com:5070;transport=udp"
SECRET = "s3cr3t-passw0rd"
CREDENTIALS = Credentials("acme", SECRET)


class Call:
    """One INVITE usage and its peer: requests are made as the stack makes them, CSeq + 1 for each retry."""

    def __init__(self, credentials: Credentials | None = CREDENTIALS) -> None:
        cnonces = (f"cnonce-{number}" for number in itertools.count(1))
        self.client = DigestClient(credentials, lambda: next(cnonces))
        self.cseq = 0
        self.request = self.send("INVITE")

    def send(self, method: str, body: bytes = b"") -> Request:
        """A new request, taken up by the client."""
        self.cseq += 1
        self.request = Request(method, URI, [("CSeq", f"{self.cseq} {method}")], body)
        self.client.begin(self.request)
        return self.request

    def challenged(self, status: int, *challenges: str) -> Request:
        """The peer refuses the last request; returns the retry, or raises what the client raises."""
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        response = Response(status, None, [(name, text) for text in challenges])
        response.headers.add("CSeq", f"{self.cseq} {self.request.method}")
        self.cseq += 1
        retry = Request(self.request.method, self.request.uri, self.request.headers.copy(), self.request.body)
        retry.headers.set("CSeq", f"{self.cseq} {retry.method}")
        self.client.answer(response, retry)
        self.request = retry
        return retry

    def refused(self, status: int, *challenges: str) -> AuthRejected:
        """The peer refuses the last request, and the client gives up."""
        with pytest.raises(AuthRejected) as caught:
            self.challenged(status, *challenges)
        return caught.value


def challenge(nonce: str = "n1", realm: str = "cc", extra: str = 'qop="auth"') -> str:
    text = f'Digest realm="{realm}", nonce="{nonce}"'
    return f"{text}, {extra}" if extra else text


def sent(request: Request, name: str = "Authorization") -> Params:
    """The parameters of the only credentials of that name."""
    (line,) = request.headers.get_all(name)
    ((scheme, params),) = parse_schemes(line)
    assert scheme == "Digest"
    return params


def is_right(request: Request, params: Params, credentials: Credentials = CREDENTIALS) -> bool:
    """Whether the response hash is what the peer computes from what it received."""
    algorithm = algorithm_named(params.get("algorithm"))
    assert algorithm is not None
    return params.get("response") == response_value(
        algorithm,
        username=credentials.username,
        password=credentials.password,
        realm=params.get("realm") or "",
        nonce=params.get("nonce") or "",
        method=request.method,
        uri=request.uri,
        qop=params.get("qop"),
        nonce_count=params.get("nc") or "",
        cnonce=params.get("cnonce") or "",
        body=request.body,
    )


# What is sent


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


# When a challenge is answered again, and when not


def test_a_wrong_password_is_sent_once_although_the_nonce_is_new() -> None:
    call = Call()
    call.challenged(407, challenge("n1"))
    assert call.refused(407, challenge("n2")).reason == "rejected"


def test_a_wrong_password_is_sent_once_when_the_nonce_is_the_same() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    assert call.refused(401, challenge("n1")).reason == "rejected"


def test_a_weaker_algorithm_is_not_tried_after_a_stronger_was_refused() -> None:
    call = Call()
    offers = [challenge(extra=f'algorithm={name}, qop="auth"') for name in ("SHA-256", "MD5")]
    call.challenged(401, *offers)
    assert call.refused(401, *offers).reason == "rejected"


def test_a_refused_realm_ends_it_although_another_realm_is_new() -> None:
    call = Call()
    call.challenged(407, challenge("a1", "a"))
    assert call.refused(407, challenge("a2", "a"), challenge("b1", "b")).reason == "rejected"


@pytest.mark.parametrize("stale", ["stale=true", "stale=TRUE", 'stale="True"'])
def test_pitfall_5_stale_is_answered_with_the_new_nonce(stale: str) -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    params = sent(call.challenged(401, challenge("n2", extra=f'qop="auth", {stale}')))
    assert (params.get("nonce"), params.raw("nc"), params.get("cnonce")) == ("n2", "00000001", "cnonce-2")


def test_pitfall_5_stale_false_is_a_refusal() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    assert call.refused(401, challenge("n2", extra="stale=false")).reason == "rejected"


def test_pitfall_5_a_wrong_password_after_stale_is_a_refusal() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    call.challenged(401, challenge("n2", extra="stale=true"))
    assert call.refused(401, challenge("n3")).reason == "rejected"


def test_pitfall_6_a_peer_that_always_says_stale_gets_three_requests() -> None:
    call = Call()
    for number in range(3):
        call.challenged(401, challenge(f"n{number}", extra="stale=true"))
    assert call.refused(401, challenge("n4", extra="stale=true")).reason == "too_many_attempts"


def test_pitfall_6_the_count_is_shared_by_401_and_407_and_by_all_realms() -> None:
    call = Call()
    call.challenged(407, challenge(realm="a"))
    call.challenged(401, challenge(realm="b"))
    call.challenged(407, challenge(realm="c"))
    assert call.refused(401, challenge(realm="d")).reason == "too_many_attempts"


def test_pitfall_6_a_peer_that_garbles_the_cseq_gets_no_fresh_count() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    response = Response(401, None, [("CSeq", "4711 INVITE"), ("WWW-Authenticate", challenge("n2"))])
    with pytest.raises(AuthRejected) as caught:
        call.client.answer(response, call.request)
    assert caught.value.reason == "rejected"


def test_a_nonce_that_comes_again_as_stale_is_counted_on() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    assert sent(call.challenged(401, challenge("n1", extra='qop="auth", stale=true'))).raw("nc") == "00000002"


# Requests inside the dialog


def test_pitfall_14_a_bye_carries_the_known_nonce_and_counts_it() -> None:
    call = Call()
    call.challenged(407, challenge("n1"))
    bye = call.send("BYE")
    params = sent(bye, "Proxy-Authorization")
    assert (params.get("nonce"), params.raw("nc")) == ("n1", "00000002")
    assert is_right(bye, params)


def test_pitfall_14_a_bye_refused_with_the_known_nonce_is_tried_once_more() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    call.send("BYE")
    assert sent(call.challenged(401, challenge("n2"))).get("nonce") == "n2"
    assert call.refused(401, challenge("n3")).reason == "rejected"


def test_pitfall_14_the_known_nonce_counts_as_one_of_three() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    call.send("BYE")
    call.challenged(401, challenge("n2", extra="stale=true"))
    call.challenged(401, challenge("n3", extra="stale=true"))
    assert call.refused(401, challenge("n4", extra="stale=true")).reason == "too_many_attempts"


def test_pitfall_14_a_new_request_has_a_count_of_its_own() -> None:
    call = Call()
    for number in range(3):
        call.challenged(401, challenge(f"n{number}", extra="stale=true"))
    call.send("BYE")
    assert sent(call.challenged(401, challenge("n4"))).get("nonce") == "n4"


def test_pitfall_14_a_dialog_that_was_not_challenged_before_answers_its_first_challenge() -> None:
    call = Call()
    call.send("BYE")
    assert "Authorization" in call.challenged(401, challenge()).headers


def test_two_requests_at_once_are_judged_apart() -> None:
    call = Call()
    info = call.send("INFO")
    call.send("BYE")
    call.challenged(401, challenge("n1"))
    # The INFO was sent before any challenge was known: its own is its first.
    response = Response(401, None, [("CSeq", "2 INFO"), ("WWW-Authenticate", challenge("n2"))])
    retry = Request("INFO", URI, [("CSeq", "5 INFO")])
    call.client.answer(response, retry)
    assert "Authorization" not in info.headers
    assert sent(retry).get("nonce") == "n2"


def test_a_request_that_was_never_taken_up_is_judged_by_itself() -> None:
    call = Call()
    call.challenged(401, challenge("n1"))
    response = Response(401, None, [("CSeq", "77 BYE"), ("WWW-Authenticate", challenge("n2"))])
    bye = Request("BYE", URI, [("CSeq", "78 BYE")])
    call.client.answer(response, bye)
    assert sent(bye).get("nonce") == "n2"


def test_pitfall_13_the_ack_repeats_the_credentials_of_the_invite() -> None:
    call = Call()
    assert call.client.ack_headers() == []
    call.challenged(407, challenge("p1", "proxy"))
    invite = call.challenged(401, challenge("u1", "callee"))
    call.send("INFO")
    assert call.client.ack_headers() == [
        ("Proxy-Authorization", invite.headers.get("Proxy-Authorization")),
        ("Authorization", invite.headers.get("Authorization")),
    ]


def test_a_session_algorithm_keeps_its_cnonce_while_the_nonce_lasts() -> None:
    call = Call()
    first = sent(call.challenged(401, challenge(extra='algorithm=MD5-sess, qop="auth"')))
    bye = call.send("BYE")
    assert sent(bye).get("cnonce") == first.get("cnonce")
    assert is_right(bye, sent(bye))


def test_the_memory_of_realms_and_requests_is_bounded() -> None:
    call = Call()
    for number in range(50):
        call.send("INFO")
        call.challenged(401, challenge(realm=f"realm {number}"))
    assert len(call.send("BYE").headers.get_all("Authorization")) == MAX_REALMS
    assert len(call.client._requests) < 20


# What is not answered


@pytest.mark.parametrize("status", [401, 407])
def test_pitfall_10_no_challenge_is_a_plain_rejection(status: int) -> None:
    assert Call().refused(status).reason == "no_challenge"


@pytest.mark.parametrize(
    "line", ["", "Digest", 'Digest realm="a"', 'Digest nonce="n"', 'Digest realm="a, nonce="n"', 'realm="a"']
)
def test_pitfall_10_a_challenge_that_cannot_be_read_is_none(line: str) -> None:
    assert Call().refused(401, line).reason == "no_challenge"


def test_a_challenge_that_cannot_be_read_does_not_hide_another() -> None:
    assert sent(Call().challenged(401, 'Digest realm="a', challenge("n1"))).get("nonce") == "n1"


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (challenge(extra="algorithm=AKAv1-MD5"), "'AKAv1-MD5'"),
        (challenge(extra='qop="auth-conf"'), "qop 'auth-conf'"),
        ('Basic realm="cc"', "'Basic'"),
        ("Negotiate YII==", "'Negotiate'"),
    ],
)
def test_only_what_we_cannot_do_is_named(line: str, detail: str) -> None:
    rejected = Call().refused(401, line)
    assert rejected.reason == "unsupported_algorithm"
    assert detail in rejected.detail


def test_other_schemes_beside_digest_are_passed_over() -> None:
    line = f'Negotiate YII==, Basic realm="b", {challenge("n1")}'
    assert sent(Call().challenged(401, line)).get("nonce") == "n1"


def test_without_credentials_nothing_is_answered() -> None:
    assert Call(None).refused(401, challenge()).reason == "no_credentials"


def test_credentials_for_one_realm_are_not_given_to_another() -> None:
    call = Call(Credentials("acme", SECRET, realm="cc"))
    assert call.refused(401, challenge(realm="evil")).reason == "realm_mismatch"
    retry = call.challenged(401, challenge(realm="evil"), challenge(realm="cc"))
    assert sent(retry).get("realm") == "cc"


def test_another_status_is_our_mistake() -> None:
    with pytest.raises(LocalError):
        Call().client.answer(Response(403, None, [("CSeq", "1 INVITE")]), Call().request)


def test_a_refused_retry_is_left_without_new_credentials() -> None:
    call = Call()
    retry = Request("INVITE", URI, [("CSeq", "2 INVITE")])
    with pytest.raises(AuthRejected):
        call.client.answer(Response(401, None, [("CSeq", "1 INVITE")]), retry)
    assert "Authorization" not in retry.headers


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
