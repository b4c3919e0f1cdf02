"""Nothing of one side reaches the other unless a pass list says so.

Unique marks are put into all that one side says, and searched for in all that the other side gets.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from b2bua.pass_list import NEVER
from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Ended, Rejected, ReofferCompleted, RequestCompleted
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, BILLING, CONFIGURATION, DESK, SBC, Phone, World, play
from tests.support.handoff_cast import MAIN as ASSISTED
from tests.support.handoff_cast import talking

_NAMES = """
    Accept-Language Alert-Info Authentication-Info Call-Info Content-Language Date Diversion Error-Info
    Feature-Caps Geolocation Geolocation-Routing Geolocation-Error History-Info Identity-Info
    In-Reply-To Info-Package Max-Breadth Organization P-Access-Network-Info P-Answer-State
    P-Asserted-Identity P-Asserted-Service P-Associated-URI P-Called-Party-ID
    P-Charging-Function-Addresses P-Charging-Vector P-DCS-Billing-Info P-Early-Media-Extra
    P-Media-Authorization P-Preferred-Identity P-Private-Network-Indication P-Profile-Key
    P-Refused-URI-List P-Served-User P-User-Database P-Visited-Network-ID Permission-Missing
    Policy-Contact Policy-ID Priority Priv-Answer-Mode Proxy-Authentication-Info Reason
    Record-Session-Expires Referred-By Remote-Party-ID Reply-To Request-Disposition Resource-Priority
    Response-Source Restoration-Info Security-Client Server Service-Interact-Info Session-ID
    SIP-If-Match Subject Target-Dialog Timestamp Trigger-Consent Unsupported User-Agent Warning Y-Custom
    Custom X_Underscore Authorization Proxy-Authorization X-Twilio-Sid X-PH-Custom Plivo-Id ClientRegion
"""
NAMES = _NAMES.split()
"""Names that nobody allowed to pass."""

LINES = (
    "s={}\r\ni={}\r\nu=http://{}.example\r\ne={}@example.com\r\np=+1 {}\r\nc=IN IP4 {host}\r\nb=AS:64\r\nb=X-{}:1\r\n"
    "t=0 0\r\na=tool:{}\r\na={}\r\na=group:BUNDLE {}\r\na=msid-semantic: WMS {}\r\n"
    "m=audio 4000 RTP/AVP 0 8 101 96\r\ni={}\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 {}/8000\r\n"
    "a=fmtp:96 x={}\r\na=mid:{}\r\na=label:{}\r\na=content:{}\r\na=ssrc:1 cname:{}\r\na=ice-ufrag:{}\r\n"
    "a=candidate:1 1 UDP 1 {host} 4000 typ host generation {}\r\na=x-{}:{}\r\na={direction}\r\n"
)


class Marks:
    """Makes marks, and remembers which were said where."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.made: dict[str, str] = {}

    def new(self, where: str) -> str:
        mark = f"zq{self._random.getrandbits(56):014x}"
        self.made[mark] = where
        return mark

    def headers(self, where: str, names: Iterable[str] = NAMES) -> list[tuple[str, str]]:
        """Each name with a mark, in an order of its own, and some names that nobody has heard of."""
        made_up = [f"{self._random.choice('ABCDEFGHIJKLMNOPQRSTVWYZ')}{self.new(where)}" for _ in range(4)]
        chosen = [*names, *made_up]
        self._random.shuffle(chosen)
        return [(name, self._value(name, where)) for name in chosen]

    def _value(self, name: str, where: str) -> str:
        mark = self.new(f"{name} of {where}")
        shapes = {
            "Reason": f'Q.850;cause=16;text="{mark}"',
            "Warning": f'399 {mark}.example "{mark}"',
            "Timestamp": "54",
            "Target-Dialog": f"{mark};local-tag=a;remote-tag=b",
            "Authorization": f'Digest username="{mark}", realm="r", nonce="n", uri="sip:a", response="{mark}"',
            "Proxy-Authorization": f'Digest username="{mark}", realm="r", nonce="n", uri="sip:a", response="{mark}"',
            "P-Asserted-Identity": f'"{mark}" <sip:+1555{mark}@{mark}.example>',
            "Session-ID": f"{mark.replace('zq', 'ab')}{'0' * 16};remote={'0' * 32}",
        }
        return shapes.get(name, f"<sip:{mark}@{mark}.example>;x={mark}")

    def description(self, host: str, where: str, direction: str = "sendrecv") -> bytes:
        """A session description with a mark in every place that has room for one."""
        text = re.sub(r"\{\}", lambda _: self.new(f"SDP of {where}"), LINES)
        head = f"v=0\r\no={self.new(f'o= of {where}')} 77665544332211 1 IN IP4 {host}\r\n"
        return (head + text.replace("{host}", host).replace("{direction}", direction)).encode()


