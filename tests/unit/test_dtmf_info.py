"""Keys in SIP INFO, as phones write them."""

from __future__ import annotations

import pytest

from b2bua.call.dtmf import PLAIN, RELAY, KeyPress, read_key_press, write_key_press


@pytest.mark.parametrize(
    ("content_type", "body", "key"),
    [
        (RELAY, b"Signal=5\r\nDuration=250\r\n", KeyPress("5", 250)),
        (RELAY, b"Signal= 5\nDuration= 250", KeyPress("5", 250)),
        (RELAY, b"signal=#\r\nduration=100", KeyPress("#", 100)),
        (RELAY, b"Signal=*\r\n", KeyPress("*")),
        (RELAY, b"Signal=10\r\nDuration=100", KeyPress("*", 100)),
        (RELAY, b"Signal=11\r\nDuration=100", KeyPress("#", 100)),
        (RELAY, b"Signal=d\r\nDuration=100", KeyPress("D", 100)),
        (RELAY, b"Signal=5\r\nDuration=1", KeyPress("5", 40)),
        (RELAY, b"Signal=5\r\nDuration=999999", KeyPress("5", 5000)),
        (RELAY, b"Signal=5\r\nDuration=long", KeyPress("5")),
        (RELAY, b"Duration=100", None),
        (RELAY, b"Signal=16\r\n", None),
        (RELAY, b"Signal=55\r\n", None),
        (RELAY, b"", None),
        (RELAY, b"\xff\xfe\0", None),
        (PLAIN, b"7", KeyPress("7")),
        (PLAIN, b" 7\r\n", KeyPress("7")),
        (PLAIN, b"Signal=7", KeyPress("7")),
        (PLAIN, b"1234", None),
        ("application/media_control+xml", b"5", None),
    ],
)
def test_what_is_read(content_type: str, body: bytes, key: KeyPress | None) -> None:
    assert read_key_press(content_type, body) == key


def test_what_is_written_is_read_again() -> None:
    for digit in "0123456789*#ABCD":
        assert read_key_press(RELAY, write_key_press(KeyPress(digit, 120))) == KeyPress(digit, 120)
