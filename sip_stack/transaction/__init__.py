"""SIP transactions: RFC 3261 section 17 and RFC 6026."""

from sip_stack.transaction.engine import (
    ClientTransaction,
    ClientUser,
    ServerTransaction,
    ServerUser,
    TimerOwner,
)
from sip_stack.transaction.manager import TransactionManager, Upcalls
from sip_stack.transaction.timers import Timer, TimerQueue

__all__ = [
    "ClientTransaction",
    "ClientUser",
    "ServerTransaction",
    "ServerUser",
    "Timer",
    "TimerOwner",
    "TimerQueue",
    "TransactionManager",
    "Upcalls",
]
