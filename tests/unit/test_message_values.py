"""Via, name-addr, CSeq and media type."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message import CSeq, MediaType, NameAddr, Params, SipUri, Via


class TestVia:
    def test_parse_and_print(self) -> None:
        text = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776;rport"
        via = Via.parse(text)
        assert (via.protocol, via.transport, via.host, via.port) == ("SIP/2.0", "UDP", "192.0.2.1", 5060)
        assert via.branch == "z9hG4bK776"
        assert via.wants_rport
        assert via.rport is None
        assert via.received is None
        assert via.sent_by == "192.0.2.1:5060"
        assert str(via) == text

    @pytest.mark.parametrize(
        "text",
        [
            "SIP  /   2.0 /UDP     192.0.2.2 : 5060 ;branch = x",
            "SIP/2.0/udp\t192.0.2.2:5060;branch=x",
            "SIP / 2.0/ UDP 192.0.2.2:5060 ; branch=x",
        ],
    )
    def test_white_space_is_allowed_between_its_parts(self, text: str) -> None:
        assert Via.parse(text) == Via("SIP/2.0", "UDP", "192.0.2.2", 5060, Params([("branch", "x")]))

    def test_several_in_one_line(self) -> None:
        vias = Via.parse_many('SIP/2.0/TCP a;x=",",SIP/2.0/TLS b')
        assert [via.transport for via in vias] == ["TCP", "TLS"]

    def test_ipv6_sent_by_and_received(self) -> None:
        via = Via.parse("SIP/2.0/TLS [2001:db8::9]:5061;received=[2001:db8::8];rport=1024;branch=z9hG4bK")
        assert (via.host, via.received, via.rport) == ("2001:db8::9", "2001:db8::8", 1024)
        assert via.sent_by == "[2001:db8::9]:5061"
        assert via.branch == "z9hG4bK"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP host",
            "SIP//UDP host",
            "SIP/2.0/U(P host",
            "SIP/2.0/UDP host:0",
            "SIP/2.0/UDP host:65536",
            "SIP/2.0/UDP host;;",
            "SIP/2.0/UDP ho st",
            "SIP/2.0/UDP [::1",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteError):
            Via.parse(text)

    @pytest.mark.parametrize("params", ["received=example.com", "received=", "received"])
    def test_received_must_be_an_address(self, params: str) -> None:
        via = Via.parse(f"SIP/2.0/UDP a;{params}")
        with pytest.raises(RemoteError):
            _ = via.received

    def test_rport_must_be_a_port(self) -> None:
        via = Via.parse("SIP/2.0/UDP a;rport=70000")
        with pytest.raises(RemoteError):
            _ = via.rport

    @pytest.mark.parametrize(
        ("sent", "stamped"),
        [
            ("192.0.2.9:5060", "192.0.2.9:5060"),
            ("192.0.2.9:5060;rport", "192.0.2.9:5060;rport=1024;received=192.0.2.9"),
            ("10.0.0.1;branch=b", "10.0.0.1;branch=b;received=192.0.2.9"),
            ("host.example;rport;branch=b", "host.example;rport=1024;branch=b;received=192.0.2.9"),
            ("192.0.2.9;received=198.51.100.1", "192.0.2.9;received=192.0.2.9"),
        ],
    )
    def test_stamping_the_source(self, sent: str, stamped: str) -> None:
        via = Via.parse(f"SIP/2.0/UDP {sent}").with_source("192.0.2.9", 1024)
        assert str(via) == f"SIP/2.0/UDP {stamped}"


class TestNameAddr:
    @pytest.mark.parametrize(
        ("text", "display", "uri", "params"),
        [
            ("<sip:a@b>", "", "sip:a@b", ""),
            ("sip:a@b;tag=1", "", "sip:a@b", ";tag=1"),
            ('"A, B" <sip:a@b;lr>;tag=1', "A, B", "sip:a@b;lr", ";tag=1"),
            ('"x"<sip:a@b>', "x", "sip:a@b", ""),
            ("caller<sip:a@b>", "caller", "sip:a@b", ""),
            ("Two Words <sip:a@b> ; tag = 1", "Two Words", "sip:a@b", ";tag=1"),
            ('"say \\"hi\\" <now>" <sip:a@b>', 'say "hi" <now>', "sip:a@b", ""),
            ("Zoë <sip:a@b>", "Zoë", "sip:a@b", ""),
            ("<sip:@192.0.2.1>", "", "sip:@192.0.2.1", ""),
            ('sip:a@b;x="<"', "", "sip:a@b", ';x="<"'),
            ("*", "", "*", ""),
            ("<sip:a@b?Replaces=x%40y>", "", "sip:a@b?Replaces=x%40y", ""),
        ],
    )
    def test_parse(self, text: str, display: str, uri: str, params: str) -> None:
        address = NameAddr.parse(text)
        assert (address.display, address.uri, str(address.params)) == (display, uri, params)
        assert NameAddr.parse(str(address)) == address

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "<>",
            "<sip:a@b",
            '"open <sip:a@b>',
            '"x" sip:a@b',
            "< sip:a@b >",
            "Bell, Alexander <sip:a@b>",
            "sip:a@b?Route=x",
            "sip:a@b x",
            "<sip:a@b>tag=1",
            "<sip:a@b>;;",
            'a"b <sip:a@b>',
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteError):
            NameAddr.parse(text)

    def test_tags(self) -> None:
        address = NameAddr.parse("<sip:a@b>;Tag=1")
        assert address.tag == "1"
        assert str(address.with_tag("2")) == "<sip:a@b>;Tag=2"
        assert NameAddr("", "sip:a@b").with_tag("3").tag == "3"
        assert NameAddr.parse("<sip:a@b>;tag=").tag is None
        assert NameAddr.parse("<sip:a@b>").tag is None

    def test_the_uri_is_parsed_when_asked_for(self) -> None:
        assert NameAddr.parse("<sip:a@b>").parsed_uri == SipUri("sip", "a", None, "b")
        with pytest.raises(RemoteError):
            _ = NameAddr.parse("<sip:a@b:0>").parsed_uri

    def test_several_in_one_line(self) -> None:
        addresses = NameAddr.parse_many('"a,b" <sip:1@x>, sip:2@x;q=1 ,<sip:3,4@x>')
        assert [address.uri for address in addresses] == ["sip:1@x", "sip:2@x", "sip:3,4@x"]


class TestCSeq:
    @pytest.mark.parametrize(
        ("text", "number", "method"),
        [("1 INVITE", 1, "INVITE"), ("0009 \t INVITE", 9, "INVITE"), ("2147483647\tX-y", 2147483647, "X-y")],
    )
    def test_parse(self, text: str, number: int, method: str) -> None:
        assert CSeq.parse(text) == CSeq(number, method)

    def test_print(self) -> None:
        assert str(CSeq(7, "BYE")) == "7 BYE"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",
            "INVITE",
            "-1 INVITE",
            "+1 INVITE",
            "1_0 INVITE",
            "٣ INVITE",
            "2147483648 INVITE",
            "1 IN VITE",
            "9" * 20 + " INVITE",
            "9" * 5000 + " INVITE",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteError):
            CSeq.parse(text)


class TestMediaType:
    def test_parse_and_print(self) -> None:
        media_type = MediaType.parse('Multipart / Mixed ; boundary="a b"')
        assert media_type.name == "multipart/mixed"
        assert media_type.params.get("Boundary") == "a b"
        assert str(media_type) == 'multipart/mixed;boundary="a b"'

    @pytest.mark.parametrize("text", ["", "sdp", "application/", "/sdp", "a/b/c", "a b/c", "a/b;;"])
    def test_malformed(self, text: str) -> None:
        with pytest.raises(RemoteError):
            MediaType.parse(text)
