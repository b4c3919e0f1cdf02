"""What the ring of traces keeps: whose messages, how many of them, and what gives way."""

from __future__ import annotations

import pytest

from b2bua.trace.ring import (
    BEGINNING,
    MAX_MESSAGES,
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_MESSAGES,
    OVERHEAD,
    Dialog,
    Message,
    TraceRing,
    call_id_of,
)
from sip_stack.transport import Flow

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.1", 5060))


def message(method: str, call_id: str, size: int = 0) -> bytes:
    return f"{method} sip:a@b SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n{'x' * size}".encode()


def kept(ring: TraceRing, call_id: str) -> list[bytes]:
    traced = ring.of_call(call_id)
    return [each.data for dialog in traced.dialogs for each in dialog.messages] if traced else []


@pytest.mark.parametrize(
    ("text", "call_id"),
    [
        (b"INVITE a SIP/2.0\r\nCall-ID: one@x\r\n\r\n", b"one@x"),
        (b"INVITE a SIP/2.0\r\ncall-id :  two@x \r\nTo: b\r\n\r\n", b"two@x"),
        (b"INVITE a SIP/2.0\r\ni:three\r\n\r\nCall-ID: body\r\n", b"three"),
        (b"SIP/2.0 200 OK\r\nTo: b\r\n\r\nx\r\nCall-ID: of-a-sipfrag\r\n", b""),
        (b"\0\xff nonsense", b""),
        (b"", b""),
    ],
)
def test_a_call_id_is_found_in_every_spelling_and_only_in_the_head(text: bytes, call_id: bytes) -> None:
    assert call_id_of(text) == call_id


def test_the_messages_of_all_legs_come_together_and_no_others() -> None:
    ring = TraceRing(100_000)
    ring.received(message("INVITE", "from-caller"), FLOW, 1.0)
    ring.sent(message("100", "from-caller"), FLOW, 1.0)  # before anybody knows that this will be a call
    ring.claim("from-caller", "call", "caller")
    ring.sent(message("INVITE", "to-agent"), FLOW, 1.1)
    ring.claim("to-agent", "call", "agent")
    ring.received(message("OPTIONS", "a-ping"), FLOW, 1.2)
    ring.received(message("BYE", "of-nobody"), FLOW, 1.3)
    ring.received(message("BYE", "from-caller"), FLOW, 2.0)

    traced = ring.of_call("call")
    assert traced is not None
    assert [(dialog.role, len(dialog.messages)) for dialog in traced.dialogs] == [("caller", 3), ("agent", 1)]
    assert [each.sent for each in traced.dialogs[0].messages] == [False, True, False]
    assert ring.of_call("another") is None


def test_a_leg_that_was_joined_with_another_call_is_in_both() -> None:
    ring = TraceRing(100_000)
    for call in ("first", "second"):
        ring.received(message("INVITE", f"leg-of-{call}"), FLOW, 1.0)
        ring.claim(f"leg-of-{call}", call, "caller")
    ring.claim("leg-of-second", "first", "agent")
    ring.received(message("BYE", "leg-of-second"), FLOW, 2.0)

    assert len(kept(ring, "first")) == 3
    assert len(kept(ring, "second")) == 2


def test_the_oldest_call_gives_way_when_there_are_too_many_octets() -> None:
    ring = TraceRing(10 * (1000 + OVERHEAD))
    for number in range(100):
        ring.received(message("INVITE", f"d{number}", 900), FLOW, float(number))
        ring.claim(f"d{number}", f"c{number}", "caller")

    assert ring.octets <= 10 * (1000 + OVERHEAD)
    assert 5 < ring.calls <= 12
    assert kept(ring, "c99")
    assert not kept(ring, "c0")
    ring.received(message("BYE", "d0"), FLOW, 101.0)
    assert not kept(ring, "c0")


def test_the_number_of_calls_is_bounded_too() -> None:
    ring = TraceRing(10**9, max_calls=10)
    for number in range(100):
        ring.received(message("INVITE", f"d{number}"), FLOW, float(number))
        ring.claim(f"d{number}", f"c{number}", "caller")

    assert ring.calls == 10
    assert ring.octets == sum(len(data) + OVERHEAD for n in range(90, 100) for data in kept(ring, f"c{n}"))


def test_a_call_that_never_ends_keeps_its_beginning_and_its_end() -> None:
    ring = TraceRing(10**9)
    ring.received(message("INVITE", "d"), FLOW, 0.0)
    ring.claim("d", "call", "caller")
    for number in range(1000):
        ring.received(message("INFO", "d", size=number), FLOW, float(number))

    traced = ring.of_call("call")
    assert traced is not None
    (dialog,) = traced.dialogs
    assert len(dialog.messages) == MAX_MESSAGES
    assert dialog.messages[0].data.startswith(b"INVITE")
    assert [each.at for each in dialog.messages[BEGINNING - 1 : BEGINNING + 1]] == [98.0, 800.0]
    assert dialog.skipped == 1001 - MAX_MESSAGES
    assert ring.octets == sum(len(each.data) + OVERHEAD for each in dialog.messages)


def test_invites_that_nobody_claims_are_forgotten() -> None:
    ring = TraceRing(10**9)
    for number in range(MAX_UNCLAIMED * 2):
        for _ in range(MAX_UNCLAIMED_MESSAGES * 2):
            ring.received(message("INVITE", f"d{number}"), FLOW, 0.0)
    assert ring.octets == 0

    ring.claim("d0", "old", "caller")
    ring.claim(f"d{MAX_UNCLAIMED * 2 - 1}", "new", "caller")
    assert not kept(ring, "old")
    assert len(kept(ring, "new")) == MAX_UNCLAIMED_MESSAGES


def test_without_room_messages_are_told_and_not_kept() -> None:
    told: list[tuple[str, bytes]] = []

    def tell(dialog: Dialog, each: Message) -> None:
        told.append((dialog.owner, each.data))

    ring = TraceRing(0)
    ring.tell = tell
    ring.received(message("INVITE", "d"), FLOW, 0.0)
    ring.claim("d", "call", "caller")
    ring.sent(message("BYE", "d"), FLOW, 1.0)

    assert told == [("call", message("INVITE", "d")), ("call", message("BYE", "d"))]
    assert ring.of_call("call") is None
    assert ring.octets == 0
