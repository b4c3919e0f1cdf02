"""Who a destination hears is calling: Privacy (RFC 3323), P-Asserted-Identity (RFC 3325), Identity (RFC 8224)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.events import Answered
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, World, play

ALICE = f"sip:+15551230000@{B2BUA}"
ASSERTED = "<sip:+15559990000@net.example>"
IDENTITY = (
    "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7InRuIjoi.c2lnbmF0dXJl;info=<https://cert.example/a.pem>;alg=ES256"
)
DATE = "Sat, 13 Nov 2027 23:29:00 GMT"


def invite_of(
    folder: Path,
    headers: tuple[tuple[str, str], ...],
    *,
    called: str = "desk",
    trunk: str = "",
    desk: str = "",
) -> Request:
    """The INVITE that the desk gets of a call with these headers, Alice being in its From."""
    main = CONFIGURATION.replace("    max_calls: 100\n", f"    max_calls: 100\n{trunk}").replace(
        "to: desk,", f'to: "{called}",'
    )
    destinations = (
        "front-desk:\n  default: true\n  method: invite\n  encryption: udp/rtp\n"
        f"  route: sip:operator@{DESK}\n{desk}billing:\n  method: bye\n"
    )
    main = main.replace("  - {trunk: acme-sbc, to: billing, destination: billing}\n", "")
    invites: list[Request] = []

    async def story(world: World) -> None:
        phone, sbc = await world.phone(DESK), await world.phone(SBC)
        session = sbc.call(called, headers=headers)
        await sbc.until(Answered)
        sbc.do(session.bye)
        await world.record()
        invites.extend(phone.invites())

    play(story, folder, main=main, destinations=destinations)
    (invite,) = invites
    return invite


TRUSTED_TRUNK = "    trusted: true\n"
TRUSTED_DESK = "  trusted: true\n"
FROM_US = '  from_user: "+15550001000"\n'


@pytest.mark.parametrize("privacy", ["id", "user", "header", "user;id;critical", "ID"])
def test_a_private_caller_is_anonymous_and_nothing_else_tells_who_it_is(tmp_path: Path, privacy: str) -> None:
    headers = (("Privacy", privacy), ("P-Asserted-Identity", ASSERTED))
    desk = "  headers: {X-Number: $caller_id}\n"
    invite = invite_of(tmp_path, headers, trunk=TRUSTED_TRUNK, desk=desk)
    assert (invite.from_.display, invite.from_.uri) == ("Anonymous", "sip:anonymous@anonymous.invalid")
    text = invite.encode().decode()
    for secret in ("15551230000", "15559990000", "Alice", "P-Asserted-Identity", "X-Number"):
        assert secret not in text
    assert "Privacy" not in invite.headers, (
        "it is done, and nobody after us has to do it (RFC 3323 section 5.1)"
    )


@pytest.mark.parametrize(
    "privacy", [(), (("Privacy", "none"),), (("Privacy", "session"),), (("Privacy", "history"),)]
)
def test_who_does_not_ask_for_it_is_shown(tmp_path: Path, privacy: tuple[tuple[str, str], ...]) -> None:
    invite = invite_of(tmp_path, privacy)
    assert (invite.from_.display, invite.from_.uri) == ("Alice", ALICE)


def test_who_is_trusted_hears_who_it_is_and_that_others_must_not(tmp_path: Path) -> None:
    headers = (("Privacy", "id"), ("P-Asserted-Identity", ASSERTED))
    desk = TRUSTED_DESK + "  headers: {X-Number: $caller_id}\n"
    invite = invite_of(tmp_path, headers, trunk=TRUSTED_TRUNK, desk=desk)
    assert invite.from_.uri == "sip:anonymous@anonymous.invalid"
    assert invite.headers.get("P-Asserted-Identity") == ASSERTED
    assert invite.headers.get("Privacy") == "id"
    assert invite.headers.get("X-Number") == "+15551230000"


@pytest.mark.parametrize(("trunk", "desk"), [("", TRUSTED_DESK), (TRUSTED_TRUNK, ""), ("", "")])
def test_an_asserted_identity_stays_among_those_who_trust_each_other(
    tmp_path: Path, trunk: str, desk: str
) -> None:
    invite = invite_of(tmp_path, (("P-Asserted-Identity", ASSERTED),), trunk=trunk, desk=desk)
    assert "P-Asserted-Identity" not in invite.headers


@pytest.mark.parametrize("trunk", ["", TRUSTED_TRUNK])
def test_a_preferred_identity_never_crosses(tmp_path: Path, trunk: str) -> None:
    """It is a phone's word to its own proxy (RFC 3325 section 9.2)."""
    headers = (("P-Preferred-Identity", ASSERTED),)
    invite = invite_of(tmp_path, headers, trunk=trunk, desk=TRUSTED_DESK)
    assert "P-Preferred-Identity" not in invite.headers


@pytest.mark.parametrize(
    ("privacy", "desk", "asserted"),
    [
        ((), "", f'"Alice" <{ALICE}>'),
        ((("Privacy", "id"),), "", None),
        ((("Privacy", "id"),), TRUSTED_DESK, f'"Alice" <{ALICE}>'),
    ],
)
def test_pitfall_17_the_callers_number_where_ours_took_its_place(
    tmp_path: Path, privacy: tuple[tuple[str, str], ...], desk: str, asserted: str | None
) -> None:
    invite = invite_of(tmp_path, privacy, desk=FROM_US + desk)
    assert invite.from_.uri == f"sip:+15550001000@{B2BUA}"
    assert invite.headers.get("P-Asserted-Identity") == asserted
    assert invite.headers.get("Privacy") == ("id" if desk and privacy else None)


def test_a_signed_identity_passes_with_all_that_was_signed(tmp_path: Path) -> None:
    headers = (("Identity", IDENTITY), ("Date", DATE))
    invite = invite_of(tmp_path, headers, called="+15557654321")
    assert invite.headers.get("Identity") == IDENTITY
    assert invite.headers.get("Date") == DATE
    assert invite.from_.parsed_uri.username == "+15551230000"  # type: ignore[union-attr]
    assert invite.to.uri == f"sip:+15557654321@{DESK}"
    assert invite.uri == f"sip:operator@{DESK}"


@pytest.mark.parametrize(
    ("called", "privacy", "desk"),
    [
        ("support", (), ""),
        ("+15557654321", (), FROM_US),
        ("+15557654321", (("Privacy", "id"),), ""),
        ("+15557654321", (), "  pass_headers: [X-*]\n"),
    ],
    ids=["a name is signed with its host", "our number is not theirs", "private", "not on the list"],
)
def test_a_signature_that_would_not_hold_stays_behind(
    tmp_path: Path, called: str, privacy: tuple[tuple[str, str], ...], desk: str
) -> None:
    headers = (("Identity", IDENTITY), ("Date", DATE), *privacy)
    invite = invite_of(tmp_path, headers, called=called, desk=desk)
    assert "Identity" not in invite.headers
    assert "Date" not in invite.headers
    assert invite.to.uri == f"sip:operator@{DESK}"


def test_the_compact_form_of_identity_is_the_same(tmp_path: Path) -> None:
    invite = invite_of(tmp_path, (("y", IDENTITY),), called="+15557654321")
    assert invite.headers.get("Identity") == IDENTITY
