"""Webhooks: what becomes of a handoff, POSTed to the application's URLs (docs/webhooks.md).

`Webhooks` listens to the feed. What it hears waits in a lane for each call, so that a call's requests keep their
order and no call waits for another; nothing of it ever reaches a call.
"""

from b2bua.webhooks.outbox import Outbox
from b2bua.webhooks.service import Counters, Webhooks

__all__ = ["Counters", "Outbox", "Webhooks"]
