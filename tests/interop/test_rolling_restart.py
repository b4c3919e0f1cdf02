"""Two nodes behind Kamailio's dispatcher, with the configuration of docker/cluster: each is restarted under load."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.cluster import dispatcher
from tests.support.ports import LOOPBACK, free_port
from tests.support.sipp import sipp_callee, sipp_caller

RATE = 20


def start(folder: Path, port: int, agent: str) -> B2bua:
    """A node at that port."""
    folder.mkdir(exist_ok=True)
    destinations = {"support": {"route": f"sip:desk@{agent}"}}
    return B2bua(folder, destinations, listen=(f"udp:{LOOPBACK}:{port}",), drain=30)


def test_no_call_is_lost_while_one_node_after_the_other_is_restarted(tmp_path: Path) -> None:
    with sipp_callee(tmp_path) as callee:
        ports = [free_port() for _ in range(2)]
        nodes = [start(tmp_path / f"node{n}", port, callee.address) for n, port in enumerate(ports)]
        try:
            with (
                dispatcher(tmp_path, ports) as kamailio,
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
