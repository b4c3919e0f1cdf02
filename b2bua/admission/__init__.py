"""Admission: who is listened to, how much of it, and what gives way when the machine is busy."""

from b2bua.admission.counters import AdmissionCounters
from b2bua.admission.doorkeeper import Doorkeeper
from b2bua.admission.loop_load import Load, LoopLoad
from b2bua.admission.overload import Overload
from b2bua.admission.token_bucket import TokenBucket

__all__ = ["AdmissionCounters", "Doorkeeper", "Load", "LoopLoad", "Overload", "TokenBucket"]
