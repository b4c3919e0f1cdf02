"""The DNS server of the tests beside processes: in an event loop and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from tests.support.fake_dns import FakeDns


class DnsThread:
    """Use as `with DnsThread() as server`; `server.dns` is the server, whose zone may be changed at any time."""

    def __init__(self) -> None:
        self.dns = FakeDns()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="dns", daemon=True)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        async with self.dns:
            self._ready.set()
            await self._done.wait()

    def __enter__(self) -> FakeDns:
        self._thread.start()
        assert self._ready.wait(5.0), "the DNS server did not start"
        return self.dns

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(5.0)
