"""Bencoding: what is written is read again, and what comes in pieces is waited for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtpengine.bencode import BencodeError, Incomplete, Value, Writable, decode, decode_at, encode

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.integers(-(2**63), 2**63) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Writable) -> None:
    assert decode(encode(value)) == value


@given(VALUES, st.binary(max_size=8))
def test_a_value_ends_where_it_ends(value: Writable, behind: bytes) -> None:
    data = encode(value)
    assert decode_at(b"x" + data + behind, 1) == (value, 1 + len(data))


@given(VALUES)
def test_every_beginning_of_a_value_is_incomplete(value: Writable) -> None:
    data = encode(value)
    for length in range(len(data)):
        with pytest.raises(Incomplete):
            decode_at(data[:length], 0)


@given(st.binary(max_size=60))
def test_anything_is_a_value_or_refused(data: bytes) -> None:
    with contextlib.suppress(BencodeError):
        decode(data)


def test_texts_are_utf8_and_keys_in_order() -> None:
    assert encode({"b": ["é", 1], "a": b"\xff"}) == b"d1:a1:\xff1:bl2:\xc3\xa9i1eee"


@pytest.mark.parametrize(
    "data",
    [b"x", b"i-e", b"ie", b"i1x", b"-1:", b"d1:ae", b"di1ei2ee", b"i1ei2e", b"l" * 40 + b"e" * 40, b"9" * 30],
)
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(BencodeError) as refused:
        decode(data)
    assert refused.type is BencodeError
