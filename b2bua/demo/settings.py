"""What the demonstration changes in the configuration: free ports, short timers, five destinations."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

from b2bua.demo.phone import HOST, PASSWORD, USERNAME
from b2bua.demo.story import SCENARIOS, WRONG_PASSWORD

CONFIG = Path(__file__).parents[2] / "configs/b2bua.yaml"
TIMERS = {"connect_timeout": "2s", "auth_timeout": "2s", "ring_timeout": "4s"}
"""Short, so that nobody has to wait long for the calls that fail by silence."""
MEDIA_PORTS = 40
FIRST_MEDIA_PORT, LAST_MEDIA_PORT = 20000, 32000


def overrides(centre_port: int, records: Path) -> list[str]:
    """Values for `b2bua run --set`. The right password is in the environment, and not in an argument."""
    first = free_media_ports()
    values: dict[str, object] = {
        "sip.listen": [f"udp:{HOST}:0"],
        "media.address": HOST,
        "media.ports": f"{first}-{first + MEDIA_PORTS - 1}",
        "records.cdr": str(records),
        "timers": TIMERS,
        "routes": [{"to": scenario.user, "destination": scenario.user} for scenario in SCENARIOS],
    }
    for scenario in SCENARIOS:
        wrong = scenario is WRONG_PASSWORD
        values[f"destinations.{scenario.user}"] = destination(
            scenario.user, centre_port, "not-the-password" if wrong else f"${{{PASSWORD}}}"
        )
    return [f"{path}={json.dumps(value)}" for path, value in values.items()]


def destination(user: str, port: int, password: str) -> Mapping[str, object]:
    """A destination at the contact centre."""
    return {
        "method": "invite",
        "encryption": "udp/rtp",
        "route": f"sip:{user}@{HOST}:{port}",
        "auth": {"username": USERNAME, "password": password},
    }


def free_media_ports() -> int:
    """The first of `MEDIA_PORTS` UDP ports in a row that nobody uses now."""
    for first in range(FIRST_MEDIA_PORT, LAST_MEDIA_PORT, MEDIA_PORTS):
        if all(_is_free(port) for port in range(first, first + MEDIA_PORTS)):
            return first
    raise OSError(f"no {MEDIA_PORTS} UDP ports in a row are free on {HOST}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
