"""What outlives a call: the context of handoffs, the stories of calls, and the notes on them.

docs/handoff.md, "The store".
"""

from b2bua.store.contract import Backend, Document, Found, Kind, Place, Removal, StoreUnavailable, Write
from b2bua.store.opening import StoreNotInstalled, open_store
from b2bua.store.store import Store, StoreStatus

__all__ = [
    "Backend",
    "Document",
    "Found",
    "Kind",
    "Place",
    "Removal",
    "Store",
    "StoreNotInstalled",
    "StoreStatus",
    "StoreUnavailable",
    "Write",
    "open_store",
]
