"""The digest client: which challenges it answers, and when it stops (docs/interop.md, pitfalls by number)."""

from __future__ import annotations

import pytest

from sip_stack.auth import AuthRejected, Credentials
from sip_stack.auth.client import MAX_REALMS
from sip_stack.errors import LocalError
from sip_stack.message import Request, Response
from tests.support.challenged_call import SECRET, URI, Call, challenge, is_right, sent

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
