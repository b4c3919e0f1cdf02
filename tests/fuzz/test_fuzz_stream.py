"""Streams of any octets, cut anywhere: the framer loses nothing, invents nothing, raises only its own error."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sip_stack.endpoint import Endpoint
from sip_stack.errors import RemoteError
from sip_stack.message import MAX_MESSAGE, Request, parse_message
from sip_stack.message.framing import MAX_HEAD, PING, FramingError, StreamFramer
from sip_stack.transport import Flow

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=30)
HERE, THERE = ("192.0.2.1", 5060), ("192.0.2.2", 40000)
CONNECTION = Flow("tcp", HERE, THERE, HERE, 1)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message whose headers are anything and whose length is said."""
    lines = [f"X-{number}: {text}" for number, text in enumerate(draw(st.lists(TEXT, max_size=5)))]
    body = draw(st.binary(max_size=200))
    name = draw(st.sampled_from(["Content-Length", "content-length", "l", "L ", "Content-Length\t"]))
    lines.insert(draw(st.integers(0, len(lines))), f"{name}: {len(body)}")
    return "\r\n".join(["OPTIONS sip:x SIP/2.0", *lines, "", ""]).encode() + body


def fed(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bool]:
    """The items of a stream that arrives in pieces, and whether it ended with a fault."""
    framer = StreamFramer()
    items: list[bytes] = []
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    try:
        for start, end in pairwise(edges):
            # Not extend(list(...)): what came before a fault counts.
            items += framer.feed(stream[start:end])
    except FramingError:
        return items, True
    return items, False


CUTS = st.lists(st.integers(0, 100_000), max_size=20)


@given(st.lists(st.one_of(messages(), st.just(PING), st.just(b"\r\n")), max_size=6), CUTS)
def test_messages_come_out_as_they_went_in(sent: list[bytes], cuts: list[int]) -> None:
    items, fault = fed(b"".join(sent), cuts)
    assert not fault
    assert [item for item in items if item is not PING] == [item for item in sent if len(item) > 4]


@given(
    st.one_of(st.binary(max_size=2000), st.text("\r\nlL: 0129-,OPTIONSsip", max_size=300).map(str.encode)),
    CUTS,
)
def test_any_octets_give_the_same_however_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    whole, fault = fed(stream, [])
    assert fed(stream, cuts) == (whole, fault)
    assert sum(map(len, whole)) <= len(stream)
    assert all(item in stream for item in whole)
    assert all(len(item) <= MAX_MESSAGE for item in whole)


@given(messages(), st.integers(0, 400))
def test_the_framer_and_the_parser_agree_on_the_length(message: bytes, cut: int) -> None:
    """Or else one message could be smuggled inside another."""
    framer = StreamFramer()
    (item,) = framer.feed(message)
    try:
        parsed = parse_message(item)
    except RemoteError:
        return
    assert isinstance(parsed, Request)
    head, _, body = item.partition(b"\r\n\r\n")
    assert parsed.body == body
    assert len(head) <= MAX_HEAD


@given(st.lists(st.one_of(messages(), st.binary(max_size=100)), max_size=4), CUTS)
def test_an_endpoint_takes_whatever_a_stream_brings(sent: list[bytes], cuts: list[int]) -> None:
    tokens = iter(map(str, range(1_000_000)))
    endpoint = Endpoint(token=lambda: next(tokens))
    framer = StreamFramer()
    stream = b"".join(sent)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    try:
        for start, end in pairwise(edges):
            for item in framer.feed(stream[start:end]):
                endpoint.receive(item, CONNECTION, 0.0)
    except FramingError as fault:
        if fault.head:
            endpoint.receive(fault.head, CONNECTION, 0.0, fault)
    for transmit in endpoint.transmits():
        assert transmit.flow is CONNECTION
