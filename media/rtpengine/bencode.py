"""Bencoding, in which the ng protocol writes its dictionaries: `i42e`, `4:text`, `l...e`, `d...e`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from media._native import read_bencode

Writable: TypeAlias = "int | str | bytes | Sequence[Writable] | dict[str, Writable]"
Value: TypeAlias = "int | bytes | list[Value] | dict[str, Value]"


class BencodeError(ValueError):
    """The octets are no bencoded value."""


class Incomplete(BencodeError):
    """The octets may be the beginning of one."""


def encode(value: Writable) -> bytes:
    """A value in bencoding; texts as UTF-8, keys in order."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        pairs = sorted([(key.encode(), each) for key, each in value.items()])
        return b"d%be" % b"".join([b"%d:%b%b" % (len(key), key, encode(each)) for key, each in pairs])
    return b"l%be" % b"".join(map(encode, value))


def decode(data: bytes) -> Value:
    """The one value that `data` is. Raises `BencodeError`."""
    value, end = decode_at(data, 0)
    if end != len(data):
        raise BencodeError("octets behind the value")
    return value


def decode_at(data: bytes, start: int) -> tuple[Value, int]:
    """The value that begins at `start`, and where it ends. Raises `Incomplete` when `data` ends before it does."""
    try:
        found = read_bencode(data, start)
    except ValueError as error:
        raise BencodeError(str(error)) from None
    if found is None:
        raise Incomplete("the value is cut off")
    return found
