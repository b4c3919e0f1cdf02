"""URIs and percent-escaping."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message import (
    OtherUri,
    Params,
    SipUri,
    TelUri,
    escape_header,
    escape_param,
    escape_user,
    format_host_port,
    parse_host_port,
    parse_uri,
    unescape,
)
from sip_stack.remembered import MAX_REMEMBERED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:example.com", SipUri("sip", None, None, "example.com")),
        ("sip:alice@example.com", SipUri("sip", "alice", None, "example.com")),
        ("sips:alice:pw@example.com:5061", SipUri("sips", "alice", "pw", "example.com", 5061)),
        ("sip:@192.0.2.1", SipUri("sip", "", None, "192.0.2.1")),
        ("sip:a@[2001:db8::1]:5070", SipUri("sip", "a", None, "2001:db8::1", 5070)),
        ("sip:[::1]", SipUri("sip", None, None, "::1")),
        (
            "sip:a@b;transport=tcp;lr",
            SipUri("sip", "a", None, "b", None, Params([("transport", "tcp"), ("lr", None)])),
        ),
        ("sip:u;x?y,z@b", SipUri("sip", "u;x?y,z", None, "b")),
        (
            "sip:a@b?Subject=hi%20there&X-A=",
            SipUri("sip", "a", None, "b", None, Params(), (("Subject", "hi%20there"), ("X-A", ""))),
        ),
        ("tel:+1-201-555-0123;ext=9", TelUri("+1-201-555-0123", Params([("ext", "9")]))),
        ("http://www.example.com/a?b", OtherUri("http", "//www.example.com/a?b")),
        ("isbn:2983792873", OtherUri("isbn", "2983792873")),
    ],
)
def test_parse_and_print(text: str, expected: object) -> None:
    uri = parse_uri(text)
    assert uri == expected
    assert str(uri) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "alan@example.com",
        "sip:user@",
        "sip:user@exa mple.com",
        "sip:user@example.com; lr",
        "<sip:user@example.com>",
        'sip:"x"@example.com',
        "sip:user@example.com:",
        "sip:user@example.com:port",
        "sip:user@example.com:٣",
        "sip:user@[::1",
        "sip:user@[::1]x",
        "sip:user@[not-v6]",
        "sip:user@[fe80::1%eth0]",
        "sip:user@-bad-",
        "sip:user@exämple.com",
        "sip:user@example.com;;lr",
        "sip:user@example.com?",
        "sip:user@example.com?name",
        "sip:user@example.com?=value",
        "sip:a\x00b@example.com",
        "tel:",
        "tel:call-me-maybe!",
        "1sip:x",
    ],
)
def test_malformed_uris_are_refused(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_uri(text)
    assert caught.value.status_hint == 400


@pytest.mark.parametrize("port", ["0", "65536", "99999999", "-1", "+1", "1_0", "", "9" * 5000])
def test_ports_are_1_to_65535(port: str) -> None:
    with pytest.raises(RemoteError):
        parse_uri(f"sip:a@b:{port}")
    with pytest.raises(RemoteError):
        parse_uri(f"sip:a@[::1]:{port}")


def test_long_uris_parse_the_same_without_the_cache() -> None:
    user = "u" * (MAX_REMEMBERED + 1)
    uri = parse_uri(f"sip:{user}@example.com")
    assert isinstance(uri, SipUri)
    assert uri.user == user


def test_look_ups_unescape_names_and_values() -> None:
    uri = SipUri.parse("sip:%61lice@example.com;%6C%72;n%61me=v%61lue%25%34%31?%53ubject=a%20b")
    assert uri.username == "alice"
    assert uri.has_param("LR")
    assert uri.param("lr") == ""
    assert uri.param("name") == "value%41"
    assert uri.param("absent") is None
    assert uri.header("subject") == "a b"
    assert uri.header("absent") is None


def test_a_uri_is_changed_by_copies_that_escape() -> None:
    uri = SipUri.parse("sip:a@b;transport=udp")
    changed = uri.with_params([("transport", "tcp"), ("lr", None), ("x", "a;b c")])
    assert str(changed) == "sip:a@b;transport=tcp;lr;x=a%3Bb%20c"
    assert str(changed.without_params("x", "LR")) == "sip:a@b;transport=tcp"
    with_headers = uri.with_headers([("Replaces", "id@host;to-tag=1;from-tag=2")])
    assert str(with_headers) == "sip:a@b;transport=udp?Replaces=id%40host%3Bto-tag%3D1%3Bfrom-tag%3D2"
    assert SipUri.parse(str(with_headers)).header("replaces") == "id@host;to-tag=1;from-tag=2"
    assert str(uri) == "sip:a@b;transport=udp"


def test_a_sip_uri_is_asked_for_and_another_scheme_comes() -> None:
    with pytest.raises(RemoteError) as caught:
        SipUri.parse("tel:+1")
    assert caught.value.status_hint == 416


def test_a_number_loses_its_visual_separators() -> None:
    uri = parse_uri("tel:+1-(201)-555.0123")
    assert isinstance(uri, TelUri)
    assert uri.digits == "+12015550123"
    assert uri.scheme == "tel"


@pytest.mark.parametrize("escape", [escape_user, escape_param, escape_header])
@pytest.mark.parametrize("text", ["alice", "a b", "%41", "юникод", "octet \udcff", "\r\n\0", '<>"@', "?&="])
def test_escaping_is_undone_and_leaves_no_delimiters(escape: object, text: str) -> None:
    assert callable(escape)
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not set(escaped) & set('<>"@% \r\n\0') - {"%"}
    assert escaped.isascii()


def test_a_percent_sign_that_escapes_nothing_stays() -> None:
    assert unescape("%Z%45%") == "%ZE%"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("a", "a", None), ("a : 5060", "a", 5060), ("[::1]", "::1", None), ("[::1] : 5060", "::1", 5060)],
)
def test_host_and_port(text: str, host: str, port: int | None) -> None:
    assert parse_host_port(text) == (host, port)
    assert format_host_port(host, port) == text.replace(" ", "")
