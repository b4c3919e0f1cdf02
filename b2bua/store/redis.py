"""The store of several nodes: one Redis, which all of them write to and read from.

A document is the string at `kind:key`, so that other programs may read it: `transfer:<call_id>` is there while a
handoff is under way, `handoff:<id>` has its context. The sorted set `kind:in:<group>` lists a group by age.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from b2bua.store.contract import (
    KEPT,
    Document,
    Found,
    Kind,
    Place,
    Removal,
    StoreUnavailable,
    Write,
)

if TYPE_CHECKING:
    from redis.client import Pipeline

TIMEOUT = 1.0
"""Seconds for a connection, and for an answer."""
_CODES = re.compile(r"\b(EXECABORT|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|OOM|READONLY|WRONGTYPE)\b")


class RedisBackend:
    """A connection, made when it is first used, and again when it was lost. Not for Redis Cluster."""

    def __init__(self, url: str, *, wall_clock: Callable[[], float] = time.time) -> None:
        """`url`: `redis://user:password@host:port/db`, or `rediss://` for TLS. Never shown."""
        # No retries here: `Store` knows better when.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            client_name="b2bua",
            decode_responses=True,
            encoding_errors="surrogatepass",
        )
        self._wall_clock = wall_clock

    def write(self, writes: Sequence[Write]) -> None:
        with _errors(), self._client.pipeline(transaction=True) as pipeline:
            for write in writes:
                if isinstance(write, Removal):
                    pipeline.delete(_name(write.kind, write.key))
                    if write.group:
                        pipeline.zrem(_list(write.kind, write.group), write.key)
                else:
                    self._put(pipeline, write)
            pipeline.execute()
            for kind, group in {(write.kind, write.group) for write in writes if isinstance(write, Document)}:
                if kind in KEPT:
                    self._cap(kind, group)

    def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        with _errors():
            bodies = cast(list[str | None], self._client.mget([_name(kind, key) for key in keys]))
        return {key: body for key, body in zip(keys, bodies, strict=True) if body is not None}

    def find(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Found]:
        found: list[Found] = []
        with _errors():
            while len(found) < limit:
                places = self._places(kind, group, before, limit - len(found))
                if not places:
                    break
                before = places[-1]
                bodies = self.read(kind, [place.key for place in places])
                found += [Found(place, bodies[place.key]) for place in places if place.key in bodies]
                gone = [place.key for place in places if place.key not in bodies]
                if gone:
                    self._client.zrem(_list(kind, group), *gone)
        return found

    def check(self) -> None:
        with _errors():
            self._client.ping()

    def close(self) -> None:
        self._client.close()

    def _put(self, pipeline: Pipeline, document: Document) -> None:
        now = round(self._wall_clock() * 1000)
        left = max(document.expires - now, 1)
        pipeline.set(_name(document.kind, document.key), document.body, px=left)
        if document.group:
            name = _list(document.kind, document.group)
            pipeline.zadd(name, {document.key: document.created})
            # Those of a group have the same length of life, so the newest is the last to expire.
            pipeline.zremrangebyscore(name, 0, now - (document.expires - document.created))
            pipeline.pexpire(name, left)

    def _cap(self, kind: Kind, group: str) -> None:
        """Take out what is too much, the oldest; when several nodes do so at once, a few more than needed."""
        name = _list(kind, group)
        surplus = self._client.zcard(name) - KEPT[kind]
        if surplus > 0:
            oldest = cast("list[tuple[str, float]]", self._client.zpopmin(name, surplus))
            self._client.delete(*(_name(kind, key) for key, _ in oldest))

    def _places(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Place]:
        """The next places of a group, newest first; of those that share a millisecond with `before`, the later ones."""
        first = "+inf" if before is None else before.created
        skip = 0
        while True:
            rows = self._client.zrevrangebyscore(
                _list(kind, group), first, "-inf", start=skip, num=limit, withscores=True
            )
            places = [Place(int(score), key) for key, score in cast("list[tuple[str, float]]", rows)]
            behind = [place for place in places if before is None or place < before]
            if behind or not places:
                return behind
            skip += len(places)


def _name(kind: Kind, key: str) -> str:
    return f"{kind}:{key}"


def _list(kind: Kind, group: str) -> str:
    return f"{kind}:in:{group}"


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except redis.ResponseError as error:
        # Its text may quote what was sent, a password or a caller's words among it.
        code = _CODES.search(str(error))
        raise StoreUnavailable(f"redis: {code[0] if code else type(error).__name__}") from None
    except (redis.RedisError, OSError) as error:
        plain = type(error) in (redis.ConnectionError, redis.TimeoutError)
        raise StoreUnavailable(f"redis: {error if plain else type(error).__name__}") from None
