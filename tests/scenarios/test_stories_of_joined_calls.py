"""Histories, webhooks and keys hold across calls that were joined, over the API and by REFER with Replaces."""

from __future__ import annotations

import asyncio
from pathlib import Path

from b2bua.call.record import JsonObject
from b2bua.feed import DigitPressed, Entry, Feed
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ClientSession
from sip_stack.events import Answered, Ended, RequestReceived
from tests.support.attended_transfer import refer, replaces
from tests.support.b2bua_world import BILLING, DESK, DESTINATIONS, SBC, Phone, World, offer, play
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once
from tests.support.kept_history import Keeping, as_objects
from tests.support.told_application import URLS, Application, webhooks_of

BOB = "192.0.2.78"


class Keys:
    """The keys that the feed tells of."""

    def __init__(self, feed: Feed) -> None:
        self.pressed: list[tuple[str, str, str, str]] = []
        feed.listen(self, [DigitPressed])

    def hear(self, entry: Entry) -> None:
        """Note call, role, key and handoff."""
        event = entry.event
        assert isinstance(event, DigitPressed)
        self.pressed.append((event.call_id, event.role, event.digit, event.handoff_id))


class Stage:
    """Alice and Bob with the assistant; the human at the desk; what is kept, told and pressed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keeping = Keeping(world)
        self.application = Application()
        self.webhooks = webhooks_of(world, self.application)
        self.keys = Keys(world.registry.services.feed)

    async def begin(self, bob_payload: str = "0 8 101") -> None:
        """Both talk to the assistant."""
        world = self.world
        self.bot = await world.phone(ASSISTANT, answer_at_once)
        self.desk = await world.phone(DESK, answer_at_once)
        self.alice, self.bob = await world.phone(SBC), await world.phone(BOB)
        self.hers: ClientSession = self.alice.call("support")
        await self.alice.until(Answered)
        self.his: ClientSession = self.bob.call("support", body=offer(BOB, payload=bob_payload))
        await self.bob.until(Answered)
        self.call_ids = list(world.registry.calls)
        self.media = [call.leg("caller") for call in world.media.calls]

    async def hand_over(self, which: int) -> str:
        """One of them gets the human, and the application is told; the id of the handoff."""
        call, media = self.world.registry.calls[self.call_ids[which]], self.world.media.calls[which]
        handoff = begin(call, HandoffRequest(destination="front-desk", shared_id="s-1", **URLS))  # type: ignore[arg-type]
        await self.world.until(lambda: self.media[which].awaits is not None)
        media.leg("agent").hear()
        await self.world.until(lambda: handoff.is_connected)
        assert (await self.keeping.operations.handoff(handoff.id))["state"] == "connected"
        return handoff.id

    async def over(self, count: int = 2) -> None:
        """Every call has ended, everything is told."""
        await self.world.record(count)
        await self.webhooks.close(100)

    async def story(self, call_id: str) -> JsonObject:
        """What the API tells of a call."""
        return await self.keeping.operations.call(call_id)

    async def joined_with(self, call_id: str) -> list[object]:
        """The calls that a call was joined with, by its record; they must stand in its timeline too."""
        story = await self.story(call_id)
        moments = [each["who"] for each in as_objects(story["timeline"]) if each["event"] == "joined"]
        assert moments == [each["call_id"] for each in as_objects(story["bridges"])]
        return moments


def test_callers_that_the_application_joins(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stage = Stage(world)
        await stage.begin()
        first, second = stage.call_ids
        handoff_id = await stage.hand_over(0)
        caller, agent = stage.media[0], world.media.calls[0].leg("agent")
        caller.press("1")
        agent.press("2")
        await asyncio.sleep(1)
        await stage.keeping.operations.bridge(first, second)
        await stage.desk.until(Ended)
        bob = stage.media[1]
        assert caller.peer is bob
        caller.press("3")
        bob.press("4")
        await asyncio.sleep(1)
        assert stage.keys.pressed == [
            (first, "caller", "1", handoff_id),
            (first, "agent", "2", handoff_id),
            (first, "caller", "3", ""),
            (first, "agent", "4", ""),
        ]
        assert (await stage.keeping.operations.handoff(handoff_id))["state"] == "completed"
        for ended in (False, True):
            assert await stage.joined_with(first) == [second]
            assert await stage.joined_with(second) == [first]
            assert [each["id"] for each in as_objects((await stage.story(first))["handoffs"])] == [handoff_id]
            if not ended:
                stage.bob.do(stage.his.bye)
                await stage.over()
        assert stage.application.events() == [
            *("DialAnswer", "DialConnected", "DialDigitsMatch", "DialDigitsMatch", "DialHangup", "DialAction")
        ]
        assert stage.application.told[-1]["DialStatus"] == "completed"
        await stage.keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


def test_a_handoff_of_joined_calls_is_of_the_call_where_they_talk(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stage = Stage(world)
        await stage.begin()
        first, second = stage.call_ids
        await stage.keeping.operations.bridge(first, second)
        await stage.bot.until(Ended, count=2)
        await asyncio.sleep(1)
        handoff_id = await stage.hand_over(0)
        await stage.bob.until(Ended)
        stage.alice.do(stage.hers.bye)
        await stage.over()
        assert stage.application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
        assert {each["CallUUID"] for each in stage.application.told} == {first}
        assert (await stage.keeping.operations.handoff(handoff_id))["state"] == "completed"
        assert (await stage.story(second))["handoffs"] == []
        await stage.keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


HUMANS_CALL = MAIN.replace('["192.0.2.0/24"]', f'["192.0.2.0/24", "{DESK}/32"]')
HUMANS = DESTINATIONS.replace("  route: sip:operator", "  agent_may_transfer: true\n  route: sip:operator")


def test_the_human_leaves_the_caller_with_another_whom_they_called(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stage = Stage(world)
        await stage.begin()
        first = stage.call_ids[0]
        handoff_id = await stage.hand_over(0)
        caller = stage.media[0]
        billing, desk = await world.phone(BILLING, answer_at_once), stage.desk
        consulted = desk.call("billing")
        await desk.until(Answered)
        (second,) = set(world.registry.calls) - set(stage.call_ids)
        assert await refer(desk, desk.sessions[0], replaces(consulted)) == 202
        await desk.until(Ended, count=2)
        await asyncio.sleep(1)
        other = next(leg for leg in world.media.calls[0].legs if leg is not caller and not leg.closed)
        assert caller.peer is other
        caller.press("5")
        other.press("6")
        await asyncio.sleep(1)
        assert stage.keys.pressed == [(first, "caller", "5", ""), (first, "agent", "6", "")]
        billing.do(billing.sessions[0].bye)
        await stage.alice.until(Ended)
        stage.bob.do(stage.his.bye)
        await stage.over(3)
        assert await stage.joined_with(first) == [second]
        assert await stage.joined_with(second) == [first]
        assert stage.application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
        kept = await stage.keeping.operations.handoff(handoff_id)
        assert (kept["state"], kept["call_id"]) == ("completed", first)
        assert not await stage.keeping.flag(first)
        await stage.keeping.store.close(1.0)

    play(story, tmp_path, main=HUMANS_CALL, destinations=HUMANS)


def test_a_human_whom_the_caller_leaves_with_another_is_told_of_until_they_hang_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stage = Stage(world)
        await stage.begin()
        first = stage.call_ids[0]
        handoff_id = await stage.hand_over(0)
        alice, billing = stage.alice, await world.phone(BILLING, answer_at_once)
        other = alice.call("billing")
        await alice.until(Answered, count=2)
        (second,) = set(world.registry.calls) - set(stage.call_ids)
        hers = stage.hers
        assert await refer(alice, other, replaces(hers)) == 202
        await alice.until(Ended, count=2)
        await asyncio.sleep(30)
        assert (await stage.keeping.operations.handoff(handoff_id))["state"] == "completed"
        assert stage.application.events() == ["DialAnswer", "DialConnected"], "the human still talks"
        stage.desk.do(stage.desk.sessions[0].bye)
        await billing.until(Ended)
        stage.bob.do(stage.his.bye)
        await stage.over(3)
        assert stage.application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
        hung_up = stage.application.told[2]
        assert hung_up["CallUUID"] == first
        assert int(hung_up["DialBLegDuration"]) >= 30, "with both"
        assert await stage.joined_with(second) == [first]
        await stage.keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


RELAY = "application/dtmf-relay"


def keys_by_info(phone: Phone) -> list[bytes]:
    """The bodies of the INFOs that reached a phone."""
    return [
        event.request.body
        for event in phone.events
        if isinstance(event, RequestReceived) and event.request.method == "INFO"
    ]


def test_keys_cross_by_info_between_joined_calls_where_the_audio_carries_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stage = Stage(world)
        await stage.begin(bob_payload="0 8")
        first, second = stage.call_ids
        await stage.keeping.operations.bridge(first, second)
        await stage.bot.until(Ended, count=2)
        await asyncio.sleep(1)
        stage.media[0].press("7", duration_ms=120)
        await asyncio.sleep(1)
        assert keys_by_info(stage.bob) == [b"Signal=7\r\nDuration=120\r\n"]
        body = b"Signal=8\r\nDuration=250\r\n"
        stage.bob.do(lambda now: stage.his.request(now, "INFO", body=body, content_type=RELAY))
        await asyncio.sleep(1)
        assert keys_by_info(stage.alice) == [body]
        assert [(role, key) for _, role, key, _ in stage.keys.pressed] == [("caller", "7"), ("agent", "8")]
        stage.alice.do(stage.hers.bye)
        await stage.over()
        await stage.keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)
