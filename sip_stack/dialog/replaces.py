"""Replaces: which dialog is to be replaced (RFC 3891 section 6.1), as a value."""

from __future__ import annotations

from dataclasses import dataclass

from sip_stack.errors import RemoteError


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog, seen from whoever receives the header: `to_tag` is its own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool

    @classmethod
    def parse(cls, value: str) -> Replaces:
        """One header value. RemoteError(400) without a Call-ID or one of the tags, or with a tag twice."""
        call_id, *parts = (part.strip() for part in value.split(";"))
        params: dict[str, str] = {}
        for part in parts:
            name, _, text = part.partition("=")
            name = name.strip().lower()
            if name in params:
                raise RemoteError(400, "A Replaces parameter given twice")
            params[name] = text.strip()
        to_tag, from_tag = params.get("to-tag", ""), params.get("from-tag", "")
        if not call_id or not to_tag or not from_tag or "," in value:
            raise RemoteError(400, "Malformed Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in params)
