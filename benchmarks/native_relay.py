"""Our engine as a plain relay, for `relay.py`: reads the peers of each call, prints where it takes them, relays."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from media.engine import Address, Codec, MediaEvent, StreamParameters
from media.native import NativeEngine, NativeSettings


def _ignore(event: MediaEvent) -> None:
    """A relay needs no events."""


def _parameters(peer: str, codec: Codec) -> StreamParameters:
    host, port = peer.split(":")
    remote: Address = (host, int(port))
    return StreamParameters(remote, None, codec, 0 if codec is Codec.PCMU else 8, telephone_event=101)


async def relay(second_codec: Codec, settings: NativeSettings) -> None:
    """Opens the calls of standard input, answers on standard output, and stays until it is killed."""
    engine = NativeEngine(settings)
    await engine.start()
    calls = []
    for line in iter(sys.stdin.readline, "\n"):
        first, second = line.split()
        call = engine.open_call(_ignore)
        a, b = call.open_leg("caller"), call.open_leg("agent")
        a.set_remote(_parameters(first, Codec.PCMU))
        b.set_remote(_parameters(second, second_codec))
        call.bridge(a, b)
        calls.append(call)
        sys.stdout.write("{}:{} {}:{}\n".format(*a.local_address, *b.local_address))
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    plain = NativeSettings(ports=(10000, 59999))
    asyncio.run(
        relay(
            Codec.PCMA if "--transcode" in sys.argv else Codec.PCMU,
            replace(plain, gather=0.0) if "--no-gather" in sys.argv else plain,
        )
    )
