"""What the demonstration changes in the configuration: free ports, short timers, its own routes and destinations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from b2bua.demo import audio
from b2bua.demo.phone import CALL_ID, HOST, LABEL, PASSWORD, REASON, USERNAME
from b2bua.demo.story import ASKED_OVER_HTTP, CALLS, HANDOFFS, MUSIC_TONE, OLD_PASSWORD, WRONG_PASSWORD

CONFIG = Path(__file__).parents[2] / "configs/b2bua.yaml"
TIMERS = {"connect_timeout": "2s", "auth_timeout": "2s", "ring_timeout": "4s"}
"""Short, so that nobody has to wait long for the calls that fail by silence."""
KEY = "B2BUA_DEMO_KEY"
"""The environment variable that has the API key; it is a new one for each demonstration."""

Destination = dict[str, object]


def overrides(centre_port: int, assistant_port: int, output: Path) -> list[str]:
    """Values for `b2bua run --set`. Right passwords are in the environment, and not in an argument."""
    values: dict[str, object] = {
        "sip.listen": [f"udp:{HOST}:0"],
        "media.address": HOST,
        "media.ports": 0,
        "records.cdr": str(output / "cdr.jsonl"),
        "store": f"sqlite:{output / 'b2bua.db'}",
        "api": {"listen": f"{HOST}:0", "keys": [f"${{{KEY}}}"]},
        "webhooks": {"allow": [HOST]},
        "timers": TIMERS,
        "routes": routes(assistant_port),
    }
    for name, destination in destinations(centre_port, output).items():
        values[f"destinations.{name}"] = destination
    return [f"{path}={json.dumps(value)}" for path, value in values.items()]


def routes(assistant_port: int) -> list[Mapping[str, object]]:
    """Some numbers go straight to the contact centre, the others to the assistant."""
    straight = [{"to": scenario.user, "destination": scenario.user} for scenario in CALLS]
    assisted = [
        {
            "to": scenario.user,
            "assistant": {
                "route": f"sip:assistant@{HOST}:{assistant_port}",
                "headers": {CALL_ID: "$call_id", LABEL: "$called"},
            },
        }
        for scenario in HANDOFFS
    ]
    return [*straight, *assisted]


def destinations(port: int, output: Path) -> dict[str, Destination]:
    """Those at the contact centre; one has hold music, two have a wrong password. The others are in `CONFIG`."""
    found = {scenario.user: _destination(scenario.user, port) for scenario in CALLS}
    for scenario in HANDOFFS:
        assert scenario.transfer is not None, "these calls are handed over"
        name = scenario.transfer.destination
        if scenario.transfer.method != "invite":
            continue
        found[name] = _destination(name, port)
        if scenario is ASKED_OVER_HTTP:
            found[name]["hold_music"] = str(hold_music(output))
        if scenario is OLD_PASSWORD:
            found[name]["auth"] = _auth("not-the-password")
    found[WRONG_PASSWORD.user]["auth"] = _auth("not-the-password")
    return found


def hold_music(output: Path) -> Path:
    """A WAV file of one second that may be repeated without a click."""
    path = output / "hold-music.wav"
    audio.write_wav(path, audio.decode(b"".join(audio.tone(MUSIC_TONE))))
    return path


def _destination(user: str, port: int) -> Destination:
    return {
        "method": "invite",
        "encryption": "udp/rtp",
        "route": f"sip:{user}@{HOST}:{port}",
        "auth": _auth(f"${{{PASSWORD}}}"),
        "headers": {LABEL: "$called", REASON: "$reason"},
    }


def _auth(password: str) -> Mapping[str, str]:
    return {"username": USERNAME, "password": password}
