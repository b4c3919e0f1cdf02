"""The digest server: whom it believes. Its other side is our own client, which the RFC vectors check."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from sip_stack.auth import Credentials, DigestClient, DigestServer, Verdict
from sip_stack.auth import server as server_module
from sip_stack.auth.challenge import parse_schemes
from sip_stack.errors import LocalError
from sip_stack.message import Request, Response

URI = "sip:support@b2bua.example.com:5060"
PASSWORDS = {"acme": "right", "other": "else", "Jäsøn": "pässwörd"}
RIGHT = Credentials("acme", "right")
MakeServer = Callable[..., DigestServer]


@pytest.fixture
def make_server() -> MakeServer:
    numbers = itertools.count()

    def make(realm: str = "b2bua", secret: bytes = b"key", **settings: object) -> DigestServer:
        return DigestServer(realm, secret=secret, token=lambda: f"token{next(numbers)}", **settings)  # type: ignore[arg-type]

    return make


class Peer:
    """A peer with credentials: one dialog of requests that answer the server's challenges."""

    def __init__(self, credentials: Credentials = RIGHT, status: int = 401) -> None:
        self.client = DigestClient(credentials, lambda: "cnonce")
        self.status = status

    def request(self, method: str = "INVITE", uri: str = URI, cseq: int = 1) -> Request:
        request = Request(method, uri, [("CSeq", f"{cseq} {method}")])
        self.client.begin(request)
        return request

    def answer(self, challenges: list[tuple[str, str]], uri: str = URI) -> Request:
        request = Request("INVITE", uri, [("CSeq", "2 INVITE")])
        self.client.answer(Response(self.status, None, [*challenges, ("CSeq", "1 INVITE")]), request)
        return request


def changed(request: Request, old: str, new: str) -> Request:
    """The request with something in its credentials changed on the way."""
    line = request.headers.get("Authorization")
    assert line is not None
    assert old in line
    request.headers.set("Authorization", line.replace(old, new))
    return request


def test_a_request_without_credentials_is_challenged_and_not_a_failure(make_server: MakeServer) -> None:
    assert make_server().verify(Peer().request(), 0.0, PASSWORDS.get) == Verdict("missing")


def test_challenges_offer_the_strongest_algorithm_first_with_one_nonce(make_server: MakeServer) -> None:
    server = make_server(realm='say "hi"')
    challenges = server.challenges(12.5)
    assert [name for name, _ in challenges] == ["WWW-Authenticate", "WWW-Authenticate"]
    offers = [parse_schemes(text)[0][1] for _, text in challenges]
    assert [offer.raw("algorithm") for offer in offers] == ["SHA-256", "MD5"]
    assert {offer.get("realm") for offer in offers} == {'say "hi"'}
    assert len({offer.get("nonce") for offer in offers}) == 1
    assert server.challenges(12.5) != challenges, "each challenge has a nonce of its own"


@pytest.mark.parametrize("algorithms", [["MD5"], ["SHA-256"], ["SHA-512-256", "MD5"], ["SHA-256-sess"]])
@pytest.mark.parametrize("status", [401, 407])
def test_right_credentials_are_accepted(make_server: MakeServer, algorithms: list[str], status: int) -> None:
    server = make_server(algorithms=algorithms, status=status)
    assert server.status == status
    answer = Peer(status=status).answer(server.challenges(0.0))
    assert server.verify(answer, 0.1, PASSWORDS.get) == Verdict("accepted", "acme")


def test_names_and_passwords_may_be_any_text(make_server: MakeServer) -> None:
    server = make_server()
    answer = Peer(Credentials("Jäsøn", "pässwörd")).answer(server.challenges(0.0))
    assert server.verify(answer, 0.0, PASSWORDS.get) == Verdict("accepted", "Jäsøn")


@pytest.mark.parametrize("credentials", [Credentials("acme", "wrong"), Credentials("nobody", "right")])
def test_a_wrong_password_and_an_unknown_name_look_the_same(
    make_server: MakeServer, credentials: Credentials
) -> None:
    server = make_server()
    answer = Peer(credentials).answer(server.challenges(0.0))
    assert server.verify(answer, 0.0, PASSWORDS.get) == Verdict("refused")


