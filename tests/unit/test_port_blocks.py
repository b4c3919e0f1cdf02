"""Ports of a program that does not look who has them are nobody else's, in this process or another."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.b2bua_process import ROOT
from tests.support.ports import PortBlock, free_port_range

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
