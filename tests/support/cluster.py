"""`docker/cluster` on loopback: the commands of its compose file as processes, on ports of their own."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.b2bua_process import ROOT, B2bua
from tests.support.compose import ComposeFile, Service, variables_of
from tests.support.handoff_stage import KEY, Api
from tests.support.kamailio import KamailioProcess, kamailio_port
from tests.support.ports import LOOPBACK, PortBlock, free_port, listened_to
from tests.support.processes import ChildProcess, wait_until
from tests.support.redis_server import PASSWORD

CLUSTER = ROOT / "docker/cluster"
COMPOSE = CLUSTER / "compose.yaml"
NODES = ("node-1", "node-2")
RTPENGINES = ("rtpengine-1", "rtpengine-2")
_PORTS = (
    "SIP_PORT",
    "NODE_1_SIP_PORT",
    "NODE_2_SIP_PORT",
    "NODE_1_API_PORT",
    "NODE_2_API_PORT",
    "REDIS_PORT",
    "RTPENGINE_1_PORT",
    "RTPENGINE_2_PORT",
)


class ClusterNode(B2bua):
    """A node with the shipped configuration."""

    def __init__(self, folder: Path, service: Service, state: Path, command: Sequence[str]) -> None:
        self.cdr = state / "cdr.jsonl"
        self._secrets = [PASSWORD, KEY]
        environment = {**service.environment, "PYTHONPATH": str(ROOT)}
        ChildProcess.__init__(self, service.name, command, folder, environment=environment)
        self.until_ready()


class Cluster:
    """All services of the compose file; each can be killed and started again."""

    # Processes; `tests.support.containers` has others.
    node_type = ClusterNode
    kamailio_type = KamailioProcess
    process_type = ChildProcess

    def __init__(self, folder: Path, *, assistant: str, front_desk: str) -> None:
        """Nothing runs yet."""
        self._folder = folder
        self.running: dict[str, ChildProcess] = {}
        # What two nodes open ahead, and what those leave behind that are killed: 128 ports each time.
        self.audio = {name: PortBlock(blocks=5) for name in RTPENGINES}
        self.ports = dict(zip(_PORTS, self._other_ports(len(_PORTS)), strict=True))
        blocks = {
            f"RTPENGINE_{number}_{end}": str(getattr(self.audio[f"rtpengine-{number}"], end.lower()))
            for number in (1, 2)
            for end in ("FIRST", "LAST")
        }
        variables = {
            "ADDRESS": LOOPBACK,
            "REDIS_PASSWORD": PASSWORD,
            "B2BUA_API_KEY": KEY,
            "ASSISTANT": assistant,
            "FRONT_DESK": front_desk,
            **{name: str(port) for name, port in self.ports.items()},
            **blocks,
        }
        self.compose = ComposeFile.read(COMPOSE, variables)
        nodes = [self.ports[name] for name in ("NODE_1_SIP_PORT", "NODE_2_SIP_PORT")]
        self._dispatcher = _dispatcher_list(folder, nodes)

    def __enter__(self) -> Self:
        try:
            for name in self.compose.services:
                self.start(name)
            self.until_complete()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all of it."""
        for process in self.running.values():
            process.stop()
        for block in self.audio.values():
            block.release()

    def start(self, name: str) -> ChildProcess:
        """Run a service, at first or again."""
        service = self.compose.services[name]
        places = {inside: self._place(source) for inside, source in service.volumes.items()}
        process = self._started(service, places)
        self.running[name] = process
        return process

    def start_elsewhere(self, name: str) -> None:
        """Run a node that was killed as on another machine: its name, other ports, none of its files."""
        service = self.compose.services[name]
        sip, api = self._other_ports(2)
        changed = {"NODE_SIP_PORT": sip, "NODE_API_PORT": api, "B2BUA_HEALTH_ADDRESS": f"{LOOPBACK}:{sip}"}
        settings = {**service.settings, "environment": {**service.environment, **changed}}
        places = {inside: self._place(source) for inside, source in service.volumes.items()}
        places["/var/lib/b2bua"] = self._folder / f"elsewhere-{sip}"
        places["/var/lib/b2bua"].mkdir()
        self.running[name] = self._started(Service(name, settings), places)

    def kill(self, name: str) -> None:
        """SIGKILL, to all of its processes."""
        process = self.running[name]
        if not isinstance(process, KamailioProcess):  # which is always ended so
            process.send_signal(signal.SIGKILL)
        process.stop()

    def until_complete(self) -> None:
        """Until the nodes have found Redis and both rtpengines."""
        wait_until(self._is_complete, 15.0, "the nodes have found Redis and both rtpengines")

    def node(self, name: str) -> ClusterNode:
        """A node."""
        process = self.running[name]
        assert isinstance(process, ClusterNode)
        return process

    def api(self, name: str) -> Api:
        """The HTTP API of a node."""
        return Api(self.node(name))

    @property
    def address(self) -> tuple[str, int]:
        """Where calls come in: Kamailio."""
        return LOOPBACK, self.ports["SIP_PORT"]

    def records(self) -> dict[str, list[dict]]:
        """What each node has recorded so far."""
        return {name: self.node(name).records() for name in NODES}

    def _started(self, service: Service, places: Mapping[str, Path]) -> ChildProcess:
        command = self.command(service, places)
        if service.name in NODES:
            return self.node_type(self._folder, service, places["/var/lib/b2bua"], command)
        if service.name == "kamailio":
            return self.kamailio_type(self._folder, self.ports["SIP_PORT"], command)
        process = self.process_type(service.name, command, self._folder, environment=service.environment)
        port = self.ports[f"{service.name.replace('-', '_').upper()}_PORT"]
        wait_until(lambda: listened_to(port), 10.0, lambda: f"{service.name} listens: {process.tail()}")
        return process

    def command(self, service: Service, places: Mapping[str, Path]) -> list[str]:
        """What runs a service here; `places`: where what it mounts is."""
        entrypoint = [sys.executable, "-m", "b2bua"] if service.name in NODES else []
        return [*entrypoint, *service.command_on(places)]

    def _place(self, source: str) -> Path:
        """Where a file beside the compose file, or a volume, is here."""
        if source == "./dispatcher.list":
            return self._dispatcher
        if source.startswith("./"):
            return CLUSTER / source
        volume = self._folder / "volumes" / source
        volume.mkdir(parents=True, exist_ok=True)
        return volume

    def _other_ports(self, count: int) -> list[int]:
        """Free ports that no rtpengine takes while what listens there is killed."""
        ports: set[int] = set()
        while len(ports) < count:
            port = free_port()
            if not any(port in block for block in self.audio.values()):
                ports.add(port)
        return sorted(ports)

    def _is_complete(self) -> bool:
        ready = [self.api(name).ask("GET", "/readyz") for name in NODES]
        return all(each["store"]["available"] and each["rtpengine"]["up"] == 2 for each in ready)


def dispatcher(folder: Path, nodes: Sequence[int]) -> KamailioProcess:
    """Kamailio alone, as the compose file starts it, in front of nodes at these two ports."""
    port = kamailio_port()
    needed, _ = variables_of(COMPOSE)
    variables = {**dict.fromkeys(needed, "unused"), "ADDRESS": LOOPBACK, "SIP_PORT": str(port)}
    service = ComposeFile.read(COMPOSE, variables).services["kamailio"]
    places = {inside: CLUSTER / source for inside, source in service.volumes.items()}
    places["/etc/kamailio/dispatcher.list"] = _dispatcher_list(folder, nodes)
    return KamailioProcess(folder, port, service.command_on(places))


def _dispatcher_list(folder: Path, nodes: Sequence[int]) -> Path:
    """The shipped one, with the ports that the nodes have here."""
    text = (CLUSTER / "dispatcher.list").read_text()
    for shipped, port in zip((5071, 5072), nodes, strict=True):
        text, count = re.subn(rf":{shipped}\b", f":{port}", text)
        assert count == 1
    written = folder / "dispatcher.list"
    written.write_text(text)
    return written
