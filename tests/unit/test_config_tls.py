"""`tls:` in every place it may stand: files that can be used, terms that make sense, and what is told of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config import Configuration, ConfigurationWatcher
from sip_stack.transport import TlsTerms
from tests.support.certificates import Authority
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

SIP = "sip:\n  listen: [udp:127.0.0.1:0, 'tls:127.0.0.1:0']\n  tls: {certificate: b2bua.pem, private_key: b2bua.key}\n"
WITH_TLS = MAIN.replace("sip:\n  listen: [udp:127.0.0.1:0]\n", SIP)
OVER_TLS = "x:\n  method: invite\n  encryption: tls/rtp\n  route: sip:x@pbx.example.com\n"


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """One whose certificate for b2bua.example.com lies where the configuration says."""
    authority = Authority(tmp_path)
    authority.issue("b2bua", ["b2bua.example.com", "*.sip.example.com"])
    return authority


def loaded(folder: Path, main: str = WITH_TLS, destinations: str = "") -> Configuration:
    return ConfigFiles(folder, main, DESTINATIONS + destinations).load()


def problem(folder: Path, main: str = WITH_TLS, destinations: str = "") -> str:
    (text,) = ConfigFiles(folder, main, DESTINATIONS + destinations).texts()
    return text


def with_tls(**keys: str) -> str:
    """The main file with more keys under `sip.tls`, or others."""
    values = {"certificate": "b2bua.pem", "private_key": "b2bua.key", **keys}
    written = ", ".join(f"{key}: {value}" for key, value in values.items() if value)
    return WITH_TLS.replace("{certificate: b2bua.pem, private_key: b2bua.key}", f"{{{written}}}")


def test_files_are_beside_the_one_that_names_them(tmp_path: Path, ca: Authority) -> None:
    configuration = loaded(tmp_path, with_tls(name="b2bua.example.com", ca="[system, test-CA.pem]"))
    settings = configuration.tls_settings()
    assert settings is not None
    assert (settings.certificate, settings.private_key) == (f"{tmp_path}/b2bua.pem", f"{tmp_path}/b2bua.key")
    assert settings.ca == ("system", ca.file)
    assert (settings.name, settings.asks_clients) == ("b2bua.example.com", False)
    (certificate,) = configuration.certificates
    assert certificate.file == settings.certificate
    assert 29 < certificate.days_left(certificate.not_before + 86400) < 31


def test_without_it_there_is_no_tls(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, MAIN)
    assert (configuration.tls_settings(), configuration.tls_terms(), configuration.certificates) == (
        None,
        set(),
        (),
    )
    assert "sip: a tls: listener without a certificate" in problem(
        tmp_path, MAIN.replace("udp:127.0.0.1:0", "udp:127.0.0.1:0, tls:127.0.0.1:0")
    )


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"certificate": "missing.pem"}, "sip.tls.certificate: cannot be read: No such file or directory; found"),
        ({"private_key": "other.key"}, "sip.tls.private_key: not the key of the certificate; found 'other.key'"),
        ({"private_key": "locked.key"}, "sip.tls.private_key: the key is protected by a password"),
        ({"private_key": "b2bua.pem"}, "sip.tls.private_key: no private key in PEM that fits the certificate"),
        ({"certificate": "b2bua.yaml"}, "sip.tls.certificate: no certificate in PEM; found 'b2bua.yaml'"),
        ({"ca": "[system, b2bua.key]"}, "sip.tls.ca[1]: no certificate in PEM; found 'b2bua.key'"),
        ({"ca": "missing.pem"}, "sip.tls.ca: cannot be read: No such file or directory; found 'missing.pem'"),
        ({"name": "evil.example"}, "sip.tls.name: not a name of the certificate; found 'evil.example'; "
                                   "allowed: *.sip.example.com, b2bua.example.com, somebody"),
        ({"name": "192.0.2.1"}, "sip.tls.name: not allowed characters, or too long"),
        ({"private_key": ""}, "sip.tls: the key 'private_key' is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(tmp_path: Path, ca: Authority, keys: dict[str, str], text: str) -> None:
    ca.issue("other")
    ca.issue("locked", password="secret of the key")
    assert text in problem(tmp_path, with_tls(**keys))


def test_a_name_under_a_wildcard_is_ours(tmp_path: Path, ca: Authority) -> None:
    settings = loaded(tmp_path, with_tls(name="a.sip.example.com")).tls_settings()
    assert settings is not None
    assert settings.name == "a.sip.example.com"


def test_terms_of_every_kind_of_place(tmp_path: Path, ca: Authority) -> None:
    ca.issue("client")
    main = WITH_TLS.replace(
        "trunks:\n",
        "trunks:\n  gateway: {outbound: {uri: 'sips:gw.example.com', tls: {ca: test-CA.pem}}}\n",
    ).replace(
        "routes:\n",
        "routes:\n  - {to: bot, assistant: {route: 'sip:bot@ai.example', encryption: tls/rtp, tls: {verify: false}}}\n",
    )
    people = (
        f"{OVER_TLS}  tls: {{certificate: client.pem, private_key: client.key}}\n"
        "y: {method: invite, encryption: tls/rtp, route: '+1555', trunk: gateway}\n"
        "z: {method: invite, encryption: tls/rtp, route: '+1555', trunk: gateway, tls: {ca: system}}\n"
        "w: {method: invite, encryption: tls/rtp, route: 'sip:w@pbx.example.com'}\n"
    )
    configuration = loaded(tmp_path, main, people)
    terms = {
        name: place.tls and place.tls.terms
        for name, place in configuration.destinations.items()
        if name != "desk"
    }
    assert terms == {
        "x": TlsTerms(certificate=f"{tmp_path}/client.pem", private_key=f"{tmp_path}/client.key"),
        "y": TlsTerms(ca=(ca.file,)),
        "z": TlsTerms(ca=("system",)),
        "w": None,
    }
    assert configuration.tls_terms() == {*filter(None, terms.values()), TlsTerms(verify=False)}
    assert [Path(each.file).name for each in configuration.certificates] == ["b2bua.pem", "client.pem"]
    told = [str(each).replace(f"{tmp_path}/", "") for each in configuration.warnings if "TLS" in each.message]
    assert told == [
        "b2bua.yaml:9:91: routes[0].assistant.tls.verify: TLS without verification: whoever answers there is believed"
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("tls: {verify: false, ca: test-CA.pem}", "x.tls: a ca that nothing is verified against"),
        ("tls: {certificate: b2bua.pem}", "x.tls: a certificate without its key, or a key alone"),
        ("tls: {ca: missing.pem}", "x.tls.ca: cannot be read"),
        ("tls: {verify: no}", "x.tls.verify: of the wrong kind; found 'no'; allowed: true or false"),
        ("route: 'sip:x@y;transport=udp'", "x.route: transport=udp is in clear, and tls/rtp is not"),
        ("route: 'sip:x@y;transport=TCP'", "x.route: transport=tcp is in clear, and tls/rtp is not"),
        ("route: 'sips:x@y;transport=tcp'", "x.route: transport=tcp is in clear, and tls/rtp is not"),
        ("route: 'sips:x@y;transport=udp'", "x.route: sips: and transport=udp contradict each other"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(tmp_path: Path, ca: Authority, line: str, text: str) -> None:
    kept = "".join(
        each
        for each in OVER_TLS.splitlines(keepends=True)
        if not each.strip().startswith(line.partition(":")[0])
    )
    assert text in problem(tmp_path, destinations=f"{kept}  {line}\n")


def test_numbers_do_not_leave_tls_through_their_trunk(tmp_path: Path, ca: Authority) -> None:
    main = WITH_TLS.replace(
        "trunks:\n", "trunks:\n  gw: {outbound: {uri: 'sip:gw.example.com;transport=udp'}}\n"
    )
    people = "x: {method: invite, encryption: tls/rtp, route: '+1555', trunk: gw}\n"
    assert "x.trunk: its outbound.uri: transport=udp is in clear, and tls/rtp is not" in problem(
        tmp_path, main, people
    )
    main = main.replace("transport=udp", "transport=tls")
    people = people.replace("tls/rtp", "udp/rtp")
    assert "x.trunk: its outbound.uri: transport=tls needs TLS" in problem(tmp_path, main, people)


def test_falling_back_to_clear_text_is_warned_about(tmp_path: Path, ca: Authority) -> None:
    configuration = loaded(tmp_path, destinations=f"{OVER_TLS}  fallback: desk\n")
    assert [warning.message for warning in configuration.warnings] == [
        "desk is called in clear (udp/rtp), x with tls/rtp"
    ]


def test_a_certificate_tells_one_trunk(tmp_path: Path, ca: Authority) -> None:
    def main(*trunks: str) -> str:
        return WITH_TLS.replace("trunks:\n", "trunks:\n" + "".join(f"  {trunk}\n" for trunk in trunks))

    one, same = (
        "a: {accept: {tls_subject: SBC.Example.com}}",
        "b: {accept: {tls_subject: [x, sbc.example.com]}}",
    )
    configuration = loaded(tmp_path, main(one))
    trunk = configuration.trunk_of_certificate(("other", "sbc.example.com"))
    assert trunk is not None
    assert trunk.name == "a"
    assert configuration.trunk_of_certificate(()) is None
    settings = configuration.tls_settings()
    assert settings is not None
    assert settings.asks_clients
    assert "trunks.b.accept.tls_subject: sbc.example.com is also trunk a" in problem(
        tmp_path, main(one, same)
    )
    without_tls = MAIN.replace("trunks:\n", f"trunks:\n  {one}\n")
    assert "trunks.a.accept.tls_subject: needs a listener for tls" in problem(tmp_path, without_tls)


def test_files_of_certificates_are_watched(tmp_path: Path, ca: Authority) -> None:
    watcher = ConfigurationWatcher(loaded(tmp_path, with_tls(ca="test-CA.pem")))
    assert not watcher.changed()
    for changed in ("b2bua.pem", "b2bua.key", "test-CA.pem"):
        kept = (tmp_path / changed).read_bytes()
        (tmp_path / changed).write_bytes(b"half written")
        assert watcher.changed()
        result = watcher.reload()
        assert result.configuration is None
        assert result.problems
        assert not watcher.changed(), "reported once"
        (tmp_path / changed).write_bytes(kept)
        assert watcher.reload().configuration is not None
