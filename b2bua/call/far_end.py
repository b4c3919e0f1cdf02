"""On what terms a leg is with its far end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.value_class import value_class

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.encryption import MediaProtection
    from b2bua.pass_list import PassList
    from sip_stack.auth import Credentials


@value_class
class FarEnd:
    """On what terms we are with a far end; whoever takes its place is on the same."""

    trunk: str
    """Its trunk; empty when it is none's."""
    protection: MediaProtection
    """Of its audio."""
    credentials: Credentials | None
    """What answers its challenges."""
    passes: PassList
    """What may go from it to the other side, and from there to it."""


def caller_of_trunk(call: Call) -> FarEnd:
    """The caller of a call from a trunk: who challenges us there is answered with what we call the trunk with."""
    name, configuration = call.record.trunk, call.configuration
    trunk = configuration.trunks.get(name)
    auth = trunk.outbound.auth if trunk is not None and trunk.outbound is not None else None
    credentials = None if auth is None else auth.credentials
    return FarEnd(name, configuration.srtp_for(name), credentials, configuration.passes_of(name))