def heard_by(world: World, host: str) -> str:
    """All that the B2BUA sent to `host`."""
    sent = [each for each in world.network.wire.log if (each.source[0], each.destination[0]) == (B2BUA, host)]
    assert sent
    return b"\n".join(each.data for each in sent).decode()


def said_by(world: World, host: str) -> set[str]:
    """What names a side in its own messages: address, Call-IDs, tags, branches, the name of its program."""
    said = {host}
    for each in world.network.wire.log:
        message = each.message
        if each.source[0] != host:
            continue
        said |= {message.call_id, message.via.branch} if isinstance(message, Request) else set()
        if (own := message.from_ if isinstance(message, Request) else message.to).tag:
            said.add(own.tag or "")
    return said


def assert_hidden(world: World, marks: Marks, sides: tuple[str, str]) -> None:
    """No mark, address or name of either side is known to the other."""
    for one, other in (sides, sides[::-1]):
        heard = heard_by(world, other)
        leaked = {mark: where for mark, where in marks.made.items() if one in where and mark in heard}
        assert not leaked
        assert {each for each in said_by(world, one) if each in heard} == set()


async def inquisitive(phone: Phone, session: ServerSession, request: Request, marks: Marks) -> None:
    """Ring with early media and answer, with marks in everything."""
    headers = marks.headers(phone.host)
    phone.do(lambda now: session.progress(now, 180, headers=headers))
    await asyncio.sleep(0.5)
    body = marks.description(phone.host, phone.host)
    phone.do(lambda now: session.progress(now, 183, reason=marks.new(f"phrase of {phone.host}"), body=body))
    await asyncio.sleep(0.5)
    answer = marks.description(phone.host, phone.host)
    phone.do(lambda now: session.answer(now, body=answer, headers=marks.headers(phone.host)))


@pytest.mark.parametrize("seed", range(5))
def test_a_call_with_a_hold_and_keys(tmp_path: Path, seed: int) -> None:
    marks = Marks(seed)

    async def story(world: World) -> None:
        await world.phone(DESK, lambda phone, session, request: inquisitive(phone, session, request, marks))
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=tuple(marks.headers(SBC)), body=marks.description(SBC, SBC))
        await sbc.until(Answered)
        sbc.do(
            lambda now: session.reoffer(
                now, marks.description(SBC, SBC, "sendonly"), headers=marks.headers(SBC)
            )
        )
        await sbc.until(ReofferCompleted)
        await asyncio.sleep(1)
        key = f"Signal=5\r\nDuration=160\r\nX={marks.new(f'INFO of {SBC}')}\r\n".encode()
        sbc.do(lambda now: session.request(now, "INFO", marks.headers(SBC), key, "application/dtmf-relay"))
        await sbc.until(RequestCompleted)
        if seed % 2:
            sbc.do(lambda now: session.bye(now, marks.headers(SBC)))
        else:
            desk = world.phones[DESK]
            desk.do(lambda now: desk.sessions[0].bye(now, marks.headers(DESK)))
            await sbc.until(Ended)
        await world.record()

    world = play(story, tmp_path)
    assert len(marks.made) > 300
    assert_hidden(world, marks, (SBC, DESK))


