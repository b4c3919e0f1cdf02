"""Who looks for a handoff in the log by its id finds every line about it."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from tests.support.b2bua_world import BILLING, DESK, DESTINATIONS, World, play, refuse
from tests.support.handoff_cast import MAIN, talking

CHALLENGE = ("WWW-Authenticate", 'Digest realm="cc", nonce="n", algorithm=MD5, qop="auth"')


def test_each_line_of_a_handoff_names_it_until_it_is_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(401, headers=[CHALLENGE]))
        await world.phone(DESK)
        cast = await talking(world)
        with capture_logs() as lines:
            first = world.hand_off(destination="billing")
            await cast.until_over(first)
            second = world.hand_off(destination="front-desk")
            await cast.until_awaited()
            cast.agent().hear()
            await world.until(lambda: second.is_connected)
            cast.hang_up()
            await world.record()
        about = [line for line in lines if line["event"] != "header_dropped"]
        told = {
            handoff.id: [line["event"] for line in about if line.get("handoff_id") == handoff.id]
            for handoff in (first, second)
        }
        assert told[first.id] == ["handoff", "dialing", "challenged", "attempt_failed", "handoff_over"]
        assert told[second.id] == ["handoff", "dialing", "ringing", "handed_over"]
        (failed,) = [line for line in lines if line["event"] == "attempt_failed"]
        assert (failed["leg"], failed["cause"], failed["detail"]) == ("agent", "sip_auth_failed", "rejected")
        (over,) = [line for line in lines if line["event"] == "handoff_over"]
        assert (over["destination"], over["cause"], over["sip_status"]) == ("billing", "sip_auth_failed", 401)
        (ended,) = [line for line in lines if line["event"] == "ended"]
        assert "handoff_id" not in ended

    play(story, tmp_path, main=MAIN)


BOTH = DESTINATIONS.replace(
    f"route: sip:operator@{DESK}",
    f"route: [sip:a@{BILLING}, sip:b@{DESK}]\n  ring: together\n  auth: {{username: acme, password: word}}",
)


def test_of_those_who_ring_together_each_line_says_whose_it_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(401, headers=[CHALLENGE]))
        await world.phone(DESK)
        cast = await talking(world)
        with capture_logs() as lines:
            handoff = world.hand_off(destination="front-desk")
            await cast.until_awaited()
            cast.agent().hear()
            await cast.until_over(handoff)
        told = {line["event"]: line["target"] for line in lines if line["event"] in ("challenged", "ringing")}
        assert told == {"challenged": f"sip:a@{BILLING}", "ringing": f"sip:b@{DESK}"}
        cast.hang_up()
        await world.record()

    play(story, tmp_path, main=MAIN, destinations=BOTH)
