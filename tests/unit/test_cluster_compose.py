"""docker/cluster fits together: what the compose file names is there, and the nodes take the shipped configuration.

Its commands run in `tests/interop/test_cluster.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from b2bua.config import load_configuration
from tests.support.compose import ComposeFile, Service, variables_of

ROOT = Path(__file__).parent.parent.parent
CLUSTER = ROOT / "docker/cluster"
COMPOSE = CLUSTER / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)\}")


def example() -> dict[str, str]:
    """The variables of example.env."""
    lines = (CLUSTER / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compose() -> ComposeFile:
    return ComposeFile.read(COMPOSE, example())


@pytest.fixture(scope="module")
def nodes(compose: ComposeFile) -> list[Service]:
    return [service for name, service in compose.services.items() if name.startswith("node-")]


def test_the_example_sets_what_has_no_default() -> None:
    wanted, having = variables_of(COMPOSE)
    assert example().keys() == wanted - having


def test_what_is_mounted_and_built_is_there(compose: ComposeFile) -> None:
    targets = set(re.findall(r" AS (\w+)$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE))
    used = set()
    for service in compose.services.values():
        assert service.settings["network_mode"] == "host"
        build = service.settings["build"]
        assert (COMPOSE.parent / build["context"] / build.get("dockerfile", "Dockerfile")).is_file()
        if "target" in build:
            assert build["target"] in targets
        for source in service.volumes.values():
            if source.startswith("./"):
                assert (CLUSTER / source).exists()
            else:
                used.add(source)
    assert used == compose.volumes


@pytest.mark.parametrize("file", [COMPOSE, ROOT / "docker/compose.yaml"], ids=["cluster", "alone"])
def test_containers_can_write_to_their_volumes_alone(file: Path) -> None:
    for service in ComposeFile.read(file, example()).services.values():
        assert service.settings["read_only"] is True
        assert service.settings["cap_drop"] == ["ALL"]
        assert service.settings["security_opt"] == ["no-new-privileges:true"]


def test_the_file_of_secrets_is_not_committed() -> None:
    assert "/docker/cluster/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_a_node_is_given_what_its_configuration_reads(nodes: list[Service]) -> None:
    files = [CLUSTER / "config" / name for name in ("b2bua.yaml", "destinations.yaml")]
    read = {name for file in files for name in VARIABLE.findall(file.read_text())}
    for node in nodes:
        assert node.environment.keys() == read | {"B2BUA_HEALTH_ADDRESS"}
        configuration = load_configuration(files[0], node.environment)
        assert (configuration.store.kind, configuration.warnings) == ("redis", ())
        assert configuration.media.rtpengine is not None
        (listener,) = configuration.sip.listen
        assert node.environment["B2BUA_HEALTH_ADDRESS"] == f"127.0.0.1:{listener.port}"


def test_each_node_is_listed_and_has_a_name_and_files_of_its_own(nodes: list[Service]) -> None:
    listed = re.findall(
        r"^1 sip:127\.0\.0\.1:(\d+) ", (CLUSTER / "dispatcher.list").read_text(), re.MULTILINE
    )
    assert [node.environment["NODE_SIP_PORT"] for node in nodes] == listed
    for values in (
        [node.environment["NODE"] for node in nodes],
        [node.volumes["/var/lib/b2bua"] for node in nodes],
        [node.environment["NODE_API_PORT"] for node in nodes],
    ):
        assert len(set(values)) == len(nodes) == 2


def test_a_node_is_the_image_that_is_built_and_has_time_to_drain(nodes: list[Service]) -> None:
    image = (ROOT / "docker/Dockerfile").read_text()
    assert 'ENTRYPOINT ["b2bua"]' in image
    assert "WORKDIR /var/lib/b2bua" in image
    for node in nodes:
        drain = float(node.command[node.command.index("--drain") + 1])
        assert float(str(node.settings["stop_grace_period"]).removesuffix("s")) >= drain + 10


def test_rtpengines_have_no_port_in_common(compose: ComposeFile) -> None:
    daemons = [service for name, service in compose.services.items() if name.startswith("rtpengine-")]
    options = [dict(re.findall(r"--([\w-]+)=(\S+)", " ".join(daemon.command))) for daemon in daemons]
    assert len({each["listen-tcp-ng"] for each in options}) == len(daemons) == 2
    one, other = sorted((int(each["port-min"]), int(each["port-max"])) for each in options)
    assert one[1] < other[0]


def test_nothing_but_the_environment_has_a_secret() -> None:
    for file in (COMPOSE, *CLUSTER.glob("config/*")):
        for line in file.read_text().splitlines():
            if re.search(r"password|keys", line, re.IGNORECASE) and not line.lstrip().startswith("#"):
                assert "$" in line, line
