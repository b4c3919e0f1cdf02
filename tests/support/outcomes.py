"""How a call ended, as its record and the response to its caller say it."""

from __future__ import annotations

from b2bua.call.cause import Outcome
from sip_stack.message import Response


def summary(outcome: Outcome | None) -> tuple[str, int, str]:
    assert outcome is not None
    return outcome.name, outcome.code, str(outcome.status)


def reasons(response: Response) -> list[str]:
    return response.headers.get_all("Reason")
