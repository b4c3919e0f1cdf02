"""What one call costs in CPU, without sockets and without SIPp: seconds for an answer, steady beside noisy neighbours.

The B2BUA from its SIP stack to its record, in this process, in virtual time: INVITE 100 180 200 ACK, 200 ms, BYE 200,
its log and records written, its media ports opened. Caller and callee are text with holes in it,
and the time they take is left out. What the kernel takes for SIP is not in it; `signalling.py` has that.

    call_path.py                      µs per call, median of the rounds
    call_path.py --against FOLDER     the same beside another checkout, round by round, and the ratio
    call_path.py --against . --trace  what keeping the traces of calls costs
    call_path.py --against . --no-session-id  what Session-ID costs: here with it, there without
    call_path.py --profile            where the time goes
    call_path.py --at-once 4000       with so many calls up: they last as long as that takes
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = Path(os.environ.get("CALL_PATH_ROOT", HERE))
sys.path.insert(0, str(ROOT))
import b2bua  # noqa: E402

b2bua.__path__.append(
    str(HERE / "b2bua")
)  # The peers are those of this checkout where the other has none yet.
from b2bua import runtime  # noqa: E402
from b2bua.call.registry import CallRegistry  # noqa: E402
from b2bua.call.services import METHODS, Services  # noqa: E402
from b2bua.config import load_configuration  # noqa: E402
from b2bua.record_writer import RecordWriter  # noqa: E402
from b2bua.telemetry import logs  # noqa: E402
from b2bua.warm_up.peers import Answer, Callee, Caller, is_to_bye  # noqa: E402
from media.native import NativeEngine, NativeSettings  # noqa: E402
from sip_stack.aio.network import Listen, Receiver  # noqa: E402
from sip_stack.aio.resolver import Resolver  # noqa: E402
from sip_stack.aio.stack import SipStack  # noqa: E402
from sip_stack.settings import EndpointSettings  # noqa: E402
from sip_stack.transport import Address, Flow, Target  # noqa: E402
from tests.support.virtual_loop import run_virtual  # noqa: E402

LOCAL: Address = ("127.0.0.1", 5060)
CALLER: Address = ("127.0.0.1", 6001)
CALLEE: Address = ("127.0.0.1", 6002)
RATE = 300
"""Calls begun per second of virtual time: how many transactions linger follows from it."""
HOLD = 0.2
"""Seconds from answer to hang-up."""
PORTS = (40000, 59999)
"""Away from those that tests look for, so that 4,000 calls are in nobody's way."""
CONFIGURATION = """\
sip: {listen: ["udp:127.0.0.1:5060"]}
media: {address: 127.0.0.1, ports: 40000-59999}
trunks: {sbc: {accept: {addresses: ["127.0.0.1/32"]}}}
routes: [{trunk: sbc, to: desk, destination: desk}]
destinations: destinations.yaml
records: {cdr: cdr.jsonl}
"""
DESTINATIONS = """\
desk: {default: true, method: invite, encryption: udp/rtp, route: "sip:desk@127.0.0.1:6002"}
"""


class Peers:
    """The caller and the callee of every call, and the wire to them: a `Network` and its one `Transport`."""

    transport = "udp"
    local = LOCAL

    def __init__(self, calls: int, hold: float) -> None:
        self.done = asyncio.Event()
        self.spent = 0
        """Nanoseconds of this class."""
        self._calls = calls
        self._hold = hold
        self._completed = 0
        self._loop = asyncio.get_running_loop()
        self._flows: dict[Address, Flow] = {}
        self._waiting: list[tuple[bytes, Address]] = []
        self._receiver: Receiver
        self._caller = Caller(CALLER, LOCAL)
        self._callee = Callee(CALLEE)

    async def listen(self, where: Listen, receiver: Receiver) -> Peers:
        self._receiver = receiver
        return self

    def flow_to(self, target: Target) -> Flow:
        return self._flow((target.host, target.port))

    def is_connected(self, flow: Flow) -> bool:
        return True

    def forget_flows(self) -> None:
        self._flows.clear()

    def close(self) -> None:
        self._waiting.clear()

    def send(self, data: bytes, flow: Flow) -> None:
        if not self._waiting:
            self._loop.call_soon(self._answer)
        self._waiting.append((data, flow.remote))

    def begin(self, first: int) -> None:
        """Start all calls, each at its time."""
        for number in range(self._calls):
            self._loop.call_later(number / RATE, self._invite, first + number)

    def _flow(self, remote: Address) -> Flow:
        flow = self._flows.get(remote)
        if flow is None:
            flow = self._flows[remote] = Flow("udp", LOCAL, remote, LOCAL)
        return flow

    def _invite(self, number: int) -> None:
        self._say(lambda: self._caller.invite(number, "desk"))

    def _say(self, make: Callable[[], bytes]) -> None:
        begun = time.perf_counter_ns()
        data = make()
        self.spent += time.perf_counter_ns() - begun
        self._deliver(data, CALLER)

    def _deliver(self, data: bytes, source: Address) -> None:
        self._receiver.received(data, self._flow(source))
        self._receiver.flush()

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for data, remote in waiting:
            if remote == CALLER:
                self._as_caller(data)
            else:
                self._as_callee(data)

    def _as_callee(self, request: bytes) -> None:
        begun = time.perf_counter_ns()
        responses = self._callee.hear(request)
        self.spent += time.perf_counter_ns() - begun
        for each in responses:
            self._deliver(each, CALLEE)

    def _as_caller(self, response: bytes) -> None:
        if not response.startswith(b"SIP/2.0 200"):
            assert response.startswith(b"SIP/2.0 1"), response
        elif is_to_bye(response):
            self._completed += 1
            if self._completed == self._calls:
                self.done.set()
        else:
            begun = time.perf_counter_ns()
            answer = Answer.of(response)
            self.spent += time.perf_counter_ns() - begun
            self._loop.call_later(self._hold, self._say, lambda: self._caller.bye(answer))
            self._say(lambda: self._caller.ack(answer))


