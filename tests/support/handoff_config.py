"""Configuration files for tests of handoffs: a route to an assistant, a trunk to dial through, one place per method."""

from __future__ import annotations

from pathlib import Path

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
GATEWAY = """\
  gateway:
    outbound: {uri: 'sip:gw.example:5080', auth: {username: us, password: gw-secret}, from_user: '4711'}
"""
ASSISTANT = MAIN.replace("destination: desk", "assistant: sip:bot@ai.example").replace(
    "trunks:\n", f"trunks:\n{GATEWAY}"
)
REFER = "x:\n  method: refer\n  route: sip:operator@sbc.example.com\n"
BYE = "x:\n  method: bye\n"
INVITE = "x:\n  method: invite\n  encryption: udp/rtp\n  route: sip:x@pbx.example.com\n"


def with_assistant(written: str) -> str:
    """The main file with this as its route, which is line 9, to an assistant or not."""
    return ASSISTANT.replace("trunk: sbc, assistant: sip:bot@ai.example", f"trunk: sbc, {written}")


def handoff_files(folder: Path, people: str = "", main: str = ASSISTANT) -> ConfigFiles:
    """Files in a folder, with `people` as further destinations (from line 6 on) and a WAV file, `hold.wav`."""
    (folder / "hold.wav").write_bytes(WAV)
    return ConfigFiles(folder, main=main, destinations=DESTINATIONS + people)
