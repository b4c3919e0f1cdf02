"""INVITE with Replaces that we refuse: what names no dialog, what cannot be done, and who may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from b2bua.call.replacing import replace_leg
from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr
from sip_stack.transport import Target
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    DESK,
    SBC,
    World,
    offer,
    play,
    ring,
)
from tests.support.handoff_cast import ASSISTANT, MAIN, talking
from tests.support.taking_a_place import (
    SECOND,
    Session,
    dialog,
    nothing_changed,
    refused,
    take,
    with_the_desk,
)

STRANGER = "203.0.113.9"
TWO_TRUNKS = MAIN.replace("routes:\n", '  other:\n    accept: {addresses: ["203.0.113.0/24"]}\nroutes:\n')
LOGIN = MAIN.replace(
    "routes:\n", "  other:\n    accept: {auth: {username: other, password: s3cret-of-other}}\nroutes:\n"
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda value: (value, value), 400),
        (lambda value: (value.replace("to-tag", "t"),), 400),
        (lambda value: (f"x{value}",), 481),
        (lambda value: (value.replace("to-tag=", "to-tag=x"),), 481),
        (lambda value: (value.replace("from-tag=", "from-tag=x"),), 481),
        (lambda value: (value.partition(";from-tag=")[0] + ";from-tag=0",), 481),
        (lambda value: (f"{value};early-only",), 486),
    ],
    ids=["two", "malformed", "call-id", "to-tag", "from-tag", "tag 0", "early-only"],
)
def test_what_names_no_dialog_that_may_be_replaced(tmp_path: Path, change: object, status: int) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        take(second, *change(dialog(cast.session)))  # type: ignore[operator]
        assert await refused(second) == status
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_join_beside_replaces_is_400(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        value = dialog(cast.session)
        second.call("anybody", headers=(("Replaces", value), ("Join", value)))
        assert await refused(second) == 400
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_audio_that_cannot_be_used_is_488(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        take(second, dialog(cast.session), body=offer(SECOND, payload="18"))
        assert await refused(second) == 488
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_no_port_is_503(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        world.media.exhaust()
        second = await world.phone(SECOND)
        take(second, dialog(cast.session))
        assert await refused(second) == 503
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_a_dialog_that_is_over_is_603(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        cast.hang_up()
        await world.record()
        take(second, dialog(cast.session))
        assert await refused(second) == 603

    play(story, tmp_path, main=MAIN)


def test_a_dialog_that_we_are_ending_is_603(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        cast.bot.do(cast.bot.sessions[0].bye)
        world.network.wire.drop("BYE")
        await world.until(lambda: "BYE" in world.network.titles([(B2BUA, 5060)]), patience=0.4)
        take(second, dialog(cast.session))
        assert await refused(second) == 603

    play(story, tmp_path, main=MAIN, settle=False)


def test_while_a_handoff_runs_nobody_is_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        second = await world.phone(SECOND)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: str(handoff.state) == "ringing")
        take(second, dialog(cast.session))
        assert await refused(second) == 480
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize(
    ("main", "status"), [(MAIN, 403), (TWO_TRUNKS, 403), (LOGIN, 401)], ids=["stranger", "trunk", "login"]
)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_dialog_of_somebody_else_is_not_theirs(
    tmp_path: Path, main: str, status: int, known: bool
) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        other = await world.phone(STRANGER)
        take(other, dialog(cast.session) if known else "a;to-tag=b;from-tag=c")
        assert await refused(other) == (status if known or main is not TWO_TRUNKS else 481)
        await nothing_changed(cast)

    play(story, tmp_path, main=main)


@pytest.mark.parametrize("claims", [SBC, ASSISTANT])
def test_a_contact_and_via_of_somebody_else_open_nothing(tmp_path: Path, claims: str) -> None:
    # Whose call it is depends on where the packet came from, never on an address that it names.
    async def story(world: World) -> None:
        cast = await talking(world)
        spoofer = await world.phone(STRANGER)
        named: Session = cast.session if claims == SBC else cast.bot.sessions[0]
        flow = replace(spoofer.stack.flow_to(Target("udp", B2BUA, 5060)), advertised=(claims, 5060))
        spoofer.stack.endpoint.invite(
            spoofer.now,
            flow=flow,
            uri=f"sip:anybody@{B2BUA}",
            from_=NameAddr.parse(f"<sip:+15551230000@{claims}>"),
            to=NameAddr.parse(f"<sip:anybody@{B2BUA}>"),
            headers=(("Replaces", dialog(named)),),
            body=offer(claims),
        )
        spoofer.stack.flush()
        assert await refused(spoofer) == 403
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_one_destination_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, agent = await with_the_desk(world)
        billing = await world.phone(BILLING)
        take(billing, dialog(desk.sessions[0]))
        assert await refused(billing) == 403
        assert cast.caller.peer is agent
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_what_was_over_tls_is_not_taken_over_without() -> None:
    def session(transport: str) -> SimpleNamespace:
        return SimpleNamespace(source=SimpleNamespace(transport=transport))

    with pytest.raises(RemoteError) as raised:
        replace_leg(SimpleNamespace(session=session("tls")), session("udp"), SimpleNamespace())  # type: ignore[arg-type]
    assert raised.value.status_hint == 403
