"""Destinations, and how they hang together with routes, trunks and each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

GATEWAY = """\
  gateway:
    outbound:
      uri: sip:gw.acme.example:5080;transport=udp
      auth: {username: us, password: gw-secret}
      from_user: "+15550001000"
"""
WITH_GATEWAY = MAIN.replace("trunks:\n", f"trunks:\n{GATEWAY}")


def place(name: str, *lines: str, route: str = "sip:x@pbx.example.com") -> str:
    keys = ["method: invite", "encryption: udp/rtp", f"route: {route}", *lines]
    return f"{name}:\n" + "".join(f"  {line}\n" for line in keys)


def test_a_destination_says_where_and_how_to_dial(tmp_path: Path) -> None:
    billing = place(
        "billing",
        "auth: {username: acme, password: secret, realm: cc}",
        "from_user: '4711'",
        "headers: {X-Reason: $reason, User-to-User: 00}".replace("00", "'00'"),
        "fallback: desk",
        "ring_timeout: 10s",
        route="[sip:q1@cc.example.com, 'sip:q2@[2001:db8::1]:5070;transport=udp']",
    )
    configuration = ConfigFiles(tmp_path, destinations=DESTINATIONS + billing).load()

    billing_ = configuration.destinations["billing"]
    assert billing_.name == "billing"
    assert billing_.method == "invite"
    assert billing_.encryption == "udp/rtp"
    assert billing_.route == ("sip:q1@cc.example.com", "sip:q2@[2001:db8::1]:5070;transport=udp")
    assert billing_.auth is not None
    assert (billing_.auth.username, billing_.auth.password.get_secret_value(), billing_.auth.realm) == (
        "acme",
        "secret",
        "cc",
    )
    assert dict(billing_.headers) == {"X-Reason": "$reason", "User-to-User": "00"}
    assert billing_.fallback == "desk"
    assert configuration.default_destination.name == "desk"


def test_a_number_is_dialled_at_its_trunk_and_as_the_trunk_says(tmp_path: Path) -> None:
    phones = place(
        "phones", "trunk: gateway", route="['+1 (555) 000-1234', 'tel:+1-555-000-5678', sip:a@b.example]"
    )
    configuration = ConfigFiles(tmp_path, main=WITH_GATEWAY, destinations=DESTINATIONS + phones).load()

    destination = configuration.destinations["phones"]
    assert destination.name == "phones"
    assert destination.route == (
        "sip:+15550001234@gw.acme.example:5080;transport=udp",
        "sip:+15550005678@gw.acme.example:5080;transport=udp",
        "sip:a@b.example",
    )
    assert destination.auth is not None
    assert destination.auth.username == "us"
    assert destination.from_user == "+15550001000"


def test_a_destination_at_a_trunk_may_have_an_identity_of_its_own(tmp_path: Path) -> None:
    phones = place(
        "phones", "trunk: gateway", "auth: {username: me, password: x}", "from_user: me", route="'5551234'"
    )
    configuration = ConfigFiles(tmp_path, main=WITH_GATEWAY, destinations=DESTINATIONS + phones).load()

    destination = configuration.destinations["phones"]
    assert destination.auth is not None
    assert (destination.auth.username, destination.from_user) == ("me", "me")


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ("sips:x@y", "sips: needs TLS, and udp/rtp is unencrypted"),
        ("sip:x@y;transport=tls", "transport=tls needs TLS"),
        ("sip:x@y;transport=ws", "an unknown transport"),
        ("x@y.example", "not a URI; found 'x@y.example'; allowed: sip:user@host"),
        ("x@y.example", "did you mean 'sip:x@y.example'?"),
        ("sip:pbx.example.com", "a URI without a user"),
        ("sip:x@y?X-A=b", "headers in a URI"),
        ("sip:x:pw@y", "a password in a URI is sent and logged in clear; found 'sip:x:…@y'"),
        ("http://x", "not a URI that can be dialled"),
        ("sip:x@y:0", "not a URI"),
        ("sip:x@y:70000", "not a URI, for its port; found 'sip:x@y:70000'; allowed: a port from 1 to 65535"),
        ("sip:x@2001:db8::1", "an IPv6 address in brackets: sip:user@[2001:db8::1]:5060"),
        ("sip:jörg@y", "a URI with other than ASCII characters"),
        ("tel:", "not a URI"),
        ("'+15551234'", "a bare number says not where to dial it; found '+15551234'"),
        ("tel:+15551234", "a bare number says not where to dial it"),
        ("15551234", "found the number 15551234; allowed: text, in quotes"),
        ("[]", "x.route: empty"),
        ("{sip: x}", "x.route: of the wrong kind; found a mapping; allowed: a list"),
        ("[sip:a@b, 5]", "x.route[1]: of the wrong kind"),
    ],
)
def test_what_cannot_be_dialled(tmp_path: Path, route: str, problem: str) -> None:
    quoted = f'"{route}"' if route.startswith(("sip:x@y?", "tel:")) else route
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + place("x", route=quoted))

    (text,) = files.texts()

    assert text.startswith("destinations.yaml:9:")
    assert problem in text


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("encryption: tls/rtp", "x.route: needs a listener for tls"),
        ("tls: {verify: false}", "x.tls: means nothing with encryption udp/rtp; allowed: with tls/…"),
        ("encryption: tls/srtp", "x.route: needs a listener for tls"),
        (
            "encryption: udp/rpt",
            "not a known value; found 'udp/rpt'; "
            "allowed: tls/srtp, tls/srtp-preferred, tls/rtp, udp/rtp; did you mean 'udp/rtp'?",
        ),
        (
            "method: invtie",
            "not a known value; found 'invtie'; allowed: refer, invite, bye; did you mean 'invite'?",
        ),
        ("callback_url: ftp://x", "x.callback_url: not an http or https URL"),
        ("action_url: http://10.0.0.1/x", "x.action_url: a private address"),
        ("default: yes", "x.default: of the wrong kind; found 'yes'; allowed: true or false"),
        ("headers: {Subject: x}", "x.headers.Subject: not a custom header; allowed: X-… or User-to-User"),
        ('headers: {X-A: "a\\r\\nVia: b"}', "a control character in a header"),
        ("headers: {X-A: a, x-a: b}", "a header set twice"),
        (
            "headers: {X-A: 5}",
            "x.headers.X-A: of the wrong kind; found the number 5; allowed: text, in quotes",
        ),
        ("from_user: a@b", "not allowed characters, or too long"),
        ("auth: {username: a}", "x.auth: the key 'password' is missing"),
        ("auth: {username: a, password: ''}", "x.auth.password: "),
        ("auth: {username: a, passwort: b, password: c}", "did you mean 'password'?"),
        (
            "fallback: dsk",
            "x.fallback: no such destination; found 'dsk'; allowed: desk, x; did you mean 'desk'?",
        ),
        ("fallback: x", "x.fallback: a cycle of fallbacks: x → x"),
        (
            "trunk: gatewya",
            "x.trunk: no such trunk; found 'gatewya'; allowed: gateway, sbc; did you mean 'gateway'?",
        ),
        ("trunk: sbc", "x.trunk: a trunk without outbound; found 'sbc'; allowed: gateway"),
        ("time_limit: 0", "x.time_limit: out of range"),
        ("name: y", "x.name: unknown key"),
    ],
)
def test_wrong_keys_of_a_destination(tmp_path: Path, lines: str, problem: str) -> None:
    key = lines.partition(":")[0]
    kept = [line for line in place("x").splitlines(keepends=True) if not line.startswith(f"  {key}:")]
    files = ConfigFiles(
        tmp_path, main=WITH_GATEWAY, destinations=DESTINATIONS + "".join(kept) + f"  {lines}\n"
    )

    (text,) = files.texts()

    assert problem in text


@pytest.mark.parametrize("name", ["-desk", "a b", "a.b", "x" * 65, "é"])
def test_names_fit_into_uris_and_set_paths(tmp_path: Path, name: str) -> None:
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + place(f'"{name}"'))

    assert [text for text in files.texts() if "not a name" in text]


def test_exactly_one_destination_is_the_default(tmp_path: Path) -> None:
    none = ConfigFiles(tmp_path, destinations=DESTINATIONS.replace("true", "false"))
    assert none.texts() == [
        "destinations.yaml:1:1: no destination is the default; allowed: `default: true` on exactly one"
    ]

    two = ConfigFiles(tmp_path, destinations=DESTINATIONS + place("x", "default: true"))
    assert two.texts() == [
        "destinations.yaml:10:12: x.default: a second default; desk is the first, at destinations.yaml:2:12; "
        "allowed: exactly one"
    ]


def test_a_cycle_of_fallbacks_is_told_once(tmp_path: Path) -> None:
    ring = place("a", "fallback: b") + place("b", "fallback: c") + place("c", "fallback: b")
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + ring)

    assert files.texts() == ["destinations.yaml:15:13: b.fallback: a cycle of fallbacks: b → c → b"]


def test_two_trunks_cannot_have_the_same_network(tmp_path: Path) -> None:
    other = MAIN.replace("trunks:\n", "trunks:\n  other: {accept: {addresses: 192.0.2.0/24}}\n")

    assert ConfigFiles(tmp_path, main=other).texts() == [
        "b2bua.yaml:6:26: trunks.sbc.accept.addresses[0]: also an address of trunk other; found '192.0.2.0/24'"
    ]


@pytest.mark.parametrize(
    ("trunk", "problem"),
    [
        ("{}", "neither accepts calls nor takes them; allowed: accept, outbound or both"),
        ("{accept: {addresses: []}}", "trunks.x.accept.addresses: empty"),
        (
            "{accept: {}}",
            "trunks.x.accept: anybody would be this trunk; allowed: addresses, tls_subject, auth",
        ),
        ("{accept: {auth: {username: a}}}", "trunks.x.accept.auth: the key 'password' is missing"),
        (
            "{accept: {auth: {username: a, password: b, realm: r}}}",
            "trunks.x.accept.auth.realm: unknown key; allowed: password, password_file, username",
        ),
        ("{outbound: {uri: sip:me@gw}}", "trunks.x.outbound.uri: a URI with a user"),
        (
            "{accept: {addresses: 10.0.0.1}, allowed_methods: [dial]}",
            "trunks.x.allowed_methods[0]: not a known value",
        ),
        ("{accept: {addresses: 10.0.0.1}, max_calls: 0}", "trunks.x.max_calls: too small"),
        (
            "{accept: {addresses: 10.0.0.1}, max_calls_per_second: 0}",
            "trunks.x.max_calls_per_second: too small",
        ),
    ],
)
def test_wrong_trunks(tmp_path: Path, trunk: str, problem: str) -> None:
    texts = ConfigFiles(tmp_path, main=MAIN.replace("trunks:\n", f"trunks:\n  x: {trunk}\n")).texts()

    assert any(problem in text for text in texts)


def test_a_username_alone_must_tell_which_trunk_it_is(tmp_path: Path) -> None:
    trunks = (
        "trunks:\n  a: {accept: {auth: {username: u, password: one-password}}}\n"
        "  b: {accept: {auth: {username: u, password: another-one}}}\n"
        "  c: {accept: {addresses: 10.0.0.1, auth: {username: u, password: third-one}}}\n"
    )

    assert ConfigFiles(tmp_path, main=MAIN.replace("trunks:\n", trunks)).texts() == [
        "b2bua.yaml:5:33: trunks.b.accept.auth.username: also the username of trunk a, and neither has addresses; "
        "found 'u'"
    ]


def test_one_faulty_destination_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    files = ConfigFiles(
        tmp_path,
        destinations=DESTINATIONS + place("a", "ring_timeout: x", "fallback: b") + place("b", "fallback: c"),
    )

    assert [text.split(": ")[1] for text in files.texts()] == ["a.ring_timeout", "b.fallback"]
