"""Answers kept as long as their TTL says, and one look-up for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from sip_stack.aio.name_server import Answer
from sip_stack.locating import ResolutionError

MAX_CACHED = 4096
MAX_IN_FLIGHT = 512

Record = TypeVar("Record")
Key = tuple[str, str]
"""A name in lower case, and what is asked about it."""


class AnswerCache:
    """Owns the look-ups: who waits for one may give up, and it goes on for the others and for the cache."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[float, Answer[Any]]] = {}
        self.hits = 0
        """Questions answered from what is kept."""
        self.asked = 0
        """Look-ups begun."""
        self.failures = 0
        """Look-ups that no name server answered."""
        self._in_flight: dict[Key, asyncio.Task[Answer[Any]]] = {}

    async def get(
        self, key: Key, look_up: Callable[[], Coroutine[Any, Any, Answer[Record]]]
    ) -> Answer[Record]:
        """What is known, or what `look_up` finds. Raises ResolutionError when too much is asked, or when closed."""
        kept = self._fresh(key)
        if kept is not None:
            self.hits += 1
            return cast("Answer[Record]", kept)
        task = self._in_flight.get(key)
        if task is None:
            if len(self._in_flight) >= MAX_IN_FLIGHT:
                raise ResolutionError(f"{key[0]}: too many names are being looked up")
            task = self._in_flight[key] = asyncio.create_task(self._look_up(key, look_up))
            task.add_done_callback(lambda _: self._in_flight.pop(key, None))
        await asyncio.wait([task])
        if task.cancelled():
            raise ResolutionError(f"{key[0]}: the resolver was closed")
        return cast("Answer[Record]", task.result())

    async def close(self) -> None:
        """Give up all look-ups."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look_up(
        self, key: Key, look_up: Callable[[], Coroutine[Any, Any, Answer[Any]]]
    ) -> Answer[Any]:
        self.asked += 1
        answer = await look_up()
        self.failures += not answer.is_final
        self._keep(key, answer)
        return answer

    def _fresh(self, key: Key) -> Answer[Any] | None:
        entry = self._kept.get(key)
        if entry is None:
            return None
        expires, answer = entry
        if expires <= asyncio.get_running_loop().time():
            del self._kept[key]
            return None
        return answer

    def _keep(self, key: Key, answer: Answer[Any]) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (asyncio.get_running_loop().time() + answer.ttl, answer)
        while len(self._kept) > MAX_CACHED:
            del self._kept[next(iter(self._kept))]