@pytest.mark.parametrize("status", [302, 404, 486, 488, 503, 603])
def test_a_refusal(tmp_path: Path, status: int) -> None:
    marks = Marks(status)

    async def refuse(phone: Phone, session: ServerSession, request: Request) -> None:
        phrase, headers = marks.new(f"phrase of {phone.host}"), marks.headers(phone.host)
        phone.do(lambda now: session.reject(now, status, reason=phrase, headers=headers))

    async def story(world: World) -> None:
        await world.phone(DESK, refuse)
        sbc = await world.phone(SBC)
        sbc.call("desk", headers=tuple(marks.headers(SBC)), body=marks.description(SBC, SBC))
        await sbc.until(Rejected)

    world = play(story, tmp_path)
    assert_hidden(world, marks, (SBC, DESK))


def test_what_an_assistant_that_refers_hears_of_the_human(tmp_path: Path) -> None:
    marks = Marks(1)

    async def refuse(phone: Phone, session: ServerSession, request: Request) -> None:
        phrase, headers = marks.new(f"phrase of {phone.host}"), marks.headers(phone.host)
        phone.do(lambda now: session.reject(now, 486, reason=phrase, headers=headers))

    async def story(world: World) -> None:
        await world.phone(BILLING, refuse)
        await world.phone(DESK, refuse)
        cast = await talking(world)
        bot = cast.bot
        headers = [("Refer-To", f"<sip:billing@{B2BUA}>"), *marks.headers(bot.host)]
        bot.do(lambda now: bot.sessions[0].request(now, "REFER", headers))
        await world.until(lambda: any(r.body.startswith(b"SIP/2.0 486") for r in bot.requests), 60)
        for human in (BILLING, DESK):
            if any(each.destination[0] == human for each in world.network.wire.log):
                assert_hidden(world, marks, (bot.host, human))
        cast.hang_up()
        await world.record()

    play(story, tmp_path, main=ASSISTED)


PASSED = ("X-Ticket", "x-lower", "User-to-User")
TRUSTED = ("Diversion", "History-Info", "P-Asserted-Identity")


def values_at(world: World, host: str, names: Iterable[str]) -> list[str | None]:
    (invite,) = [
        each.message
        for each in world.network.wire.log
        if each.title == "INVITE" and each.source[0] == B2BUA and each.destination[0] == host
    ]
    return [invite.headers.get(name) for name in names]


@pytest.mark.parametrize(
    ("trunk", "desk", "names", "passes"),
    [
        ("", "", PASSED, True),
        ("", "", TRUSTED, False),
        ("    trusted: true\n", "", TRUSTED, False),
        ("", "  trusted: true\n", TRUSTED, False),
        ("    trusted: true\n", "  trusted: true\n", TRUSTED, True),
        ("    pass_headers: [X-*, Subject, Call-Info]\n", "", ("Subject",), False),
        ("    pass_headers: [X-*, Subject]\n", "  pass_headers: [Subject]\n", ("Subject",), True),
        ("    pass_headers: [X-*, Subject]\n", "  pass_headers: [Subject]\n", ("X-Ticket",), False),
        ("    pass_headers: []\n", "", PASSED, False),
        ("", "  pass_headers: []\n", PASSED, False),
        ("    pass_headers: [Diversion]\n", "  pass_headers: [Diversion]\n", ("Diversion",), False),
    ],
)
def test_what_is_on_both_pass_lists_crosses_unchanged(
    tmp_path: Path, trunk: str, desk: str, names: tuple[str, ...], passes: bool
) -> None:
    marks = Marks(7)
    headers = tuple(marks.headers(SBC, [*PASSED, *TRUSTED, "Subject", "Call-Info"]))
    given = dict(headers)

    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=headers)
        await sbc.until(Answered)
        sbc.do(session.bye)
        await world.record()
        expected = [given[name] if passes else None for name in names]
        assert values_at(world, DESK, names) == expected

    main = CONFIGURATION.replace("    max_calls: 100\n", f"    max_calls: 100\n{trunk}")
    destinations = (
        "front-desk:\n  default: true\n  method: invite\n  encryption: udp/rtp\n"
        f"  route: sip:operator@{DESK}\n{desk}billing:\n  method: invite\n  route: sip:q@{BILLING}\n"
        "  encryption: udp/rtp\n"
    )
    play(story, tmp_path, main=main, destinations=destinations)


def test_what_each_side_says_for_itself_is_in_lower_case() -> None:
    assert {name for name in NEVER if name != name.lower()} == set()
