"""Bencoding, in which the ng protocol writes its dictionaries: `i42e`, `4:text`, `l...e`, `d...e`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Writable: TypeAlias = "int | str | bytes | Sequence[Writable] | Mapping[str, Writable]"
Value: TypeAlias = "int | bytes | list[Value] | dict[str, Value]"

DEEPEST = 32
"""Levels of nesting that are read; a reply of rtpengine has about ten."""
_LONGEST_NUMBER = 20


class BencodeError(ValueError):
    """The octets are no bencoded value."""


class Incomplete(BencodeError):
    """The octets may be the beginning of one."""


def encode(value: Writable) -> bytes:
    """A value in bencoding; texts as UTF-8, keys in order."""
    match value:
        case bytes():
            return b"%d:%b" % (len(value), value)
        case str():
            return encode(value.encode())
        case int():
            return b"i%de" % value
        case Mapping():
            pairs = sorted((key.encode(), each) for key, each in value.items())
            return b"d%be" % b"".join(encode(key) + encode(each) for key, each in pairs)
        case _:
            return b"l%be" % b"".join(map(encode, value))


def decode(data: bytes) -> Value:
    """The one value that `data` is. Raises `BencodeError`."""
    value, end = decode_at(data, 0)
    if end != len(data):
        raise BencodeError("octets behind the value")
    return value


def decode_at(data: bytes, start: int, depth: int = 0) -> tuple[Value, int]:
    """The value that begins at `start`, and where it ends. Raises `Incomplete` when `data` ends before it does."""
    if depth > DEEPEST:
        raise BencodeError("nested too deep")
    match data[start : start + 1]:
        case b"i":
            return _number(data, start + 1, b"e")
        case b"l":
            items, end = _items(data, start + 1, depth)
            return items, end
        case b"d":
            items, end = _items(data, start + 1, depth)
            keys = items[::2]
            if len(items) % 2 or not all(isinstance(key, bytes) for key in keys):
                raise BencodeError("a dictionary without a text for each key")
            names = [key.decode("utf-8", "replace") for key in keys if isinstance(key, bytes)]
            return dict(zip(names, items[1::2], strict=True)), end
        case b"":
            raise Incomplete("no value yet")
        case _:
            length, begin = _number(data, start, b":")
            if length < 0:
                raise BencodeError("a text of negative length")
            if len(data) < begin + length:
                raise Incomplete("a text is cut off")
            return data[begin : begin + length], begin + length


def _items(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = decode_at(data, at, depth + 1)
        items.append(item)
    return items, at + 1


def _number(data: bytes, start: int, end_mark: bytes) -> tuple[int, int]:
    end = data.find(end_mark, start, start + _LONGEST_NUMBER + 2)
    digits = data[start : end if end >= 0 else start + _LONGEST_NUMBER + 2]
    unsigned = digits[1:] if end_mark == b"e" and digits[:1] == b"-" else digits
    if unsigned and not unsigned.isdigit():
        raise BencodeError("not a number")
    if end < 0 and len(digits) <= _LONGEST_NUMBER:
        raise Incomplete("a number is cut off")
    if end < 0 or not unsigned:
        raise BencodeError("not a number")
    return int(digits), end + 1
