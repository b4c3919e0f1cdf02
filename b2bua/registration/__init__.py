"""Registering at trunks that call only those who have registered (RFC 3261 section 10)."""

from b2bua.registration.bindings import Binding, Bindings, State
from b2bua.registration.registrant import Registrant

__all__ = ["Binding", "Bindings", "Registrant", "State"]
