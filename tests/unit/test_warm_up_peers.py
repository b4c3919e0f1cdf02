"""What the peers of the warm-up say: a call that is answered, one that is asked for a password, one inside a dialog."""

from __future__ import annotations

from b2bua.warm_up.peers import Answer, Callee, Caller, audio_port, is_to_bye
from sip_stack.auth.challenge import parse_schemes
from sip_stack.message import Request, Response, parse_message
from sip_stack.message.check import check_request
from sip_stack.sdp import parse

CALLER, SERVER, CALLEE = ("127.0.0.1", 6001), ("127.0.0.1", 5060), ("127.0.0.1", 6002)


def request(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    check_request(message)
    return message


def responses(data: list[bytes]) -> list[Response]:
    messages = [parse_message(each) for each in data]
    return [each for each in messages if isinstance(each, Response)]


def test_a_call_from_invite_to_bye() -> None:
    caller, callee = Caller(CALLER, SERVER), Callee(CALLEE)
    invite = caller.invite(7, "desk")
    assert str(request(invite).request_uri) == "sip:desk@127.0.0.1:5060"
    assert parse(request(invite).body).media[0].port == audio_port(invite) == 9

    ringing, ok = responses(callee.hear(invite))
    assert (ringing.status, ok.status) == (180, 200)
    assert ringing.to.tag == ok.to.tag == "callee"
    assert parse(ok.body).media[0].lines.formats == ("0",)

    answer = Answer.of(callee.hear(invite)[1])
    assert answer == Answer(7, "desk", "sip:callee@127.0.0.1:6002", ";tag=callee")
    ack, bye = request(caller.ack(answer)), request(caller.bye(answer))
    assert (ack.method, ack.cseq.number, ack.to.tag) == ("ACK", 1, "callee")
    assert (bye.method, bye.cseq.number, str(bye.request_uri)) == ("BYE", 2, answer.uri)
    assert ack.headers.get("Via") != request(invite).headers.get("Via")

    assert callee.hear(caller.ack(answer)) == []
    (gone,) = callee.hear(caller.bye(answer))
    assert is_to_bye(gone)
    assert Answer.of(gone).number == 7


def test_who_calls_the_guarded_one_is_asked_for_a_password_first() -> None:
    callee = Callee(CALLEE)
    invite = Caller(CALLER, SERVER).invite(1, "guarded")
    (challenge,) = responses(callee.hear(invite))
    assert challenge.status == 407
    schemes = [parse_schemes(line)[0] for line in challenge.headers.get_all("Proxy-Authenticate")]
    assert [params.get("algorithm") for _, params in schemes] == ["SHA-256", "MD5"]

    head, _, rest = invite.partition(b"\r\nMax-Forwards")
    again = head + b"\r\nProxy-Authorization: Digest username=x\r\nMax-Forwards" + rest
    assert [each.status for each in responses(callee.hear(again))] == [180, 200]


def test_an_offer_inside_a_dialog_is_answered_without_ringing() -> None:
    invite = Caller(CALLER, SERVER).invite(1, "desk").replace(b"5060>\r\nCall", b"5060>;tag=here\r\nCall")
    (ok,) = responses(Callee(CALLEE).hear(invite))
    assert (ok.status, ok.to.tag) == (200, "here")
