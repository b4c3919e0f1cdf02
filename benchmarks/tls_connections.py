"""What TLS connections cost in memory: 10,000 opened and closed, and some held at once; ours beside asyncio's own TLS.

Each connection is a full handshake, an OPTIONS and its answer. Every server runs in a process of its own; its private
memory (`/proc/PID/smaps_rollup`) is read when all connections of a step are closed. `--serve` is that process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ssl
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say  # noqa: E402

from sip_stack.aio.network import Listen  # noqa: E402
from sip_stack.aio.stack import SipStack  # noqa: E402
from sip_stack.aio.tls_contexts import TlsContexts, TlsSettings  # noqa: E402
from tests.support.certificates import Authority, Pair  # noqa: E402
from tests.support.processes import ChildProcess  # noqa: E402
from tests.support.tls_client import TlsClient  # noqa: E402
from tests.support.tls_stack import client_context, server_context  # noqa: E402

ANSWER = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server(ChildProcess):
    """One of the two, in a process of its own."""

    def __init__(self, kind: str, folder: Path, pair: Pair, ca: Authority) -> None:
        command = [sys.executable, __file__, "--serve", kind, pair.certificate, pair.key, ca.file]
        super().__init__(kind, command, folder)
        self.address = f"127.0.0.1:{self.wait_for_line('^port ([0-9]+)', 20.0)[1]}"


async def serve_ours(pair: Pair, ca: str) -> None:
    """A stack of ours."""
    stack = SipStack(tls=TlsContexts(TlsSettings(pair.certificate, pair.key, (ca,))))
    (bound,) = await stack.start([Listen("tls", "127.0.0.1", 0)])
    await told(bound.port)
    await stack.close()


async def serve_asyncio(pair: Pair) -> None:
    """The least that asyncio's streams can do."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=server_context(pair), backlog=1024)
    await told(server.sockets[0].getsockname()[1])
    server.close()


async def told(port: int) -> None:
    """Say where we listen; return when nobody wants us any more."""
    sys.stdout.write(f"port {port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def open_and_close(address: str, context: ssl.SSLContext, count: int) -> None:
    """One after the other."""
    for _ in range(count):
        with TlsClient(address, context) as client:
            client.options()


def measure(server: Server, context: ssl.SSLContext, steps: list[int], held: int) -> list[str]:
    """The cells of its row: memory after each step, and what a held connection takes."""
    cells, done = [], 0
    for step in steps:
        open_and_close(server.address, context, step - done)
        done = step
        cells.append(f"{server.memory() / 1e6:.1f} MB")
    before = server.memory()
    with ExitStack() as clients:
        for _ in range(held):
            clients.enter_context(TlsClient(server.address, context)).options()
        each = (server.memory() - before) / held / 1024
    return [*cells, f"{each:.0f} KiB"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--held", type=int, default=300)
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "CERTIFICATE", "KEY", "CA"))
    arguments = parser.parse_args()
    if arguments.serve:
        kind, certificate, key, ca_file = arguments.serve
        gc.freeze()
        pair = Pair(certificate, key)
        asyncio.run(serve_ours(pair, ca_file) if kind == "ours" else serve_asyncio(pair))
        return
    steps = [arguments.connections // 10, arguments.connections // 2, arguments.connections]
    say(f"| server | {' | '.join(f'after {step:,}' for step in steps)} | each of {arguments.held} held |")
    say("|---|" + "---|" * (len(steps) + 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = Authority(folder)
        pair = ca.issue("server", ["127.0.0.1"])
        for kind in ("ours", "asyncio"):
            with Server(kind, folder, pair, ca) as server:
                say(f"| {kind} | {' | '.join(measure(server, client_context(ca), steps, arguments.held))} |")


if __name__ == "__main__":
    main()
