"""What carries the audio in these tests: `engine` plays a test on our engine and on a real rtpengine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.engines import ENGINES, NATIVE, Carrier, over_rtpengine
from tests.support.rtpengine import RtpengineDaemon

BLOCKS = 2
"""Of ports: those of the tests before rest for two seconds."""


@pytest.fixture(scope="session")
def rtpengine_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtpengineDaemon]:
    """One for all tests that do not kill it."""
    with RtpengineDaemon(tmp_path_factory.mktemp("rtpengine"), blocks=BLOCKS) as daemon:
        asyncio.run(daemon.answers())
        yield daemon


@pytest.fixture(scope="session")
def rtpengine_with_a_listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtpengineDaemon]:
    """For those to whom it tells of keys by datagrams: one that finds nobody makes it lose the next one, too."""
    with RtpengineDaemon(
        tmp_path_factory.mktemp("rtpengine"), "rtpengine-with-a-listener", blocks=BLOCKS
    ) as daemon:
        asyncio.run(daemon.answers())
        yield daemon


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Carrier:
    """Each engine in turn. A test that is not played on both, or also by UDP and WebSocket (`rtpengine-udp`,
    `rtpengine-ws`), says so with `parametrize("engine", [...], indirect=True)`."""
    if request.param == "native":
        return NATIVE
    _, _, transport = request.param.partition("-")
    if not transport:
        return over_rtpengine([request.getfixturevalue("rtpengine_daemon")])
    return over_rtpengine([request.getfixturevalue("rtpengine_with_a_listener")], transport=transport)