async def run(
    calls: int,
    rounds: int,
    folder: Path,
    profile: cProfile.Profile | None,
    *,
    trace: bool,
    session_id: bool = True,
    hold: float = HOLD,
) -> list[float]:
    """CPU microseconds per call, of each round."""
    listen = 'sip: {listen: ["udp:127.0.0.1:5060"]'
    main = CONFIGURATION if session_id else CONFIGURATION.replace(listen, f"{listen}, session_id: false")
    (folder / "b2bua.yaml").write_text(main)
    (folder / "destinations.yaml").write_text(DESTINATIONS)
    configuration = load_configuration(folder / "b2bua.yaml", {}, [])
    records = RecordWriter(configuration.records.cdr)
    records.start()
    engine = NativeEngine(NativeSettings(ports=PORTS, quarantine=0.0))
    await engine.start()
    peers = Peers(calls, hold)
    stack = SipStack(EndpointSettings(user_agent="b2bua/0", allow=METHODS), network=peers)
    services = Services(stack, engine, Resolver(families=[4]), records, "node")
    if trace:
        from b2bua.trace import TraceRing

        # Full before the first round is over: what gives way is a part of the cost.
        ring = stack.tap = TraceRing(2 * 1024**2)
        services = replace(services, trace=ring)
    registry = CallRegistry(services, configuration)
    stack.on_event = registry.deliver
    stack.endpoint.gate = registry.trunks.doorkeeper
    await stack.start([Listen("udp", *LOCAL)])
    runtime.settle()
    costs = []
    for number in range(rounds + 1):
        peers.done.clear()
        peers._completed = peers.spent = 0
        if profile is not None and number:
            profile.enable()
        begun = time.process_time_ns()
        peers.begin(number * calls)
        await peers.done.wait()
        spent = time.process_time_ns() - begun
        if profile is not None:
            profile.disable()
        if number:  # The first fills caches.
            costs.append((spent - peers.spent) / calls / 1000)
    await asyncio.sleep(1)
    await stack.close()
    await engine.close()
    await services.resolver.close()
    records.close(5.0)
    assert records.written == calls * (rounds + 1)
    return costs


def measured(root: Path, arguments: argparse.Namespace, *options: str) -> list[float]:
    """The same by a process of its own, with the code of `root`."""
    command = [sys.executable, __file__, "--json", "--calls", str(arguments.calls), "--rounds", "1", *options]
    environment = {**os.environ, "CALL_PATH_ROOT": str(root)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    costs: list[float] = json.loads(done.stdout)
    return costs


def compare(arguments: argparse.Namespace) -> str:
    """Both checkouts in turns."""
    ours: list[float] = []
    others: list[float] = []
    for _ in range(arguments.rounds):
        plain = ["--no-session-id"] if arguments.no_session_id else []
        others += measured(arguments.against.resolve(), arguments, *plain)
        ours += measured(ROOT, arguments, *(["--trace"] if arguments.trace else []))
    ratios = [mine / other for mine, other in zip(ours, others, strict=True)]
    return (
        f"{arguments.against}: {statistics.median(others):.0f} µs, least {min(others):.0f}\n"
        f"here: {statistics.median(ours):.0f} µs, least {min(ours):.0f}\n"
        f"ratio: {statistics.median(ratios):.3f}, of the least {min(ours) / min(others):.3f}\n"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_500, help="of each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, built")
    parser.add_argument(
        "--profile", metavar="ORDER", nargs="?", const="tottime", help="tottime (default), cumtime"
    )
    parser.add_argument("--trace", action="store_true", help="keep the traces of calls, here but not there")
    parser.add_argument("--no-session-id", action="store_true", help="say no Session-ID, there but not here")
    parser.add_argument("--at-once", type=int, metavar="CALLS", help="calls that are up at once, on average")
    parser.add_argument("--json", action="store_true", help="only the figures")
    arguments = parser.parse_args()
    if arguments.against is not None:
        sys.stdout.write(compare(arguments))
        return
    profile = cProfile.Profile() if arguments.profile else None
    with tempfile.TemporaryDirectory() as name, Path(name, "log").open("w") as sys.stderr:
        logs.configure("info")
        hold = arguments.at_once / RATE if arguments.at_once else HOLD
        calls = max(arguments.calls, 2 * (arguments.at_once or 0))
        wanted = {"trace": arguments.trace, "session_id": not arguments.no_session_id}
        work = run(calls, arguments.rounds, Path(name), profile, hold=hold, **wanted)
        costs = run_virtual(work)
    if arguments.json:
        sys.stdout.write(json.dumps(costs))
    else:
        sys.stdout.write(
            f"{statistics.median(costs):.0f} µs per call, least {min(costs):.0f}, {len(costs)} rounds\n"
        )
    if profile is not None:
        pstats.Stats(profile).sort_stats(arguments.profile).print_stats(60)


if __name__ == "__main__":
    main()
