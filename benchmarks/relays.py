"""The relays that `relay.py` compares: ours, Debian's rtpengine in userspace, and a bare epoll loop in C.

Each is pinned to one core, is given the addresses of both peers of every call, and tells where it takes them.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from media.rtpengine.bencode import Writable, encode  # noqa: E402

SUITES = ("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80")
"""Of the first side and of the second, where they are SRTP."""
LOAD_KEY = b"\x42" * 30
"""What `relay_load` sends under."""

GENERATOR = ROOT / "target/release/examples/relay_load"
BARE = ROOT / "target/release/bare_relay"

Pair = tuple[str, str]
"""`address:port` of the two sides of a call, with `=KEY` in hexadecimal where the relay sends SRTP under that key."""


@dataclass(frozen=True, slots=True)
class Running:
    """A relay at work."""

    pids: list[int]
    sides: list[Pair]
    """Where it takes the packets of each call's peers."""


Relay = Callable[[int, list[Pair]], AbstractContextManager[Running]]
"""Runs a relay on a core for the peers of some calls."""


def build() -> None:
    """Builds what plays the peers, and the bare relay; needs a C compiler."""
    generator = ["cargo", "build", "--release", "--quiet", "-p", "media-core", "--example", "relay_load"]
    subprocess.run([*generator, "--no-default-features"], cwd=ROOT, check=True)
    source = ROOT / "benchmarks/bare_relay.c"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", BARE, source], check=True)


@contextmanager
def speaking_lines(command: list[str], core: int, peers: list[Pair]) -> Iterator[Running]:
    """A relay that reads the peers and writes its own addresses, one call per line."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("".join(f"{a} {b}\n" for a, b in peers) + "\n")
        process.stdin.flush()
        lines = [process.stdout.readline().split() for _ in peers]
        yield Running([process.pid], [(a, b) for a, b in lines])
    finally:
        process.kill()
        process.communicate()


def native(*options: str) -> Relay:
    """The native engine in a Python process."""

    @contextmanager
    def relay(core: int, peers: list[Pair]) -> Iterator[Running]:
        command = [sys.executable, str(ROOT / "benchmarks/native_relay.py"), *options]
        with speaking_lines(command, core, peers) as running:
            yield running

    return relay


@contextmanager
def recording(core: int, peers: list[Pair]) -> Iterator[Running]:
    """The native engine, every call recorded."""
    with tempfile.TemporaryDirectory() as folder, native("--record", folder)(core, peers) as running:
        yield running


@contextmanager
def bare(core: int, peers: list[Pair]) -> Iterator[Running]:
    """One receive, one compare, one send per packet, in C: what any relay costs here."""
    with speaking_lines([str(BARE)], core, peers) as running:
        yield running


def rtpengine(*, srtp_sides: int = 0, transcode: bool = False) -> Relay:
    """Debian's rtpengine-daemon with SRTP on no side, on the second, or on both; PCMU to PCMA with `transcode`."""
    return partial(_rtpengine, srtp_sides, transcode)


@contextmanager
def _rtpengine(srtp_sides: int, transcode: bool, core: int, peers: list[Pair]) -> Iterator[Running]:
    with rtpengine_daemon(core) as (pid, control):
        calls = [control.open_call(number, *pair, srtp_sides, transcode) for number, pair in enumerate(peers)]
        yield Running([pid], calls)


