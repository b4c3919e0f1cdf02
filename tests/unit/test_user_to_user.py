"""User-to-User (RFC 7433) and the presets: what a destination may say of them, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config import Destination, destinations_schema
from b2bua.config.trunk import Method
from b2bua.headers import Dropped, HeaderRefused, RenderedHeaders, Variables, render
from b2bua.user_to_user import UserToUser
from tests.support.handoff_config import BYE, INVITE, REFER, handoff_files
from tests.support.kept_history import as_object

CALL = Variables(handoff_id="h-1", shared_id="s-1", destination="x", data={"name": "Zoë", "long": "a" * 129})


def rendered(place: Destination, method: Method) -> RenderedHeaders:
    return render(place.headers_of(method), {}, CALL)


def written(folder: Path, people: str, method: Method = "invite") -> dict[str, str]:
    """The custom headers that a request to this destination carries."""
    return dict(rendered(handoff_files(folder, people).load().destinations["x"], method).sent)


def user_to_user(value: UserToUser) -> str | None:
    sent = render({"User-to-User": value}, {}, CALL).sent
    return sent[0][1] if sent else None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (UserToUser("$shared_id"), "732d31;encoding=hex"),
        (UserToUser("$data.name"), "5a6fc3ab;encoding=hex"),
        (UserToUser("a\nb"), "610a62;encoding=hex"),
        (UserToUser("$shared_id", protocol_discriminator="04"), "04732d31;encoding=hex"),
        (
            UserToUser("$shared_id", purpose="isdn-uui", content="isdn-uui", protocol_discriminator="00"),
            "00732d31;encoding=hex;purpose=isdn-uui;content=isdn-uui",
        ),
        (UserToUser("$shared_id", "ascii", purpose="pop"), "s-1;encoding=ascii;purpose=pop"),
        (UserToUser('call "$shared_id"', "ascii"), r'"call \"s-1\"";encoding=ascii'),
        (UserToUser("$data.name", "ascii"), None),
        (UserToUser("$data.long"), f"{'61' * 129};encoding=hex"),
        (UserToUser("$data.long", purpose="isdn-uui"), None),
        (UserToUser("$reason"), None),
    ],
)
def test_what_is_written(value: UserToUser, text: str | None) -> None:
    assert user_to_user(value) == text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (UserToUser("$data.name", "ascii"), "not ASCII"),
        (UserToUser("$data.long", purpose="isdn-uui"), "longer than the 128 octets of isdn-uui"),
        (UserToUser("$reason"), "$reason has no value"),
    ],
)
def test_what_cannot_be_written_is_left_out_visibly(value: UserToUser, why: str) -> None:
    assert render({"User-to-User": value}, {}, CALL).dropped == [Dropped("User-to-User", why)]


def test_text_that_breaks_out_of_its_line_is_refused_where_it_is_not_encoded() -> None:
    with pytest.raises(HeaderRefused):
        user_to_user(UserToUser("a\r\nVia: evil", "ascii"))


def test_what_came_with_the_request_wins() -> None:
    sent = render({"User-to-User": UserToUser("$shared_id")}, {"user-to-user": "00;encoding=hex"}, CALL).sent

    assert sent == [("user-to-user", "00;encoding=hex")]


def test_a_destination_says_what_and_how(tmp_path: Path) -> None:
    keys = 'data: "$shared_id", encoding: ascii, purpose: pop, content: id'

    sent = written(tmp_path, f"{INVITE}  headers: {{X-A: $shared_id}}\n  user_to_user: {{{keys}}}\n")

    assert sent == {"X-A": "s-1", "User-to-User": "s-1;encoding=ascii;purpose=pop;content=id"}


@pytest.mark.parametrize("place", [INVITE, REFER, BYE])
def test_without_keys_it_is_the_id_of_the_handoff_in_hex(tmp_path: Path, place: str) -> None:
    method: Method = {INVITE: "invite", REFER: "refer", BYE: "bye"}[place]  # type: ignore[assignment]

    assert written(tmp_path, f"{place}  user_to_user: {{}}\n", method) == {
        "User-to-User": "682d31;encoding=hex"
    }


class TestGenesys:
    """A trunk of Genesys Cloud: User-to-User in hex, ISDN's package in an INVITE."""

    def test_in_an_invite(self, tmp_path: Path) -> None:
        assert written(tmp_path, f"{INVITE}  preset: genesys\n") == {
            "User-to-User": "00682d31;encoding=hex;purpose=isdn-uui;content=isdn-uui"
        }

    def test_in_a_refer_to(self, tmp_path: Path) -> None:
        assert written(tmp_path, f"{REFER}  preset: genesys\n", "refer") == {
            "User-to-User": "00682d31;encoding=hex"
        }

    def test_a_refer_that_becomes_an_invite_has_both_shapes(self, tmp_path: Path) -> None:
        people = f"{REFER}  refer_fallback: invite\n  encryption: udp/rtp\n  preset: genesys\n"

        assert written(tmp_path, people)["User-to-User"].endswith(";content=isdn-uui")
        assert written(tmp_path, people, "refer")["User-to-User"].endswith(";encoding=hex")

    def test_keys_beside_it_replace_its_own(self, tmp_path: Path) -> None:
        people = (
            f'{INVITE}  preset: genesys\n  user_to_user: {{data: $shared_id, protocol_discriminator: "04"}}\n'
        )

        assert written(tmp_path, people) == {
            "User-to-User": "04732d31;encoding=hex;purpose=isdn-uui;content=isdn-uui"
        }


