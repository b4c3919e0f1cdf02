"""Our engine as a plain relay, for `relay.py`: reads the peers of each call, prints where it takes them, relays.

With `--mix` it makes calls of three out of them, each of whom hears the two others.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from media.engine import Address, Codec, StreamParameters
from media.events import MediaEvent
from media.native import NativeCall, NativeEngine, NativeSettings
from media.srtp import CryptoSuite, SrtpKeys

SUITES = (CryptoSuite.AES_CM_128_HMAC_SHA1_32, CryptoSuite.AES_CM_128_HMAC_SHA1_80)
LOAD_KEY, OUR_KEY = b"\x42" * 30, b"\x24" * 30
"""What `relay_load` sends under, and what we do."""


def _ignore(event: MediaEvent) -> None:
    """A relay needs no events."""


def _parameters(peer: str, codec: Codec, keys: SrtpKeys | None) -> StreamParameters:
    host, port = peer.split(":")
    remote: Address = (host, int(port))
    kind = 0 if codec is Codec.PCMU else 8
    return StreamParameters(remote, None, codec, kind, telephone_event=101, keys=keys)


def _keys(number: int, sides: int) -> SrtpKeys | None:
    """Those of the first side (0) or the second: of two sides it is the second that is SRTP, or both are."""
    return SrtpKeys(SUITES[number], OUR_KEY, LOAD_KEY) if number >= 2 - sides else None


async def relay(
    second_codec: Codec, srtp_sides: int, settings: NativeSettings, recordings: Path | None = None
) -> None:
    """Opens the calls of standard input, answers on standard output, and stays until it is killed."""
    engine = NativeEngine(settings)
    await engine.start()
    calls: list[NativeCall] = []
    # All of them first: who writes them reads nothing until then, and a pipe does not hold 1,400 lines with keys.
    for line in list(iter(sys.stdin.readline, "\n")):
        first, second = line.split()
        call = engine.open_call(_ignore)
        a, b = call.open_leg("caller"), call.open_leg("agent")
        a.set_remote(_parameters(first, Codec.PCMU, _keys(0, srtp_sides)))
        b.set_remote(_parameters(second, second_codec, _keys(1, srtp_sides)))
        call.bridge(a, b)
        if recordings is not None:
            call.record(a, recordings / f"{len(calls)}.wav")
        calls.append(call)
        sides = ("{}:{}".format(*leg.local_address) for leg in (a, b))
        keys = (f"={OUR_KEY.hex()}" if _keys(number, srtp_sides) else "" for number in (0, 1))
        sys.stdout.write(" ".join(map("".join, zip(sides, keys, strict=True))) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def mix(settings: NativeSettings) -> None:
    """The same for calls of three: the peers of three lines are those of two calls."""
    engine = NativeEngine(settings)
    await engine.start()
    peers = [peer for line in iter(sys.stdin.readline, "\n") for peer in line.split()]
    calls, sides = [], []
    for first in range(0, len(peers), 3):
        call = engine.open_call(_ignore)
        legs = [call.open_leg(role) for role in ("caller", "assistant", "agent")]
        for leg, peer in zip(legs, peers[first : first + 3], strict=True):
            leg.set_remote(_parameters(peer, Codec.PCMU, None))
        for leg in legs:
            one, other = (each for each in legs if each is not leg)
            call.mix(leg, one, other)
        calls.append(call)
        sides += ["{}:{}".format(*leg.local_address) for leg in legs]
    sys.stdout.writelines(f"{one} {other}\n" for one, other in zip(sides[::2], sides[1::2], strict=True))
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    workers = int(sys.argv[sys.argv.index("--workers") + 1]) if "--workers" in sys.argv else 1
    plain = NativeSettings(ports=(10000, 59999), workers=workers)
    if "--mix" in sys.argv:
        asyncio.run(mix(plain))
    asyncio.run(
        relay(
            Codec.PCMA if "--transcode" in sys.argv else Codec.PCMU,
            sum(option == "--srtp" for option in sys.argv),
            replace(plain, gather=0.0) if "--no-gather" in sys.argv else plain,
            Path(sys.argv[sys.argv.index("--record") + 1]) if "--record" in sys.argv else None,
        )
    )
