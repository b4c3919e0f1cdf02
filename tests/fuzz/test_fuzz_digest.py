"""Challenges and credentials of any shape are read or refused with our own error, and answers can be read back."""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from sip_stack.auth import AuthRejected, Credentials, DigestClient, DigestServer, parse_challenges
from sip_stack.auth.challenge import parse_schemes
from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import Headers, Request, Response, parse_message, quote, unquote

URI = "sip:a@b.example"

NAMES = st.sampled_from(
    ["realm", "nonce", "opaque", "algorithm", "qop", "stale", "domain", "Realm", "NONCE", "x", "uri", "nc"]
)
VALUES = st.one_of(
    st.sampled_from(
        ["MD5", '"MD5"', "SHA-256-sess", '"auth"', '"auth,auth-int"', "auth-int", "true", '""', "", "1"]
    ),
    st.text(max_size=20).map(quote),
    st.text(alphabet="ab\"\\,= \t<>;\x00é'", max_size=10),
)
SEPARATORS = st.sampled_from([", ", ",", " ", ",,", " , ", ""])
SCHEMES = st.sampled_from(
    ["Digest ", "Digest ", "digest\t", "DIGEST", "Basic ", "Negotiate abc==", "Digest realm=r,nonce=n,"]
)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Something between a sound header line and nonsense."""
    text = ""
    for _ in range(draw(st.integers(0, 3))):
        text += draw(SCHEMES)
        for _ in range(draw(st.integers(0, 5))):
            text += f"{draw(NAMES)}={draw(VALUES)}{draw(SEPARATORS)}"
    return text


LINES = st.lists(st.one_of(lines(), st.text(max_size=60)), max_size=4)


def headers_of(name: str, texts: list[str]) -> Headers:
    """Header lines as they could arrive: text that no message can hold is left out."""
    headers = Headers([("CSeq", "1 INVITE")])
    for text in texts:
        try:
            headers.add(name, text)
        except LocalError:
            assume(False)
    return headers


@given(LINES)
def test_challenges_are_read_or_refused(texts: list[str]) -> None:
    response = Response(401, None, headers_of("WWW-Authenticate", texts))
    challenges, status = [], 400
    try:
        challenges = parse_challenges(response)
    except RemoteError as error:
        status = error.status_hint
    assert status == 400
    for challenge in challenges:
        assert isinstance(challenge.realm, str)
        assert isinstance(challenge.nonce, str)
        assert isinstance(challenge.stale, bool)
        assert all(option == option.strip().lower() for option in challenge.qop_options)


@given(LINES, st.text(max_size=10), st.text(max_size=10))
@example(['Digest realm="\\\\", nonce="\\"", opaque=a'], '"', "")
def test_an_answer_survives_the_wire_and_echoes_what_it_answers(
    texts: list[str], username: str, password: str
) -> None:
    try:
        credentials = Credentials(username, password)
    except LocalError:
        assume(False)
    response = Response(401, None, headers_of("WWW-Authenticate", texts))
    request = Request("INVITE", URI, [("CSeq", "2 INVITE")])
    reason = None
    try:
        DigestClient(credentials, lambda: "c").answer(response, request)
    except AuthRejected as rejected:
        reason = rejected.reason
    assert reason in (None, "no_challenge", "unsupported_algorithm")
    assert (reason is None) == ("Authorization" in request.headers)
    if reason is not None:
        return
    received = parse_message(request.encode())
    offers = {(each.realm, each.nonce, each.params.get("opaque")) for each in parse_challenges(response)}
    for line in received.headers.get_all("Authorization"):
        ((scheme, params),) = parse_schemes(line)
        assert scheme == "Digest"
        assert params.get("username") == username
        assert params.get("uri") == URI
        assert (params.get("realm"), params.get("nonce"), params.get("opaque")) in offers


@given(LINES)
def test_the_server_judges_any_credentials_without_an_error(texts: list[str]) -> None:
    server = DigestServer("r", secret=b"key", token=lambda: "t")
    request = Request("INVITE", URI, headers_of("Authorization", texts))
    verdict = server.verify(request, 0.0, {"": "", "x": "y"}.get)
    assert verdict.result in ("missing", "refused")


@given(st.text(max_size=40))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text
