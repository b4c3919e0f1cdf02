"""The servers that `signalling.py` compares: ours, Asterisk (Debian unstable), sippy (PyPI) and Kamailio as a proxy.

Ours runs on CPython and on PyPy. Each is a process on one core that brings calls to the callees it is given.
FreeSWITCH is in no Debian.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from report import ROOT

from tests.support.b2bua_process import PYPY, B2bua
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.ports import LOOPBACK, free_port, in_use
from tests.support.processes import ChildProcess, PeerError, wait_until
from tests.support.sipp import SCENARIOS

SERVER_CORE, LOAD_CORE = 1, 0
USER, PASSWORD = "acme", "benchmark"
SIPPY = ROOT / "target/peers/bin/b2bua"
"""Where `scripts/install_bench_peers` puts it."""
ASTERISK = ROOT / "target/asterisk"
"""Where `scripts/install_asterisk` puts it, and all that it needs of Debian unstable."""
KAMAILIO = ROOT / "benchmarks/kamailio.cfg"


@dataclass(frozen=True, slots=True)
class Running:
    """A server at work."""

    process: ChildProcess
    target: str
    """HOST:PORT where it takes calls."""
    recorded: Callable[[], int] | None = None
    """How many ended calls it has written a record of, where it writes any."""


PORTS = {"ports": "10000-31999"}
"""Below the ports that the system hands out; some may be taken."""
NG_STAND_IN = ROOT / "benchmarks/ng_stand_in.py"
SPARE_LEGS = 256
"""Half a second's at 250 calls a second: with the 32 of the default, calls are refused while SIPp has the core."""

Server = Callable[[Path, Mapping[str, str]], AbstractContextManager[Running]]
"""Runs a server in a folder, for places by name with an address (HOST:PORT); the peers know the first only."""


@contextmanager
def ours(
    folder: Path,
    places: Mapping[str, str],
    *,
    main: Mapping[str, object] | None = None,
    media: Mapping[str, object] = PORTS,
    python: Path | None = None,
) -> Iterator[Running]:
    """The B2BUA with its records, its INFO log, and four media ports for each call; `main` has more sections.

    `media` is the section of that name. On the Python that runs us, or on another.
    """
    auth = {"username": USER, "password": PASSWORD}
    desks = {name: {"route": f"sip:desk@{at}", "auth": auth} for name, at in places.items()}
    with B2bua(folder, desks, media=media, main=main, cpus=[SERVER_CORE], python=python) as b2bua:
        yield Running(b2bua, b2bua.host_port, partial(_lines, b2bua.cdr))


@contextmanager
def ours_on_rtpengine(folder: Path, places: Mapping[str, str]) -> Iterator[Running]:
    """The same with `media.engine: rtpengine`, which is `ng_stand_in.py` on the core of the load: no audio ports."""
    port = free_port()
    command: list[str | Path] = [sys.executable, NG_STAND_IN, str(port)]
    with ChildProcess("ng-stand-in", command, folder, cpus=[LOAD_CORE]) as stand_in:
        stand_in.wait_for_line("^ready", 20.0)
        told = {"nodes": [f"tcp:{LOOPBACK}:{port}"], "spare_legs": SPARE_LEGS}
        media = {"engine": "rtpengine", "rtpengine": told}
        with ours(folder, places, media=media) as running:
            yield running


@contextmanager
def sippy(folder: Path, places: Mapping[str, str], *, media: bool = False) -> Iterator[Running]:
    """The sippy B2BUA without a log and without records; with `media` it opens ports too, by rtp.io in its process."""
    port = free_port()
    command: list[str | Path] = [SIPPY, "-f", "-u", "-D", "-A", "0", "-l", LOOPBACK, "-p", str(port)]
    command += ["-s", f"{next(iter(places.values()))};auth={USER}:{PASSWORD}", "-c", folder / "sippy.sock"]
    command += ["-L", folder / "sippy.log", *(["-r", "rtp.io:"] if media else [])]
    log = {"SIPLOG_BEND": "none"}
    with ChildProcess("sippy", command, folder, cpus=[SERVER_CORE], environment=log) as process:
        wait_until(partial(_listens, process, port), 20.0, "sippy listens")
        time.sleep(1)  # It says nothing when it is ready.
        yield Running(process, f"{LOOPBACK}:{port}")


