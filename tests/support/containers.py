"""A pytest plugin that runs docker/cluster as containers, by Podman, in place of processes:

    scripts/build_images && pytest -p tests.support.containers tests/interop/test_cluster.py

Each service has what its compose file gives it, from the images that `scripts/build_images` makes. `PODMAN` is the
command with its options.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support import cluster
from tests.support.cluster import Cluster, ClusterNode
from tests.support.compose import Service
from tests.support.kamailio import KamailioProcess
from tests.support.processes import ChildProcess

PODMAN = shlex.split(os.environ.get("PODMAN", "podman"))
USER = 10001
"""Of the node's image."""


def podman(*arguments: str) -> str:
    """What a Podman command prints. Raises `CalledProcessError` when it fails."""
    return subprocess.run([*PODMAN, *arguments], check=True, capture_output=True, text=True).stdout


def named(service: str) -> str:
    """The container of a service, and its volume."""
    return f"cluster-test-{service}"


class Container(ChildProcess):
    """`podman run` in the foreground: it ends with the container."""

    def send_signal(self, number: int) -> None:
        """SIGKILL goes to the container: Podman cannot pass it on."""
        if number != signal.SIGKILL:
            super().send_signal(number)
        elif self.returncode is None:
            podman("kill", "--signal=KILL", named(self.name))
            self.wait(10.0)


class ContainerNode(Container, ClusterNode):
    """A node; its volume is a folder of the test's, which reads the records there."""

    def __init__(self, folder: Path, service: Service, state: Path, command: Sequence[str]) -> None:
        shutil.chown(state, USER, USER)
        super().__init__(folder, service, state, command)


class ContainerKamailio(Container, KamailioProcess):
    """Kamailio."""


class ContainerCluster(Cluster):
    """The cluster in containers, with the options of the compose file."""

    node_type = ContainerNode
    kamailio_type = ContainerKamailio
    process_type = Container

    def __enter__(self) -> Self:
        podman("volume", "rm", "--force", named("redis"))
        return super().__enter__()

    def command(self, service: Service, places: Mapping[str, Path]) -> list[str]:
        """`podman run`."""
        settings = service.settings
        options = [
            "--rm",
            "--replace",
            f"--name={named(service.name)}",
            f"--network={settings['network_mode']}",
        ]
        # Podman would give tmpfs where Docker gives nothing to write to.
        options += ["--read-only", "--read-only-tmpfs=false"] if settings["read_only"] else []
        options += [f"--cap-drop={each}" for each in settings["cap_drop"]]
        options += [f"--security-opt={each}" for each in settings["security_opt"]]
        options += [f"--env={name}={value}" for name, value in service.environment.items()]
        for mount in settings.get("volumes", ()):
            _, inside, *mode = mount.split(":")
            source = named("redis") if service.name == "redis" else str(places[inside])
            options.append("--volume=" + ":".join([source, inside, *mode]))
        target = settings["build"].get("target")
        image = f"b2bua-cluster-{target}" if target else "b2bua"
        return [*PODMAN, "run", *options, image, *service.command]


def pytest_configure() -> None:
    """Before the tests import it."""
    setattr(cluster, "Cluster", ContainerCluster)  # noqa: B010 - a type is not assigned to otherwise