def test_an_unknown_name_is_not_let_in_with_an_empty_password(make_server: MakeServer) -> None:
    server = make_server()
    answer = Peer(Credentials("nobody", "")).answer(server.challenges(0.0))
    assert server.verify(answer, 0.0, PASSWORDS.get) == Verdict("refused")


def test_an_old_nonce_is_stale_only_for_who_knows_the_password(make_server: MakeServer) -> None:
    server = make_server(nonce_lifetime=30.0)
    challenges = server.challenges(1000.0)
    assert server.verify(Peer().answer(challenges), 1031.0, PASSWORDS.get) == Verdict("stale")
    wrong = Peer(Credentials("acme", "wrong")).answer(challenges)
    assert server.verify(wrong, 1031.0, PASSWORDS.get) == Verdict("refused")
    assert server.verify(Peer().answer(challenges), 1029.0, PASSWORDS.get) == Verdict("accepted", "acme")


def test_a_stale_challenge_says_so_and_is_answered_by_the_client(make_server: MakeServer) -> None:
    server = make_server()
    peer = Peer()
    peer.answer(server.challenges(0.0))
    again = peer.answer(server.challenges(100.0, stale=True))
    assert server.verify(again, 100.0, PASSWORDS.get) == Verdict("accepted", "acme")


def test_a_nonce_signed_with_another_key_is_stale(make_server: MakeServer) -> None:
    challenges = make_server(secret=b"before the restart").challenges(0.0)
    assert make_server().verify(Peer().answer(challenges), 0.0, PASSWORDS.get) == Verdict("stale")


def test_a_nonce_of_another_realm_is_stale(make_server: MakeServer) -> None:
    challenges = make_server(realm="elsewhere").challenges(0.0)
    moved = [(name, line.replace("elsewhere", "b2bua")) for name, line in challenges]
    assert make_server().verify(Peer().answer(moved), 0.0, PASSWORDS.get) == Verdict("stale")


@pytest.mark.parametrize("nonce", ["", "x", "..", "0.a.b", "ffff", "é.è.à"])
def test_a_nonce_that_is_none_of_ours_is_stale(make_server: MakeServer, nonce: str) -> None:
    server = make_server(algorithms=["MD5"])
    challenge = f'Digest realm="b2bua", nonce="{nonce}", qop="auth"'
    answer = Peer().answer([("WWW-Authenticate", challenge)])
    assert server.verify(answer, 0.0, PASSWORDS.get) == Verdict("stale")


def test_a_replayed_request_is_not_accepted_again(make_server: MakeServer) -> None:
    server = make_server()
    answer = Peer().answer(server.challenges(0.0))
    assert server.verify(answer, 0.0, PASSWORDS.get).result == "accepted"
    assert server.verify(answer, 0.0, PASSWORDS.get).result == "stale"


def test_a_nonce_serves_a_dialog_while_its_count_rises(make_server: MakeServer) -> None:
    server = make_server()
    peer = Peer()
    requests = [
        peer.answer(server.challenges(0.0)),
        peer.request("INFO", cseq=3),
        peer.request("BYE", cseq=4),
    ]
    first, second, third = requests
    assert server.verify(first, 0.0, PASSWORDS.get).result == "accepted"
    assert server.verify(third, 0.0, PASSWORDS.get).result == "accepted"
    assert server.verify(second, 0.0, PASSWORDS.get).result == "stale"


def test_a_client_that_does_not_count_can_use_a_nonce_once(make_server: MakeServer) -> None:
    server = make_server()
    ((_, challenge), _) = server.challenges(0.0)
    old_form = [("WWW-Authenticate", challenge.replace('qop="auth", ', ""))]
    assert server.verify(Peer().answer(old_form), 0.0, PASSWORDS.get).result == "accepted"
    assert server.verify(Peer().answer(old_form), 0.0, PASSWORDS.get).result == "stale"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000g"),
        ("nc=00000001", "nc=+0000001"),
        ("nc=00000001", "nc=00000002"),
        ("nc=00000001, ", ""),
        ("qop=auth", "qop=auth-int"),
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ("algorithm=SHA-256", "algorithm=unheard-of"),
        ('response="', 'response="é'),
        ('cnonce="cnonce"', 'cnonce="another"'),
        ('cnonce="cnonce"', 'cnonce="\udcff"'),
        ('username="acme"', 'username="other"'),
        ('username="acme"', 'username="\\\0"'),
    ],
)
def test_changed_credentials_are_refused(make_server: MakeServer, old: str, new: str) -> None:
    server = make_server()
    answer = changed(Peer().answer(server.challenges(0.0)), old, new)
    assert server.verify(answer, 0.0, PASSWORDS.get) == Verdict("refused")


