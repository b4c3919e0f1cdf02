"""Whether an earlier process has left calls behind: they cannot wait for anything."""

from __future__ import annotations

from b2bua.assembly import group_of, listens
from b2bua.config import Configuration
from b2bua.journal import Journal
from b2bua.store import Store

PATIENCE = 1.0
"""Seconds that the store gets to let go of its connection."""


async def calls_left_behind(configuration: Configuration, store: Store) -> int:
    """How many calls stand in the journal of this node; the store is used for nothing else, and closed.

    Raises `StoreUnavailable`."""
    bound = listens(configuration)
    if not store.has_backend:
        return 0
    if not configuration.node and any(where.port == 0 for where in bound):
        return 0  # Nobody finds entries under a port that is another each time.
    store.start()
    try:
        journal = Journal(store)
        journal.open(group_of(configuration, bound))
        return len(await journal.left_behind())
    finally:
        await store.close(PATIENCE)
