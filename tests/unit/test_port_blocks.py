"""Ports that tests are given: each once, and those of a program that does not look who has them to nobody else, in this
process or another."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from tests.support.b2bua_process import ROOT
from tests.support.ports import BLOCK, LOOPBACK, PortBlock, free_port, free_port_range, in_use, listened_to

ASK = """
import json
from tests.support.ports import free_port_range
print(json.dumps([free_port_range(400) for _ in range(100)]))
"""


def test_who_asks_for_ports_gets_none_of_a_block() -> None:
    blocks = [*(PortBlock() for _ in range(8)), PortBlock(blocks=2)]
    try:
        taken = {port for block in blocks for port in range(block.first, block.last + 1)}
        assert len(taken) == 8 * 198 + 398, "each has its own"
        told = subprocess.run(
            [sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for first, last in [*json.loads(told.stdout), *(free_port_range(40) for _ in range(100))]:
            assert not taken.intersection(range(first, last + 1))
    finally:
        for block in blocks:
            block.release()


def span(ports: tuple[int, int]) -> range:
    first, last = ports
    return range(first, last + 1)


def test_no_port_is_given_twice_before_it_is_bound() -> None:
    given = [port for _ in range(50) for port in (free_port(), *span(free_port_range(40)))]
    assert len(set(given)) == len(given)


def test_who_has_one_port_keeps_nobody_from_the_rest_of_its_block() -> None:
    assert not [port for port in (free_port() for _ in range(1_000)) if port % BLOCK == 0]
    assert not [ports for ports in (free_port_range(40) for _ in range(100)) if ports[0] % BLOCK == 0]


def test_a_port_of_either_protocol_is_not_given() -> None:
    udp, tcp = free_port(), free_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.create_server((LOOPBACK, tcp)),
    ):
        datagrams.bind((LOOPBACK, udp))
        assert [(in_use(port), listened_to(port)) for port in (udp, tcp)] == [(True, False), (False, True)]
        given = {free_port() for _ in range(15_000)}  # once round, and again
    assert not given & {udp, tcp}
    assert not in_use(udp)
    assert not listened_to(tcp)
