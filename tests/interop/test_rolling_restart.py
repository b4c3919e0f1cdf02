"""Two nodes behind Kamailio's dispatcher, with the configuration of docker/cluster: each is restarted under load."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.b2bua_process import ROOT, B2bua
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.ports import LOOPBACK
from tests.support.sipp import sipp_callee, sipp_caller

CLUSTER = ROOT / "docker/cluster"
RATE = 20


def cluster_configuration(folder: Path, port: int, nodes: list[int]) -> Path:
    """The one of docker/cluster, on loopback at these ports."""
    listed = folder / "dispatcher.list"
    listed.write_text("".join(f"1 sip:{LOOPBACK}:{node} 0 0\n" for node in nodes))
    text = (CLUSTER / "kamailio.cfg").read_text()
    for shipped, here in (
        ("udp:0.0.0.0:5060", f"udp:{LOOPBACK}:{port}"),
        ("/etc/kamailio/dispatcher.list", str(listed)),
        ("children=4", "children=2"),
    ):
        assert text.count(shipped) == 1
        text = text.replace(shipped, here)
    rendered = folder / "cluster.cfg"
    rendered.write_text(text)
    return rendered


def start(folder: Path, port: int, agent: str) -> B2bua:
    """A node at that port; 0 is any."""
    folder.mkdir(exist_ok=True)
    destinations = {"support": {"route": f"sip:desk@{agent}"}}
    return B2bua(folder, destinations, listen=(f"udp:{LOOPBACK}:{port}",), drain=30)


def test_no_call_is_lost_while_one_node_after_the_other_is_restarted(tmp_path: Path) -> None:
    with sipp_callee(tmp_path) as callee:
        nodes = [start(tmp_path / f"node{number}", 0, callee.address) for number in range(2)]
        ports = [node.port for node in nodes]
        port = kamailio_port()
        try:
            with (
                Kamailio(tmp_path, port, template=cluster_configuration(tmp_path, port, ports)) as kamailio,
                sipp_caller(tmp_path, kamailio.address, calls=10_000, rate=RATE) as caller,
            ):
                for number in range(2):
                    nodes[number].records(3)  # it has its part of the calls
                    nodes[number].send_signal(signal.SIGTERM)
                    assert nodes[number].wait(40.0) == 0
                    nodes[number].cdr.rename(nodes[number].cdr.with_suffix(".before"))
                    nodes[number].stop()
                    nodes[number] = start(tmp_path / f"node{number}", ports[number], callee.address)
                    nodes[number].records(3)  # and again, once its pings are answered
                made, taken = caller.finish(), callee.finish()
        finally:
            for node in nodes:
                node.stop()
    assert (made.failed, taken.failed) == (0, 0), caller.complaints()
    assert made.successful == made.created == taken.successful > 12
