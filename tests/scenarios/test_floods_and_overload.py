"""Floods from strangers, trunks that send too much, and more calls than the machine can take."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from b2bua.admission import LoopLoad
from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Answered, Ended, Event, Failed, Rejected
from sip_stack.message import Request, Response
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, Phone, World, offer, play

MANY = CONFIGURATION.replace("max_calls: 100", "max_calls: 1000")


async def answer_at_once(phone: Phone, session: ServerSession, request: Request) -> None:
    phone.do(lambda now: session.answer(now, body=offer(phone.host)))


class Traffic:
    """Short calls from one phone, one after the other: each is hung up a second after its answer."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.completed = 0
        self.refused: list[Response] = []
        self.lost = 0
        self._hang_ups: set[asyncio.Task[None]] = set()
        phone.stack.on_event = self._on_event

    async def offer(self, rate: float, seconds: float) -> None:
        """So many calls a second."""
        for _ in range(round(rate * seconds)):
            self.phone.call("desk")
            await asyncio.sleep(1 / rate)

    def _on_event(self, event: Event) -> None:
        match event:
            case Answered(session):
                task = asyncio.ensure_future(self._hang_up(session))
                self._hang_ups.add(task)
                task.add_done_callback(self._hang_ups.discard)
            case Rejected():
                self.refused.append(event.response)
            case Ended(_, "local", Response(status=200)):
                self.completed += 1
            case Ended() | Failed():
                self.lost += 1

    async def _hang_up(self, session: ClientSession) -> None:
        await asyncio.sleep(1)
        self.phone.do(session.bye)


def scanner_invite(source: str, number: int) -> bytes:
    return (
        f"INVITE sip:100@{B2BUA} SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK-{source}-{number};rport\r\n"
        f'From: "sipvicious"<sip:100@1.1.1.1>;tag={number}\r\nTo: "sipvicious"<sip:100@1.1.1.1>\r\n'
        f"Call-ID: {source}-{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:100@{source}:5060>\r\nMax-Forwards: 70\r\n"
        "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def polite_invite(source: str, number: int) -> bytes:
    return scanner_invite(source, number).replace(b"friendly-scanner", b"Phone").replace(b"sipvicious", b"x")


def sent_to(world: World, host: str) -> list[str]:
    """What the B2BUA sent to that address."""
    return [each.title for each in world.network.wire.log if each.destination[0] == host]


def test_a_flood_from_strangers_costs_a_trunk_nothing(tmp_path: Path) -> None:
    """Garbage, scanners and responses to nothing from 200 addresses, 1,000 packets a second."""

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        traffic = Traffic(await world.phone(SBC))
        dice = random.Random(7)
        sources = [f"203.0.113.{number}" for number in range(1, 201)]

        async def flood() -> None:
            for number in range(10_000):
                source = dice.choice(sources)
                data = dice.choice(
                    [
                        dice.randbytes(200),
                        scanner_invite(source, number),
                        polite_invite(source, number),
                        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKno\r\nCSeq: 1 INVITE\r\n\r\n",
                        polite_invite(source, number).replace(b"INVITE", b"ACK"),
                    ]
                )
                world.network.send((source, 5060), (B2BUA, 5060), data)
                await asyncio.sleep(0.001)

        await asyncio.gather(flood(), traffic.offer(rate=20, seconds=10))
        await asyncio.sleep(5)
        assert traffic.completed == 200
        assert (traffic.refused, traffic.lost) == ([], 0)
        counters = world.stack.endpoint.counters
        assert counters.unread > 8_000, "most of it was never looked at"
        assert world.registry.trunks.doorkeeper.counters.scanners > 50

    play(story, tmp_path, main=MANY)


def test_a_scanner_hears_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for number in range(20):
            world.network.send(("203.0.113.5", 5060), (B2BUA, 5060), scanner_invite("203.0.113.5", number))
        await asyncio.sleep(5)
        assert sent_to(world, "203.0.113.5") == []

    play(story, tmp_path)


def test_a_stranger_over_its_rate_hears_503_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        source = "203.0.113.6"

        def send(count: int, first: int) -> None:
            for number in range(first, first + count):
                world.network.send((source, 5060), (B2BUA, 5060), polite_invite(source, number))

        send(200, first=0)
        await asyncio.sleep(0.3)
        titles = sent_to(world, source)
        assert titles.count("403 INVITE") == 50
        assert titles.count("503 INVITE") == 1
        (last,) = [each.message for each in world.network.wire.log if each.title == "503 INVITE"]
        assert last.headers.get("Retry-After") == "60"
        await asyncio.sleep(50)
        send(200, first=1000)
        await asyncio.sleep(1)
        assert world.stack.endpoint.counters.unread >= 349
        await asyncio.sleep(10)
        send(1, first=2000)
        await asyncio.sleep(0.3)
        assert sent_to(world, source)[51:] == ["403 INVITE"], "nothing is repeated, though no ACK came"

    play(story, tmp_path)


def test_a_destination_that_sends_much_is_heard(tmp_path: Path) -> None:
    """Its responses and its hang-ups come from an address of no trunk, faster than a stranger may send."""

    async def answer_then_hang_up(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180))
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))
        await asyncio.sleep(0.5)
        phone.do(session.bye)

    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_then_hang_up)
        sbc = await world.phone(SBC)
        for _ in range(200):
            sbc.call("desk")
            await asyncio.sleep(0.02)
        await desk.until(Ended, count=200)
        await sbc.until(Ended, count=200)
        codes = {each.outcome.code for each in world.records if each.outcome is not None}
        assert (len(world.records), codes) == (200, {4000})
        assert world.stack.endpoint.counters.unread == 0

    play(story, tmp_path, main=MANY)