@contextmanager
def rtpengine_daemon(core: int) -> Iterator[tuple[int, NgControl]]:
    """Debian's rtpengine in userspace, one media thread: its process id and what controls it."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["taskset", "-c", str(core), shutil.which("rtpengine") or "/usr/sbin/rtpengine"]
        # Debian's own names ports for its command line, of which another daemon may have them.
        command += ["--config-file=none"]
        command += ["--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}", "--num-threads=1"]
        command += ["--port-min=10000", "--port-max=59999", "--foreground", "--log-stderr", "--log-level=1"]
        process = subprocess.Popen(
            [*command, f"--pidfile={folder}/pid", "--timeout=3600"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            control = NgControl(port)
            control.wait_ready()
            yield process.pid, control
        finally:
            process.kill()
            process.wait()


class NgControl:
    """As much of rtpengine's ng protocol (a cookie and a bencoded dictionary) as setting up a call takes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(1)
        self._socket.connect(("127.0.0.1", port))
        self._cookie = 0

    def wait_ready(self) -> None:
        """Until the daemon answers a ping; it needs a moment to start."""
        for _ in range(50):
            try:
                self._ask({"command": "ping"})
            except (ConnectionRefusedError, TimeoutError):
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("rtpengine does not answer")

    def open_call(self, number: int, caller: str, callee: str, srtp_sides: int, transcode: bool) -> Pair:
        """Offer and answer of one call; where rtpengine takes the caller's and the callee's packets."""
        names: dict[str, Writable] = {"call-id": f"call-{number}", "from-tag": "caller"}
        names |= {"ICE": "remove", "DTLS": "off"}
        profile = "RTP/SAVP" if srtp_sides else "RTP/AVP"
        ours = _crypto(1, SUITES[0]) if srtp_sides == 2 else ""
        offer = {"command": "offer", "sdp": _sdp(caller, ours), "transport-protocol": profile, **names}
        if transcode:
            offer["codec"] = {"mask": ["PCMU"], "transcode": ["PCMA"]}
        offered = self._ask(offer)
        # Not the caller's own suite, which would be passed through, but one that rtpengine made a key for.
        tag, key = _crypto_of(offered, SUITES[1]) if srtp_sides else (0, "")
        theirs = _crypto(tag, SUITES[1]) if srtp_sides else ""
        answer = _sdp(callee, theirs, "PCMA" if transcode else "PCMU")
        answered = self._ask({"command": "answer", "sdp": answer, "to-tag": "callee", **names})
        key_of_caller = _crypto_of(answered, SUITES[0])[1] if ours else ""
        # The offer it passes on names the callee's side, the answer the caller's.
        return _address(answered) + key_of_caller, _address(offered) + key

    def _ask(self, command: dict[str, Writable]) -> str:
        self._cookie += 1
        for _ in range(3):
            self._socket.send(b"%d %b" % (self._cookie, encode(command)))
            try:
                reply = self._socket.recv(65_536).decode()
            except TimeoutError:
                continue
            if reply.startswith(f"{self._cookie} "):
                return reply
        raise TimeoutError("no answer from rtpengine")


def _sdp(address: str, crypto: str, law: str = "PCMU") -> str:
    kind = {"PCMU": 0, "PCMA": 8}[law]
    host, port = address.split(":")
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/{'SAVP' if crypto else 'AVP'} {kind}\r\na=rtpmap:{kind} {law}/8000\r\n{crypto}"
    )


def _crypto(tag: int, suite: str) -> str:
    return f"a=crypto:{tag} {suite} inline:{b64encode(LOAD_KEY).decode()}\r\n"


def _crypto_of(reply: str, suite: str) -> tuple[int, str]:
    """The tag and, as `=KEY`, the key of rtpengine's line for a suite."""
    found = re.search(rf"a=crypto:(\d+) {suite} inline:([A-Za-z0-9+/]+=*)", reply)
    if found is None:
        raise RuntimeError(f"rtpengine says nothing of {suite}: {reply}")
    return int(found[1]), f"={b64decode(found[2]).hex()}"


def _address(reply: str) -> str:
    port = reply.split("m=audio ", 1)[1].split(" ", 1)[0]
    return f"127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


RELAYS: dict[str, Relay] = {
    "ours": native(),
    "ours, gather 0": native("--no-gather"),
    "ours, 2 workers": native("--workers", "2"),
    "ours, transcoding": native("--transcode"),
    "ours, recording": recording,
    "ours, SRTP one side": native("--srtp"),
    "ours, SRTP both sides": native("--srtp", "--srtp"),
    "rtpengine": rtpengine(),
    "rtpengine, transcoding": rtpengine(transcode=True),
    "rtpengine, SRTP one side": rtpengine(srtp_sides=1),
    "rtpengine, SRTP both sides": rtpengine(srtp_sides=2),
    "bare epoll": bare,
}
