"""What a process leaves behind for the next one: the calls that are up, and their end after `kill -9`."""

from b2bua.journal.journal import Journal
from b2bua.journal.recovery import Recovery

__all__ = ["Journal", "Recovery"]
