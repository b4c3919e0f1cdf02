"""What is read of a leg that a daemon has: its side toward the peer, before and after it was told of one."""

from __future__ import annotations

from media.rtpengine.bencode import Value
from media.rtpengine.query import Side, read_outside


def a_side(tag: bytes, port: int) -> Value:
    streams: list[Value] = [{"local address": b"192.0.2.1", "local port": port}]
    return {"tag": tag, "medias": [{"streams": streams}]}


def test_the_side_toward_the_peer_has_its_tag_once_there_is_an_answer() -> None:
    assert read_outside({"tags": {"int": a_side(b"int", 30), "ext": a_side(b"ext", 40)}}).port == 40


def test_before_it_is_the_one_without_a_tag() -> None:
    assert read_outside({"tags": {"int": a_side(b"int", 30), "<untagged 1>": a_side(b"", 40)}}).port == 40


def test_a_leg_of_which_nothing_is_told_has_no_port() -> None:
    assert read_outside({"tags": {"int": a_side(b"int", 30)}}) == read_outside({}) == Side()