def test_a_trunk_over_its_calls_per_second_is_refused_and_another_is_not(tmp_path: Path) -> None:
    main = MANY.replace(
        "routes:\n",
        "    max_calls_per_second: 10\n"
        '  other:\n    accept: {addresses: "198.51.100.200"}\nroutes:\n'
        "  - {trunk: other, destination: front-desk}\n",
    )

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        loud, quiet = Traffic(await world.phone(SBC)), Traffic(await world.phone("198.51.100.200"))
        await asyncio.gather(loud.offer(rate=50, seconds=10), quiet.offer(rate=20, seconds=10))
        await asyncio.sleep(5)
        assert quiet.completed == 200
        assert 100 <= loud.completed <= 111
        assert {(each.status, each.headers.get("Retry-After")) for each in loud.refused} == {(503, "1")}
        assert len(loud.refused) + loud.completed == 500
        assert world.registry.trunks.doorkeeper.counters.over_rate == len(loud.refused)

    play(story, tmp_path, main=main)


def test_calls_over_the_limit_of_all_trunks_are_refused_recorded_and_counted(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        traffic = Traffic(await world.phone(SBC))
        await traffic.offer(rate=100, seconds=0.1)
        await asyncio.sleep(3)
        assert (traffic.completed, len(traffic.refused)) == (3, 7)
        assert world.registry.trunks.doorkeeper.counters.over_calls == 7
        assert len(world.records) == 10

    play(story, tmp_path, main=MANY + "limits: {max_calls: 3}\n")


def test_at_twice_what_the_machine_can_do_most_of_its_peak_completes(tmp_path: Path) -> None:
    """The machine of this story can begin 20 calls a second; refusing one is free."""

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        traffic = Traffic(await world.phone(SBC))
        load = LoopLoad(
            world.registry.trunks.doorkeeper.measured,
            cpu_seconds=lambda: len(world.media.calls) / 20,
        )
        load.start()
        try:
            await traffic.offer(rate=40, seconds=10)
            before = traffic.completed
            await traffic.offer(rate=40, seconds=20)
            assert 0.8 * 20 <= (traffic.completed - before) / 20 <= 20
            await asyncio.sleep(5)
        finally:
            load.stop()
        assert traffic.lost == 0, "what was begun is finished"
        assert {(each.status, each.headers.get("Retry-After")) for each in traffic.refused} == {(503, "1")}
        assert world.registry.trunks.doorkeeper.counters.overload == len(traffic.refused)

    play(story, tmp_path, main=MANY)
