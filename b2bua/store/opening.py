"""From `store:` to the store."""

from __future__ import annotations

from b2bua.config import Store as Configured
from b2bua.store.sqlite import SqliteBackend
from b2bua.store.store import Store


class StoreNotInstalled(Exception):
    """The configured kind of store needs a library that is not there."""


def open_store(configured: Configured) -> Store:
    """The store that is configured; it is not started. Raises `StoreNotInstalled`."""
    if configured.kind == "redis":
        try:
            from b2bua.store.redis import RedisBackend
        except ImportError:
            raise StoreNotInstalled("store: redis needs the extra: pip install 'b2bua[redis]'") from None
        assert configured.url is not None, "a redis store has a URL"
        return Store(RedisBackend(configured.url.get_secret_value()), "redis")
    if configured.kind == "disabled":
        return Store(None, "disabled")
    assert configured.path is not None, "a sqlite store has a file"
    return Store(SqliteBackend(configured.path, max_octets=configured.max_octets), "sqlite")
