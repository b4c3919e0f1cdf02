"""The value of Session-ID (RFC 7989)."""

from __future__ import annotations

import pytest

from sip_stack.aio.tokens import TokenSource
from sip_stack.message.session_id import NIL, SessionId, new_uuid

A = "ab30317f1a784dc48ff824d0d3715d86"
B = "47755a9de7794ba387653f2099600ef2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A};remote={B}", SessionId(A, B)),
        (f"{A};remote={NIL}", SessionId(A)),
        (A, SessionId(A)),
        (f" {A.upper()} ; remote = {B} ; future=1", SessionId(A, B)),
        (f"{A};future=1", SessionId(A)),
        (None, None),
        ("", None),
        (A[:-1], None),
        (f"{A}0;remote={B}", None),
        ("550e8400-e29b-41d4-a716-446655440000", None),
        ("x" * 5000, None),
    ],
)
def test_it_is_read(text: str | None, expected: SessionId | None) -> None:
    assert SessionId.parse(text) == expected


def test_it_is_written() -> None:
    assert str(SessionId(A, B)) == f"{A};remote={B}"
    assert str(SessionId(A)) == f"{A};remote={NIL}"


def test_a_new_uuid_is_one_of_version_4() -> None:
    made = {new_uuid(TokenSource()) for _ in range(100)}
    assert len(made) == 100
    for each in made:
        assert SessionId.parse(each) == SessionId(each)
        assert each[12] == "4"
        assert each[16] == "8"