@contextmanager
def kamailio(folder: Path, places: Mapping[str, str]) -> Iterator[Running]:
    """Kamailio as a record-routing stateful proxy: one dialog instead of two, and no media. Less than a B2BUA does."""
    port = kamailio_port()
    with Kamailio(
        folder,
        port,
        agent=f"sip:{next(iter(places.values()))}",
        template=KAMAILIO,
        cpus=[SERVER_CORE],
    ) as process:
        yield Running(process, process.address)


@contextmanager
def asterisk(folder: Path, places: Mapping[str, str]) -> Iterator[Running]:
    """Asterisk with `Dial()` and direct media off, so that it opens ports; records as CSV, and no log."""
    port = free_port()
    values = {
        "FOLDER": str(folder),
        "SYSTEM": str(ASTERISK),
        "PORT": str(port),
        "AGENT": next(iter(places.values())),
        "USER": USER,
        "PASSWORD": PASSWORD,
    }
    for template in (ROOT / "benchmarks/asterisk").glob("*.conf"):
        text = template.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (folder / template.name).write_text(text)
    (folder / "cdr-csv").mkdir()
    libraries = ASTERISK / "usr/lib/x86_64-linux-gnu"
    # By its own loader, as its C library is newer than this system's.
    loader: list[str | Path] = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries]
    asterisk = [*loader, ASTERISK / "usr/sbin/asterisk"]
    with ChildProcess(
        "asterisk", [*asterisk, "-f", "-C", folder / "asterisk.conf"], folder, cpus=[SERVER_CORE]
    ) as process:
        wait_until(partial(_listens, process, port), 20.0, "Asterisk listens")
        time.sleep(1)  # It listens before it is ready.
        yield Running(process, f"{LOOPBACK}:{port}", partial(_lines, folder / "cdr-csv/Master.csv"))


ON_PYPY = "ours on PyPy"
ON_RTPENGINE = "ours, rtpengine"
SERVERS: dict[str, Server] = {
    "ours": ours,
    ON_RTPENGINE: ours_on_rtpengine,
    ON_PYPY: partial(ours, python=PYPY),
    "Asterisk": asterisk,
    "sippy": sippy,
    "sippy with rtp.io": partial(sippy, media=True),
    "Kamailio, a proxy": kamailio,
}


def caller_scenario(server: str, folder: Path) -> Path:
    """How SIPp calls through that server."""
    scenario = SCENARIOS / "caller.xml"
    if not server.startswith("sippy"):
        return scenario
    # sippy's Contact has a name, which SIPp's [next_url] takes for a part of the URI.
    head, ok, rest = scenario.read_text().partition('<recv response="200" rrs="true"/>')
    contact = '<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" check_it="true" assign_to="url"/>'
    ok = ok.replace("/>", f"><action>{contact}</action></recv>")
    copy = folder / "caller_of_sippy.xml"
    copy.write_text(head + ok + rest.replace("[next_url]", "[$url]"))
    return copy


def callee_scenario(server: str, folder: Path, *, challenges: bool) -> Path:
    """How SIPp answers calls of that server; `challenges`: it asks for digest credentials."""
    scenario = SCENARIOS / ("callee_challenges.xml" if challenges else "callee.xml")
    if not challenges or not server.startswith("sippy"):
        return scenario
    # sippy's ACK for the 401 comes before its second INVITE or after it. SIPp copies what came last, so the responses
    # to the INVITE take what the ACK has otherwise from variables.
    differing = ("Via", "To", "CSeq")
    kept = "".join(
        f'<ereg regexp=".*" search_in="hdr" header="{name}:" assign_to="{name}"/>' for name in differing
    )
    ack, bye, end = '<recv request="ACK"/>', '<recv request="BYE"/>', "</action>\n  </recv>"
    head, rest = scenario.read_text().split(ack, 1)
    invite, rest = rest.split(end, 1)
    invite += kept + end
    first = invite.replace('<recv request="INVITE"', '<recv request="INVITE" next="late"')
    acked = ack.replace("/>", ' optional="true" next="acked"/>')
    either = f'{acked}{first}<label id="acked"/>{invite}'
    late = f'<nop next="challenged"/><label id="late"/>{ack}<label id="challenged"/>'
    responses, goodbye = rest.split(bye, 1)
    for name in differing:
        responses = responses.replace(f"[last_{name}:]", f"{name}:[${name}]")
    copy = folder / "callee_of_sippy.xml"
    copy.write_text(head + either + late + responses + bye + goodbye)
    return copy


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _listens(process: ChildProcess, port: int) -> bool:
    if process.returncode is not None:
        raise PeerError(f"{process.name} ended with {process.returncode}: {process.tail()}")
    return in_use(port)
