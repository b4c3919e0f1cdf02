"""`media.engine: rtpengine`: the daemons, and what of a configuration they cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config import ConfigurationError, capacity
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles
from tests.support.engines import Limit

NODES = "nodes: ['tcp:127.0.0.1:2223', 'udp:[::1]:2224'], dtmf_listen: '127.0.0.1:2225'"
DAEMONS = f"media: {{engine: rtpengine, rtpengine: {{{NODES}}}}}\n"
DESK = "x:\n  method: invite\n  encryption: udp/rtp\n  route: sip:x@pbx.example.com\n"


def problems(files: ConfigFiles) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        files.load()
    return [str(problem) for problem in refused.value.problems]


def test_a_websocket_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = (
        "media: {engine: rtpengine, rtpengine: {nodes: ['ws:127.0.0.1:2223'], dtmf_listen: '127.0.0.1:1'}}\n"
    )
    files = ConfigFiles(tmp_path, main=MAIN + media)
    files.load()
    monkeypatch.setattr("b2bua.config.rtpengine.find_spec", lambda name: None)
    (problem,) = problems(files)
    assert "b2bua[rtpengine-ws]" in problem


def test_daemons_are_read(tmp_path: Path) -> None:
    configuration = ConfigFiles(tmp_path, main=MAIN + DAEMONS).load()
    rtpengine = configuration.media.rtpengine
    assert rtpengine is not None
    assert [str(node) for node in rtpengine.nodes] == ["tcp:127.0.0.1:2223", "udp:[::1]:2224"]
    assert rtpengine.spare_legs == 32
    assert not configuration.warnings
    said = "audio ports are those of tcp:127.0.0.1:2223 and udp:[::1]:2224"
    assert str(capacity(configuration)) == f"50000 calls at once ({said}; 100000 SIP sessions: 50000)"


@pytest.mark.parametrize(
    ("media", "said"),
    [
        ("{engine: rtpengine}", "the rtpengine engine without daemons"),
        ("{rtpengine: {nodes: ['tcp:127.0.0.1:2223']}}", "rtpengine daemons and another engine"),
        ("{engine: rtpengine, rtpengine: {nodes: []}}", "empty"),
        ("{engine: rtpengine, rtpengine: {}}", "the key 'nodes' is missing"),
        ("{engine: rtpengine, rtpengine: {nodes: ['127.0.0.1:2223']}}", "not the address of an rtpengine"),
        ("{engine: rtpengine, rtpengine: {nodes: ['tcp:host:2223']}}", "without an IP address"),
        ("{engine: rtpengine, rtpengine: {nodes: ['tcp:127.0.0.1:0']}}", "without a port"),
        ("{engine: rtpengine, rtpengine: {nodes: ['tcp:127.0.0.1:1', 'tcp:127.0.0.1:1']}}", "named twice"),
        ("{engine: rtpengine, rtpengine: {nodes: ['tcp:127.0.0.1:1'], spare_legs: 0}}", "too small"),
        (
            "{engine: rtpengine, codecs: [PCMU, G722], rtpengine: {nodes: ['tcp:127.0.0.1:1']}}",
            "a codec that",
        ),
    ],
)
def test_what_is_no_daemon_is_refused(tmp_path: Path, media: str, said: str) -> None:
    (problem,) = problems(ConfigFiles(tmp_path, main=f"{MAIN}media: {media}\n"))
    assert said in problem


@pytest.mark.parametrize(
    ("limit", "asked"),
    [
        (Limit.MACHINES, "detect_voicemail: beep"),
        (Limit.SILENCE, "wait_for_silence: 3s"),
        (Limit.RECORD, "record: true"),
    ],
)
def test_what_rtpengine_cannot_do_is_refused_at_load(tmp_path: Path, limit: Limit, asked: str) -> None:
    people = f"{DESTINATIONS}{DESK}  {asked}\n"
    (problem,) = problems(ConfigFiles(tmp_path, main=MAIN + DAEMONS, destinations=people))
    assert asked.split(":")[0] in problem
    assert "rtpengine engine" in problem


@pytest.mark.parametrize("transport", ["udp", "ws"])
def test_keys_that_would_not_be_heard_are_warned_of(tmp_path: Path, transport: str) -> None:
    nodes = f"nodes: ['{transport}:127.0.0.1:2223']"
    main = f"{MAIN}media: {{engine: rtpengine, ports: 20000-20999, rtpengine: {{{nodes}}}}}\n"
    warnings = [str(each) for each in ConfigFiles(tmp_path, main=main).load().warnings]
    assert len(warnings) == 2
    assert "dtmf_listen" in warnings[0]
    assert "has no effect" in warnings[1]
