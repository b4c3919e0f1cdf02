"""From files, environment and overrides to the snapshot that calls work with."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from b2bua.config import Store, capacity, load_configuration
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

SHIPPED = Path(__file__).parents[2] / "configs" / "b2bua.yaml"


def test_the_shipped_files_load_in_an_empty_environment_without_a_warning() -> None:
    configuration = load_configuration(SHIPPED, {})

    assert configuration.warnings == ()
    assert configuration.default_destination.name == "front-desk"
    assert all(listener.is_loopback for listener in configuration.sip.listen)
    assert configuration.records.cdr == SHIPPED.parent / "state/cdr.jsonl"


def test_the_shipped_files_are_block_style() -> None:
    for file in (SHIPPED, SHIPPED.with_name("destinations.yaml")):
        code = [line.partition("#")[0] for line in file.read_text(encoding="utf-8").splitlines()]
        assert not [line for line in code if "{" in line or "[" in line]


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path).load()

    timers = configuration.timers
    assert (timers.connect_timeout, timers.ring_timeout, timers.auth_timeout) == (4, 30, 5)
    assert (timers.media_timeout, timers.time_limit) == (60, 4 * 3600)
    assert configuration.sip.unknown_source == "reject"
    assert str(configuration.media.ports) == "16384-32767"
    assert [str(codec) for codec in configuration.media.codecs] == ["PCMU", "PCMA"]
    assert configuration.limits.max_calls is None
    assert configuration.trunks["sbc"].max_calls is None
    assert configuration.api is None
    assert configuration.store == Store("disabled"), "nobody could read it"
    assert configuration.context_ttl == 7 * 24 * 3600
    assert configuration.records.cdr == tmp_path / "state/cdr.jsonl"


def test_a_section_without_content_is_as_if_not_written(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path, main=MAIN + "timers:\nmedia:\nrecords:\n").load()

    assert configuration.timers.ring_timeout == 30


def test_an_empty_key_of_a_section_is_not_its_default(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, main=MAIN + "timers: {ring_timeout: }\n")

    assert files.texts()[0].startswith("b2bua.yaml:9:23: timers.ring_timeout: not a duration; found nothing")


def test_the_environment_fills_in_any_text(tmp_path: Path) -> None:
    destinations = DESTINATIONS.replace("pbx.example.com", "${PBX}") + (
        "  auth: {username: '${USER_}-1', password: '${PASSWORD}'}\n  description: costs $${5} and $5\n"
    )
    environ = {"PBX": "pbx.internal", "USER_": "acme", "PASSWORD": "${PBX}"}

    desk = ConfigFiles(tmp_path, destinations=destinations).load(environ).destinations["desk"]

    assert desk.route == ("sip:operator@pbx.internal",)
    assert desk.description == "costs ${5} and $5"
    assert desk.auth is not None
    assert desk.auth.username == "acme-1"
    assert desk.auth.password.get_secret_value() == "${PBX}"


def test_an_unset_variable_is_one_problem_at_its_place(tmp_path: Path) -> None:
    destinations = DESTINATIONS.replace("sip:operator@pbx.example.com", "${ROUTE}") + (
        "  auth: {username: a, password: '${PASSWROD}'}\n  description: '${no-name} ${'\n"
    )

    assert ConfigFiles(tmp_path, destinations=destinations).texts({"PASSWORD": "hunter2"}) == [
        "destinations.yaml:5:10: desk.route: the environment variable ROUTE is not set",
        "destinations.yaml:6:33: desk.auth.password: the environment variable PASSWROD is not set; "
        "did you mean 'PASSWORD'?",
        "destinations.yaml:7:16: desk.description: a malformed reference; "
        "allowed: ${NAME}, or $${ for the characters ${",
        "destinations.yaml:7:16: desk.description: a malformed reference; "
        "allowed: ${NAME}, or $${ for the characters ${",
    ]


def test_a_password_comes_from_a_file_beside_the_file_that_names_it(tmp_path: Path) -> None:
    files = ConfigFiles(
        tmp_path, destinations=DESTINATIONS + "  auth: {username: a, password_file: secrets/billing}\n"
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/billing").write_bytes(b" p w\xc3\xa4 \r\n")

    auth = files.load().destinations["desk"].auth

    assert auth is not None
    assert auth.password.get_secret_value() == " p wä "
    assert tmp_path / "secrets/billing" in files.load().origin.files


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        (
            "{username: a, password_file: nothing}",
            "password_file: cannot be read: No such file or directory; found",
        ),
        (
            "{username: a, password_file: b2bua.yaml, password: x}",
            "set together with password; allowed: one of",
        ),
        ("{username: a, password_file: [x]}", "password_file: not the name of a file"),
        ("{username: a, password_file: '${NOWHERE}'}", "the environment variable NOWHERE is not set"),
        ("{username: a, password_file: .}", "password_file: cannot be read: not a file"),
        ("{username: a, password_file: empty}", "password: empty"),
        ('{username: a, password_file: "a\\0b"}', "cannot be read: "),
        ("{username: a, pasword_file: x}", "did you mean 'password_file'?"),
    ],
)
def test_a_password_file_that_is_none(tmp_path: Path, auth: str, problem: str) -> None:
    (tmp_path / "empty").write_text("\n")
    texts = ConfigFiles(tmp_path, destinations=DESTINATIONS + f"  auth: {auth}\n").texts()

    assert any(problem in text for text in texts)
    assert len([text for text in texts if "password_file" in text]) <= 1


def test_nothing_of_a_configuration_prints_a_secret(tmp_path: Path) -> None:
    main = MAIN.replace(
        "trunks:\n", "trunks:\n  gw: {outbound: {uri: 'sip:gw', auth: {username: u, password: s3cr3t-1}}}\n"
    )
    main += "api: {listen: 127.0.0.1:0, keys: [s3cr3t-2]}\nstore: redis://:s3cr3t-3@host\n"
    destinations = DESTINATIONS + "  auth: {username: a, password: '${P}'}\n"

    configuration = ConfigFiles(tmp_path, main=main, destinations=destinations).load(
        {"P": "s3cr3t-4"}, ["destinations.desk.auth.password=s3cr3t-5"]
    )

    assert "s3cr3t" not in repr(configuration)
    assert "s3cr3t" not in str(configuration)
    assert "s3cr3t" not in "".join(str(model) for model in configuration.destinations.values())


def test_files_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    main = (
        MAIN.replace("destinations.yaml", "people/all.yaml")
        + "store: sqlite:data/b2bua.db\nrecords: {cdr: /x/y}\n"
    )
    files = ConfigFiles(tmp_path, main=main)
    files.destinations.rename(tmp_path / "people/all.yaml")

    configuration = files.load()

    assert configuration.store == Store("sqlite", path=tmp_path / "data/b2bua.db")
    assert configuration.records.cdr == Path("/x/y")


def test_overrides_replace_single_values(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path).load(
        overrides=[
            "sip.listen=[udp:127.0.0.1:5099]",
            "timers.ring_timeout=3s",
            "trunks.sbc.accept.addresses.0=198.51.100.1",
            "routes.0.to=support",
            "destinations.desk.auth={username: a, password: b=c}",
            "destinations.desk.route=sip:other@127.0.0.1:5061",
            "records.cdr=out/cdr.jsonl",
        ]
    )

    assert [str(listener) for listener in configuration.sip.listen] == ["udp:127.0.0.1:5099"]
    assert configuration.timers.ring_timeout == 3
    assert configuration.trunk_for("198.51.100.1") is not None
    assert configuration.routes[0].to == "support"
    desk = configuration.destinations["desk"]
    assert desk.auth is not None
    assert desk.auth.password.get_secret_value() == "b=c"
    assert configuration.records.cdr == Path("out/cdr.jsonl")


def test_an_override_may_add_what_is_in_no_file(tmp_path: Path) -> None:
    new = "destinations.new={method: invite, encryption: udp/rtp, route: sip:n@127.0.0.1}"

    assert "new" in ConfigFiles(tmp_path).load(overrides=[new]).destinations


def test_an_override_may_name_another_file_of_destinations(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(DESTINATIONS.replace("desk", "other"))

    texts = files.texts(overrides=[f"destinations={other}"])

    assert texts == [
        "b2bua.yaml:7:31: routes[0].destination: no such destination; found 'desk'; allowed: other"
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("timers.ring_timeout=soon", "--set: timers.ring_timeout: not a duration; found 'soon'"),
        ("timers.rnig_timeout=3s", "--set: timers.rnig_timeout: unknown key"),
        ("destinations.desk.fallback=x", "--set: desk.fallback: no such destination"),
        ("sip.listen=[", "--set: sip.listen: "),
        ("sip.listen", "--set: not an override; allowed: path=value"),
        ("=x", "--set: not an override"),
        ("a..b=x", "--set: not an override"),
        (f"{'a.' * 50}a=x", "--set: not an override"),
        ("routes.7.to=x", "routes: of the wrong kind; found a mapping; allowed: a list"),
        ("sip=x", "--set: sip: of the wrong kind"),
    ],
)
def test_a_wrong_override_is_told_as_such(tmp_path: Path, override: str, problem: str) -> None:
    assert any(problem in text for text in ConfigFiles(tmp_path).texts(overrides=[override]))


def test_the_trunk_of_a_call_is_the_one_with_the_longest_prefix(tmp_path: Path) -> None:
    main = MAIN.replace("trunks:\n", "trunks:\n  one: {accept: {addresses: [192.0.2.7, '2001:db8::/32']}}\n")
    configuration = ConfigFiles(tmp_path, main=main).load()

    found = {
        address: configuration.trunk_for(address) for address in ("192.0.2.7", "192.0.2.8", "2001:db8::9")
    }

    assert {address: trunk and trunk.name for address, trunk in found.items()} == {
        "192.0.2.7": "one",
        "192.0.2.8": "sbc",
        "2001:db8::9": "one",
    }
    assert configuration.trunk_for("203.0.113.1") is None
    accept = configuration.trunks["sbc"].accept
    assert accept is not None
    assert accept.addresses == (ipaddress.ip_network("192.0.2.0/24"),)


def test_the_first_route_that_matches_wins(tmp_path: Path) -> None:
    routes = (
        "  - {trunk: other, to: support, destination: desk}\n"
        "  - {trunk: sbc, to: '+1*', destination: desk}\n"
        "  - {to: support, destination: desk}\n"
    )
    main = MAIN.replace("  - {trunk: sbc, destination: desk}\n", routes).replace(
        "trunks:\n", "trunks:\n  other: {accept: {addresses: 10.0.0.1}}\n"
    )
    configuration = ConfigFiles(tmp_path, main=main).load()
    first, second, third = configuration.routes

    assert configuration.route_for("other", "support") is first
    assert configuration.route_for("sbc", "+15550001000") is second
    assert configuration.route_for("sbc", "support") is third
    assert configuration.route_for("sbc", "nobody") is None


def test_a_destination_may_have_timers_of_its_own(tmp_path: Path) -> None:
    files = ConfigFiles(
        tmp_path,
        main=MAIN + "timers: {auth_timeout: 2s}\n",
        destinations=DESTINATIONS + "  ring_timeout: 10s\n",
    )
    configuration = files.load()

    timers = configuration.timers_for(configuration.default_destination)

    assert (timers.ring_timeout, timers.auth_timeout, timers.connect_timeout) == (10, 2, 4)


def test_peers_are_told_the_address_of_their_network(tmp_path: Path) -> None:
    line = "  advertise: {default: 203.0.113.10, 10.0.0.0/8: 10.0.0.5}\ntrunks:"
    configuration = ConfigFiles(tmp_path, main=MAIN.replace("trunks:", line, 1)).load()

    assert configuration.advertised_address("198.51.100.1") == "203.0.113.10"
    assert configuration.advertised_address("10.9.9.9") == "10.0.0.5"
    assert configuration.advertised_address("2001:db8::1") is None


def test_a_plain_address_is_advertised_to_everybody(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path).load(overrides=["sip.advertise=203.0.113.10"])

    assert configuration.advertised_address("10.9.9.9") == "203.0.113.10"
    assert ConfigFiles(tmp_path).load().advertised_address("10.9.9.9") is None


@pytest.mark.parametrize(
    ("main", "destinations", "warning"),
    [
        ("", "  headers: {X-Twilio-A: b}\n", "desk.headers.X-Twilio-A: never sent: reserved name"),
        ("", "  connect_timeout: 40s\n", "desk.connect_timeout: connect_timeout is longer than ring_timeout"),
        ("timers: {auth_timeout: 40s}\n", "", "desk: auth_timeout is longer than ring_timeout"),
    ],
)
def test_what_is_allowed_and_probably_not_meant(
    tmp_path: Path, main: str, destinations: str, warning: str
) -> None:
    configuration = ConfigFiles(tmp_path, main=MAIN + main, destinations=DESTINATIONS + destinations).load()

    (text,) = map(str, configuration.warnings)
    assert warning in text


def test_routes_and_trunks_that_never_meet_a_call(tmp_path: Path) -> None:
    main = MAIN.replace("trunks:\n", "trunks:\n  other: {accept: {addresses: 10.0.0.1}}\n")
    main = main.replace("destinations:", "  - {trunk: sbc, to: x, destination: desk}\ndestinations:")
    configuration = ConfigFiles(tmp_path, main=main).load()

    assert [str(warning).partition("yaml:")[2] for warning in configuration.warnings] == [
        "4:3: trunks.other: no route: its calls are refused",
        "9:5: routes[1]: never reached: routes[0] takes every call before it",
    ]


def test_without_a_trunk_every_call_is_refused(tmp_path: Path) -> None:
    main = "sip: {listen: [udp:127.0.0.1:0]}\ndestinations: destinations.yaml\n"

    (warning,) = ConfigFiles(tmp_path, main=main).load().warnings

    assert "no trunk accepts calls" in warning.message


def test_the_snapshot_cannot_be_changed(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path).load()

    with pytest.raises(AttributeError):
        configuration.timers = configuration.timers  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        configuration.timers.ring_timeout = 1.0
    with pytest.raises(TypeError):
        configuration.destinations["x"] = configuration.default_destination  # type: ignore[index]
    with pytest.raises(TypeError):
        configuration.default_destination.headers["X-A"] = "b"  # type: ignore[index]


def test_capacity_is_what_is_scarcest(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path, main=MAIN + "media: {ports: 20000-20399}\n")

    assert capacity(files.load(), open_files=100_000).calls == 100
    assert capacity(files.load(), open_files=264).calls == 50
    assert capacity(files.load(overrides=["limits.max_calls=10"]), open_files=264).calls == 10
    assert str(capacity(files.load(), open_files=264)) == (
        "50 calls at once (media.ports 20000-20399: 100; 264 open files: 50)"
    )
    assert capacity(files.load()).calls > 0
