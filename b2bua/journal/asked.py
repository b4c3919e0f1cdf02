"""What is written down of how handoffs were asked for, which their records do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import TypeAdapter

from b2bua.journal import urls

if TYPE_CHECKING:
    from b2bua.handoff.handoff import Handoff
    from b2bua.journal.seal import Seal


class Asked(NamedTuple):
    """Of one handoff."""

    by: Literal["api", "assistant", "agent"]
    idempotency_key: str
    callback_url: str | None
    """Empty for none; None where it could not be written down: the destination may have one."""
    action_url: str | None

    @classmethod
    def of(cls, handoff: Handoff) -> Asked:
        """As it was asked for."""
        request = handoff.request
        return cls(
            request.asked_by, request.idempotency_key, request.callback_url or "", request.action_url or ""
        )


def written(asked: tuple[Asked, ...], seal: Seal | None, call_id: str) -> list[Asked]:
    """As it may stand in the journal."""

    def hidden(url: str | None) -> str | None:
        return None if url is None else urls.written(url, seal, call_id)

    return [
        each._replace(callback_url=hidden(each.callback_url), action_url=hidden(each.action_url))
        for each in asked
    ]


def read(plain: object, seal: Seal | None, call_id: str) -> tuple[Asked, ...]:
    """What was `written`. Raises `ValueError` for what is none of ours."""
    return tuple(
        each._replace(
            callback_url=urls.read(each.callback_url, seal, call_id),
            action_url=urls.read(each.action_url, seal, call_id),
        )
        for each in _ADAPTER.validate_python(plain)
    )


_ADAPTER = TypeAdapter(list[Asked])