def test_a_weaker_algorithm_than_those_offered_is_refused(make_server: MakeServer) -> None:
    server = make_server(algorithms=["SHA-256"])
    ((name, challenge),) = server.challenges(0.0)
    downgraded = Peer().answer([(name, challenge.replace("SHA-256", "MD5"))])
    assert server.verify(downgraded, 0.0, PASSWORDS.get) == Verdict("refused")


def test_another_method_is_refused(make_server: MakeServer) -> None:
    server = make_server()
    answer = Peer().answer(server.challenges(0.0))
    moved = Request("BYE", URI, answer.headers)
    assert server.verify(moved, 0.0, PASSWORDS.get) == Verdict("refused")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (URI, "accepted"),
        ("sip:support@b2bua.example.com", "accepted"),
        ("sip:support@B2BUA.example.com;transport=udp", "accepted"),
        ("sip:premium@b2bua.example.com:5060", "refused"),
        ("sip:support@elsewhere.example.com", "refused"),
        ("tel:+1555", "refused"),
        ("nonsense", "refused"),
    ],
)
def test_credentials_are_for_one_callee(make_server: MakeServer, uri: str, expected: str) -> None:
    server = make_server()
    answer = Peer().answer(server.challenges(0.0), uri)
    received = Request("INVITE", URI, answer.headers)
    assert server.verify(received, 0.0, PASSWORDS.get).result == expected


def test_credentials_for_other_realms_are_none_of_ours(make_server: MakeServer) -> None:
    server = make_server()
    elsewhere = Peer().answer(make_server(realm="elsewhere").challenges(0.0))
    assert server.verify(elsewhere, 0.0, PASSWORDS.get) == Verdict("missing")
    ours = Peer().answer(server.challenges(0.0)).headers.get("Authorization")
    assert ours is not None
    elsewhere.headers.add("Authorization", ours)
    assert server.verify(elsewhere, 0.0, PASSWORDS.get) == Verdict("accepted", "acme")


@pytest.mark.parametrize("line", ["", "Digest", 'Digest realm="b2bua', "Digest =", "Basic YWNtZTpyaWdodA=="])
def test_credentials_that_cannot_be_read_are_none(make_server: MakeServer, line: str) -> None:
    request = Peer().request()
    request.headers.add("Authorization", line)
    assert make_server().verify(request, 0.0, PASSWORDS.get) == Verdict("missing")


def test_credentials_with_nothing_but_the_realm_are_refused(make_server: MakeServer) -> None:
    request = Peer().request()
    request.headers.add("Authorization", 'Digest realm="b2bua"')
    assert make_server().verify(request, 0.0, PASSWORDS.get) == Verdict("refused")


def test_the_memory_of_nonces_is_bounded_and_forgets_nothing_that_could_be_replayed(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_NONCES", 10)
    server = make_server(nonce_lifetime=60.0)
    answers = [Peer().answer(server.challenges(float(second))) for second in range(30)]
    for second, answer in enumerate(answers):
        assert server.verify(answer, float(second), PASSWORDS.get).result == "accepted"
        assert len(server._counts) <= 10
    for answer in answers:
        assert server.verify(answer, 30.0, PASSWORDS.get).result == "stale"


def test_expired_nonces_are_forgotten_before_those_in_use(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MAX_NONCES", 10)
    server = make_server(nonce_lifetime=5.0)
    for second in range(30):
        unused_so_far = Peer().answer(server.challenges(float(second)))
        answer = Peer().answer(server.challenges(float(second)))
        assert server.verify(answer, float(second), PASSWORDS.get).result == "accepted"
    assert server.verify(unused_so_far, 29.0, PASSWORDS.get).result == "accepted"


def test_an_algorithm_that_this_python_lacks_is_our_mistake(make_server: MakeServer) -> None:
    with pytest.raises(LocalError):
        make_server(algorithms=["SHA-3"])


def test_no_secret_is_shown(make_server: MakeServer) -> None:
    server = make_server(secret=b"hmac-key")
    assert "hmac-key" not in repr(server)
