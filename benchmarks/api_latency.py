"""How long SIP waits for an answer while the HTTP API is kept busy: both run on one event loop.

A phone on a socket of its own sends OPTIONS, and INVITEs to an assistant that answers at once, and notes how long each
answer takes: without API load, then with clients that ask without pause for the list of calls, one call in full, and
handoffs. `benchmarks/api_latency.py` prints a table; the B2BUA has one core, everything else the other.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say  # noqa: E402

from tests.support.handoff_stage import KEY, SUPPORT, Api, staged  # noqa: E402
from tests.support.peer_sip import SipText, new_branch, response, sdp, write  # noqa: E402
from tests.support.ports import LOOPBACK  # noqa: E402
from tests.support.processes import wait_until  # noqa: E402
from tests.support.scripted import ScriptedCallee, ScriptedCaller  # noqa: E402
from tests.support.udp_peer import Address  # noqa: E402

SERVER_CORE, LOAD_CORE = 1, 0
PACE = 0.01
"""Seconds between two questions to the B2BUA."""
LIVE = 100
"""Calls that are up meanwhile, so that the API has something to tell."""

CLIENT = """
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
request, end, count = sys.argv[2].encode().decode("unicode_escape").encode(), time.time() + float(sys.argv[3]), 0
peer = socket.create_connection((host, int(port)))
while time.time() < end:
    peer.sendall(request)
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        data += peer.recv(65536)
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
    while len(body) < length:
        body += peer.recv(262144)
    count += 1
print(count)
"""


class Phone(ScriptedCaller):
    """Asks one thing at a time and waits for the answer."""

    def option(self, target: Address) -> float:
        """Seconds until an OPTIONS is answered."""
        branch = new_branch()
        headers = [
            ("Via", f"SIP/2.0/UDP {self.address};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:phone@{self.address}>;tag=phone"),
            ("To", f"<sip:us@{target[0]}>"),
            ("Call-ID", branch),
            ("CSeq", "1 OPTIONS"),
        ]
        sent = time.monotonic()
        self.send(write(f"OPTIONS sip:us@{target[0]}:{target[1]} SIP/2.0", headers), target)
        while True:
            for entry in reversed(self.received):
                if entry.message.branch == branch:
                    return entry.at - sent
            time.sleep(0.0002)

    def invite(self, target: Address) -> float:
        """Seconds until an INVITE is answered 200; the call is hung up again."""
        self.received.clear()
        self.call(target, SUPPORT)
        _, seconds = self.final()
        self.hang_up()
        return seconds


def answers(invite: SipText) -> list[bytes]:
    """An assistant that takes every call."""
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


@contextlib.contextmanager
def api_load(api: str, call_id: str, seconds: float, clients: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Clients that ask as fast as they are answered."""
    head = f"HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {KEY}\\r\\n"
    requests = [
        f"GET /v1/calls?limit=100 {head}\\r\\n",
        f"GET /v1/calls/{call_id} {head}\\r\\n",
        f"POST /v1/calls/{call_id}/handoff {head}Content-Type: application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}",
    ]
    commands = [
        ["taskset", "-c", str(LOAD_CORE), sys.executable, "-c", CLIENT, api, requests[n % 3], str(seconds)]
        for n in range(clients)
    ]
    processes = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def percentiles(samples: list[float]) -> str:
    """Median, p99 and maximum in ms."""
    cuts = statistics.quantiles(samples, n=100)
    return f"{cuts[49] * 1000:.2f} | {cuts[98] * 1000:.2f} | {max(samples) * 1000:.2f}"


def measure(phone: Phone, target: Address, seconds: float) -> tuple[list[float], list[float]]:
    """OPTIONS and INVITE in turn for so long."""
    options, invites = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        options.append(phone.option(target))
        time.sleep(PACE)
        invites.append(phone.invite(target))
        time.sleep(PACE)
    return options, invites


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[0, 1, 3, 12], help="clients without pause")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    say(
        "| API clients | requests/s | OPTIONS ms: median | p99 | max | INVITE to 200 ms: median | p99 | max |"
    )
    say("|---|---|---|---|---|---|---|---|")
    desk = {"desk": {"route": f"sip:desk@{LOOPBACK}:9"}}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        bot = stack.enter_context(ScriptedCallee(answers))
        b2bua, api = stack.enter_context(
            staged(
                Path(folder),
                f"sip:bot@{bot.address}",
                desk,
                media_ports=2000,
                log_level="warning",
                cpus=[SERVER_CORE],
            )
        )
        live_calls(stack, b2bua.address, api)
        call_id = api.live_calls()[0]["call_id"]
        phone = stack.enter_context(Phone())
        measure(phone, b2bua.address, 1.0)
        for clients in options.clients:
            with api_load(b2bua.api, call_id, options.seconds, clients) as processes:
                asked, called = measure(phone, b2bua.address, options.seconds)
                done = sum(int(process.stdout.readline()) for process in processes if process.stdout)
            say(
                f"| {clients} | {done / options.seconds:.0f} | {percentiles(asked)} | {percentiles(called)} |"
            )


def live_calls(stack: contextlib.ExitStack, target: Address, api: Api) -> None:
    """Calls that stay up."""
    for _ in range(LIVE):
        stack.enter_context(ScriptedCaller()).call(target, SUPPORT)
    wait_until(lambda: len(api.live_calls()) == LIVE, 10.0, "the calls are up")


if __name__ == "__main__":
    main()
