"""Attended transfer: a far end that has two calls with us joins those it talks to, by REFER with Replaces.

RFC 3891, RFC 5589 section 7. Both dialogs are ours, so nobody is dialled: the dialog that Replaces names is found, and
the other sides of the two are joined in one step. The far end hears so by NOTIFY before it gets its BYEs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.joining import transfer
from b2bua.call.leg import Leg
from b2bua.control import ControlError
from sip_stack.dialog.replaces import Replaces
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from sip_stack.dialog.refer import ReferTo

_WARNING = '399 b2bua "{}"'


def join_by_replaces(leg: Leg, target: ReferTo) -> None:
    """Join whom the far end of `leg` talks to in two calls. Raises `RemoteError` when it may not, or has no second."""
    assert target.replaces is not None, "an attended transfer"
    named = Replaces.parse(target.replaces)
    endpoint = leg.call.services.stack.endpoint
    try:
        consulted = endpoint.find_replaced(named).owner
    except RemoteError as error:
        raise _declined(error.reason) from error
    if not isinstance(consulted, Leg):
        raise _declined("No such dialog here")
    if (leg is not leg.call.caller and not leg.may_refer) or not _same_far_end(leg, consulted):
        raise _declined("Not yours to transfer")
    try:
        transfer(leg, consulted)
    except ControlError as error:
        raise _declined(error.message) from error


def _same_far_end(one: Leg, other: Leg) -> bool:
    """Both are at the same host: who knows both tags of the second dialog besides is who has it."""
    return one.session.flow.remote[0] == other.session.flow.remote[0]


def _declined(why: str) -> RemoteError:
    return RemoteError(603, why, (("Warning", _WARNING.format(why)),))
