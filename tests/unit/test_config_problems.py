"""What an operator reads when the configuration is wrong: everything, with its place, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles


def with_sip(line: str) -> str:
    return MAIN.replace("trunks:", f"  {line}\ntrunks:", 1)


def test_every_problem_of_both_files_is_reported_at_once(tmp_path: Path) -> None:
    files = ConfigFiles(
        tmp_path,
        main="sip:\n  listen: [udp:127.0.0.1:99999]\n  lisen: 1\ndestinations: destinations.yaml\n"
        "routes:\n  - {trunk: nobody, destination: dsek}\ntimers: {ring_timeout: soon}\n",
        destinations=DESTINATIONS + "billing: {method: invite, encryption: udp, route: sip:x@y}\n",
    )

    assert files.texts() == [
        "b2bua.yaml:2:12: sip.listen[0]: not a listener; found 'udp:127.0.0.1:99999'; "
        'allowed: udp:, tcp: or tls:ADDRESS:PORT, for example udp:0.0.0.0:5060 or "tls:[::]:5061"',
        "b2bua.yaml:3:3: sip.lisen: unknown key; allowed: 100rel, advertise, digest_algorithms, dscp, "
        "listen, name_servers, realm, session_id, session_timers, tls, unknown_source; did you mean 'listen'?",
        "b2bua.yaml:6:13: routes[0].trunk: no such trunk; found 'nobody'; allowed: nothing; there is no trunk",
        "b2bua.yaml:6:34: routes[0].destination: no such destination; found 'dsek'; allowed: billing, desk; "
        "did you mean 'desk'?",
        "b2bua.yaml:7:24: timers.ring_timeout: not a duration; found 'soon'; "
        "allowed: a duration such as 500ms, 30s, 1m or 4h",
        "destinations.yaml:6:39: billing.encryption: not a known value; found 'udp'; "
        "allowed: tls/srtp, tls/srtp-preferred, tls/rtp, udp/rtp; did you mean 'udp/rtp'?",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "timers: {ring_timeout: 30}",
            "not a duration; found the number 30; allowed: a duration such as 500ms, 30s",
        ),
        ("timers: {ring_timeout: 30}", "did you mean '30s'?"),
        ("timers: {ring_timeout: 30 s}", "did you mean '30s'?"),
        ("timers: {ring_timeout: 30sec}", "did you mean '30s'?"),
        ("timers: {ring_timeout: 2 Minutes}", "did you mean '2m'?"),
        ("timers: {ring_timeout: 10ms}", "out of range; found '10ms'; allowed: 100ms to 24h"),
        ("timers: {media_timeout: 10ms}", "allowed: 100ms to 24h, or 0"),
        ("timers: [30s]", "timers: of the wrong kind; found a list; allowed: a mapping"),
        (
            "media: {codecs: [PCMX]}",
            "not a known value; found 'PCMX'; allowed: PCMU, PCMA, G722, opus; did you mean 'PCMU'?",
        ),
        ("media: {codecs: [PCMU, PCMU]}", "media.codecs: a codec named twice"),
        ("media: {codecs: []}", "media.codecs: empty"),
        ("media: {codecs: [opus, G722]}", "media.codecs: neither PCMU nor PCMA, which prompts are made of"),
        (
            "media: {ports: 16384}",
            "media.ports: not a range of ports; found the number 16384; allowed: a range",
        ),
        (
            "media: {ports: 20000-10000}",
            "media.ports: a range of ports that cannot be used; found '20000-10000'",
        ),
        ("limits: {max_calls: many}", "limits.max_calls: of the wrong kind; found 'many'; allowed: a number"),
        ("limits: {max_calls: 0}", "limits.max_calls: too small; found the number 0; allowed: 1 or more"),
        ("limits: {max_calls: 1.5}", "limits.max_calls: of the wrong kind; found the number 1.5"),
        (
            "policy: {allow: [cc.example.com]}",
            "policy.allow[0]: not a pattern of URIs; found 'cc.example.com'",
        ),
        ("api: {listen: 0.0.0.0:8080}", "api: an API that others can reach needs keys"),
        ("api: {listen: 127.0.0.1}", "api.listen: not a listener"),
        (
            "store: postgres:x",
            "store: not a store; found a value that is not shown; allowed: sqlite:PATH, sqlite:PATH?max_size=",
        ),
        ("tiemrs: {}", "tiemrs: unknown key; allowed: api, context_ttl, destinations, limits"),
        ("tiemrs: {}", "did you mean 'timers'?"),
        ("trunk: {}", "did you mean 'trunks'?"),
        ("records: {cdr: 5}", "records.cdr: "),
    ],
)
def test_a_wrong_value_is_told_with_what_was_found_and_what_is_allowed(
    tmp_path: Path, line: str, problem: str
) -> None:
    files = ConfigFiles(tmp_path, main=f"{MAIN}{line}\n")

    (text,) = files.texts()

    assert text.startswith("b2bua.yaml:9:")
    assert problem in text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("advertise: pbx.example.com", "sip.advertise: "),
        (
            "name_servers: dns.example.com",
            "not a name server; found 'dns.example.com'; allowed: an IP address",
        ),
        ("name_servers: ['192.0.2.53', 'dns.example.com:53']", "[1]: a name server without an IP address"),
        ("advertise: {10.0.0.0/8: 10.0.0.5, 10.1.1.1/8: 10.0.0.5}", "a network with host bits set"),
        (
            "advertise: {10.0.0.0/8: '2001:db8::1'}",
            "peers in 10.0.0.0/8 cannot use the address given for them",
        ),
        ("unknown_source: slient", "did you mean 'silent'?"),
        ("tls: {certificate: x}", "sip.tls: the key 'private_key' is missing"),
    ],
)
def test_wrong_values_of_sip(tmp_path: Path, line: str, problem: str) -> None:
    files = ConfigFiles(tmp_path, main=with_sip(line))

    assert any(problem in text for text in files.texts())


def test_a_number_that_yaml_would_change_must_be_quoted(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + "  from_user: +15550001000\n")

    assert files.texts() == [
        "destinations.yaml:6:14: desk.from_user: of the wrong kind; found the number +15550001000; "
        "allowed: text, in quotes where YAML would read something else; did you mean '\"+15550001000\"'?"
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            "sales: {method: invite, route: sip:a@example.com}",
            "6:32: sales.route: needs a listener for tls, as encryption is tls/srtp; found 'sip:a@example.com'; "
            "allowed: tls:… in sip.listen, or encryption: udp/rtp",
        ),
        (
            "  sales: {method: bye}",
            "6:3: desk.sales: unknown key, unless it is a destination: then it begins its line",
        ),
        ("sales:", "6:1: sales: the key 'method' is missing"),
        (
            "sales: {method: refer, route: 'sip:a@b:506000'}",
            "6:31: sales.route: not a URI, for its port; found 'sip:a@b:506000'",
        ),
        ("sales: {method: refer, route: <sip:a@b>}", "did you mean 'sip:a@b'?"),
        ("sales: {method: refer, route: <a@b>}", "did you mean 'sip:a@b'?"),
    ],
)
def test_slips_of_who_adds_a_destination(tmp_path: Path, lines: str, problem: str) -> None:
    (text,) = ConfigFiles(tmp_path, destinations=f"{DESTINATIONS}{lines}\n").texts()
    assert problem in text


def test_a_value_that_has_become_a_comment_is_a_warning(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + "  accept_key: #\n  from_user: null\n")

    assert [str(warning).partition("/destinations")[2] for warning in files.load().warnings] == [
        ".yaml:6:3: desk.accept_key: nothing stands here, so that it counts as left out; "
        'allowed: a value, in quotes if it begins with "#"'
    ]


def test_missing_keys_are_named_where_they_are_missing(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, main="sip: {}\nroutes:\n  - {to: x}\n", destinations="")

    assert files.texts() == [
        "b2bua.yaml:1:1: the key 'destinations' is missing",
        "b2bua.yaml:1:6: sip: the key 'listen' is missing",
        "b2bua.yaml:3:5: routes[0]: the key 'destination' or 'assistant' is missing",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "just text\n", "- a list\n"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    assert ConfigFiles(tmp_path, main=text).texts()
    assert ConfigFiles(tmp_path, destinations=text).texts()


def test_a_missing_file_is_a_problem_like_any_other(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    files.destinations.unlink()

    assert files.texts() == [
        "b2bua.yaml:8:15: destinations: cannot be read: No such file or directory; found 'destinations.yaml'"
    ]

    files.main.unlink()
    assert files.texts() == ["b2bua.yaml: cannot be read: No such file or directory"]


def test_a_file_that_is_no_utf_8_names_the_line(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    files.main.write_bytes(MAIN.encode() + b"\xff\n")

    assert files.texts() == ["b2bua.yaml:9: not UTF-8"]


def test_destinations_in_the_place_of_their_file(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, main=MAIN.replace("destinations.yaml", "{desk: {}}"))

    assert files.texts() == [
        "b2bua.yaml:8:15: destinations: of the wrong kind; found a mapping; "
        "allowed: text, in quotes where YAML would read something else"
    ]


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ("  auth: {username: acme, password: hunter2, pasword: hunter2}\n", "pasword"),
        ("  auth: {username: acme, password: [hunter2]}\n", "password"),
        ("  auth: {username: acme, password: 2220022}\n", "password"),
        ("  auth: hunter2\n", "auth"),
        ("  auth: {username: acme, password: hunter2, realm: 5}\n", "realm"),
        ("  fallback: ${SECRET}\n", "fallback"),
        ("  trunk: ${SECRET}\n", "trunk"),
        ("  ring_timeout: ${SECRET}\n", "ring_timeout"),
        ("  ring_timeout: ${DIGITS}\n", "ring_timeout"),
        ("  from_user: 'a ${SECRET}'\n", "from_user"),
        ('  headers: {X-Reason: "${SECRET}\\n"}\n', "headers"),
        ("x:\n  method: invite\n  encryption: udp/rtp\n  route: sip:me:hunter2@pbx\n", "route"),
        ("x:\n  method: invite\n  encryption: udp/rtp\n  route: 'sip:me:hunter2@pbx host'\n", "route"),
        ("x:\n  method: invite\n  encryption: udp/rtp\n  route: ${SECRET}@pbx\n", "route"),
    ],
)
def test_no_problem_shows_a_secret(tmp_path: Path, addition: str, key: str) -> None:
    files = ConfigFiles(tmp_path, destinations=DESTINATIONS + addition)

    text = "\n".join(files.texts({"SECRET": "hunter2", "DIGITS": "2220022"}))

    assert key in text
    assert "hunter2" not in text
    assert "2220022" not in text


@pytest.mark.parametrize(
    "line",
    [
        "store: redis://:hunter2@host:port",
        "api: {listen: 127.0.0.1:0, keys: hunter2}",
        "api: {listen: 127.0.0.1:0, keys: [hunter2]}",
    ],
)
def test_no_problem_of_the_main_file_shows_a_secret(tmp_path: Path, line: str) -> None:
    text = "\n".join(ConfigFiles(tmp_path, main=f"{MAIN}{line}\n").texts())

    assert line.partition(":")[0] in text
    assert "hunter2" not in text


def test_what_a_terminal_would_act_on_is_printed_as_escapes(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, main=MAIN + '"\\e[2J\\nx": 1\n')

    (text,) = files.texts()

    assert "\\x1b[2J\\nx: unknown key" in text
    assert text.isprintable()