class TestFive9:
    """A call taken back by BYE."""

    def test_the_bye_says_that_a_human_is_needed_and_where(self, tmp_path: Path) -> None:
        assert written(tmp_path, f"{BYE}  preset: five9\n", "bye") == {
            "X-contained": "false",
            "X-destination": "x",
        }

    def test_headers_beside_it_replace_its_own_in_any_case(self, tmp_path: Path) -> None:
        people = f"{BYE}  preset: five9\n  headers: {{X-Destination: $shared_id, X-More: a}}\n"

        assert written(tmp_path, people, "bye") == {
            "X-contained": "false",
            "X-Destination": "s-1",
            "X-More": "a",
        }

    def test_it_reads_ten_headers(self, tmp_path: Path) -> None:
        def people(more: int) -> str:
            return f"{BYE}  preset: five9\n  headers: {{{', '.join(f'X-{n}: a' for n in range(more))}}}\n"

        assert len(written(tmp_path, people(7), "bye")) == 9, "and X-Handoff-ID"
        (problem,) = handoff_files(tmp_path, people(8)).texts()
        assert "x.preset: five9 reads 10 custom headers and would get 11" in problem


@pytest.mark.parametrize(
    ("place", "line", "problem"),
    [
        (INVITE, "preset: five9", "x.preset: preset five9 is not for method invite; found"),
        (
            BYE,
            "preset: genesys",
            "x.preset: preset genesys is not for method bye; found",
        ),
        (INVITE, "preset: genesis", "did you mean 'genesys'?"),
        (INVITE, "user_to_user: {encodin: hex}", "x.user_to_user.encodin: unknown key"),
        (INVITE, "user_to_user: {encoding: base64}", "allowed: hex, ascii"),
        (INVITE, "user_to_user: {protocol_discriminator: 4}", "x.user_to_user.protocol_discriminator"),
        (
            INVITE,
            'user_to_user: {protocol_discriminator: "4"}',
            'two hexadecimal digits in quotes: "00", "04"',
        ),
        (INVITE, "user_to_user: {purpose: 'a;b'}", "x.user_to_user.purpose: "),
        (INVITE, 'user_to_user: {data: "a\\nb"}', "x.user_to_user.data: a control character in a header"),
        (
            INVITE,
            "headers: {user-to-user: a}\n  user_to_user: {}",
            "x.user_to_user: `headers` has User-to-User too; allowed: one of them",
        ),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, place: str, line: str, problem: str) -> None:
    texts = handoff_files(tmp_path, f"{place}  {line}\n").texts()

    assert len(texts) == 1
    assert texts[0].startswith("destinations.yaml:")
    assert problem in texts[0]


def test_editors_are_told() -> None:
    schema = as_object(as_object(destinations_schema()["$defs"])["UserToUserKeys"])

    assert set(as_object(schema["properties"])) == {
        "data",
        "encoding",
        "protocol_discriminator",
        "purpose",
        "content",
    }
