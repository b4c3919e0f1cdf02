"""`kill -9` under calls over TCP and TLS, whose connections end with the process: PJSUA2 on either side.

With TLS their audio is encrypted. Their Contacts name where they listen: of who names the port of the lost connection
nobody can know where they are.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.handoff_stage import KEY, SUPPORT, Api, stage_settings
from tests.support.peer_sip import new_branch, read, response, sdp, write
from tests.support.pjsua2_pair import agree, connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.rtpengine import RtpengineDaemon
from tests.support.scripted import ScriptedCallee


class Stage:
    """Two phones and the B2BUA between them, which is killed and started again."""

    def __init__(self, folder: Path, transport: str) -> None:
        self.folder, self.transport = folder, transport
        self.sip: dict[str, object] = {"listen": [f"{transport}:{LOOPBACK}:{free_port()}"]}
        self.phone: dict[str, object] = {"tcp": True, "names_listener": True}
        if transport == "tls":
            ca = Authority(folder)
            ours, theirs = (ca.issue(name, [LOOPBACK]) for name in ("b2bua", "phone"))
            self.sip["tls"] = {"certificate": ours.certificate, "private_key": ours.key, "ca": ca.file}
            self.phone = {"pair": theirs, "ca": ca.file, "names_listener": True, "srtp": "mandatory"}
        self.media: dict[str, object] = {}

    def b2bua(self, bob: PjsuaPhone) -> B2bua:
        """A process, in the place of the one before."""
        trunk = {"accept": {"addresses": f"{LOOPBACK}/32"}, "srtp": "required"}
        main = {
            **({"trunks": {"sbc": trunk}} if self.transport == "tls" else {}),
            "sip": self.sip,
            "routes": [{"trunk": "sbc", "to": "bob", "destination": "bob"}],
            "api": {"listen": f"{LOOPBACK}:0", "keys": [KEY]},
            **self.media,
        }
        encryption = "tls/srtp" if self.transport == "tls" else "udp/rtp"
        return B2bua(self.folder, {"bob": {"route": bob.uri, "encryption": encryption}}, main=main)

    @contextmanager
    def phones(self) -> Iterator[tuple[PjsuaPhone, PjsuaPhone]]:
        """Caller and callee."""
        with (
            PjsuaPhone(self.folder, "alice", 440, **self.phone) as alice,  # type: ignore[arg-type]
            PjsuaPhone(self.folder, "bob", 620, **self.phone) as bob,  # type: ignore[arg-type]
        ):
            yield alice, bob

    def talk(self, b2bua: B2bua, alice: PjsuaPhone, bob: PjsuaPhone) -> None:
        """Bring a call up that is written down."""
        address = b2bua.host_port_of(self.transport)
        connect(alice, bob, f"sip:bob@{address};transport={self.transport}")
        wait_until(lambda: journal(self.folder) or None, 10.0, "it is written down")


def journal(folder: Path) -> list[str]:
    """What stands in it."""
    with closing(sqlite3.connect(folder / "state" / "b2bua.db", timeout=10)) as database:
        return [body for (body,) in database.execute("SELECT body FROM document WHERE kind = 'journal'")]


def kill(b2bua: B2bua) -> None:
    """End it without a word."""
    b2bua.send_signal(signal.SIGKILL)
    b2bua.wait(5.0)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_phones_hear_of_the_end_by_new_connections(tmp_path: Path, transport: str) -> None:
    stage = Stage(tmp_path, transport)
    with stage.phones() as (alice, bob):
        with stage.b2bua(bob) as first:
            stage.talk(first, alice, bob)
            kill(first)
        with stage.b2bua(bob) as second:
            for phone in (alice, bob):
                phone.wait_for_state("DISCONNECTED")
            record = second.record()
            second.check_end()
    assert record["outcome"]["name"] == "process_lost"
    assert {leg["transport"] for leg in record["legs"]} == {transport}
    assert second.errors.count('"status":200') == 2, "both have answered the BYE"


@pytest.mark.parametrize(("transport", "alice_hangs_up"), [("tcp", True), ("tls", False)])
def test_calls_on_rtpengine_go_on_by_new_connections(
    tmp_path: Path, transport: str, alice_hangs_up: bool
) -> None:
    stage = Stage(tmp_path, transport)
    with RtpengineDaemon(tmp_path) as daemon, stage.phones() as (alice, bob):
        asyncio.run(daemon.answers())
        nodes = {"nodes": [str(daemon.tcp)], "spare_legs": 4}
        stage.media = {"media": {"engine": "rtpengine", "rtpengine": nodes}}
        leaves, stays = (alice, bob) if alice_hangs_up else (bob, alice)
        with stage.b2bua(bob) as first:
            stage.talk(first, alice, bob)
            kill(first)
        with stage.b2bua(bob) as second:
            wait_until(lambda: len(Api(second).live_calls()) == 1, 10.0, "it goes on")
            reoffer(stays, "hold")
            agree(stays, leaves, (True, False))
            reoffer(stays, "resume")
            agree(stays, leaves, (True, True))
            wait_until(lambda: min(alice.heard_so_far(), bob.heard_so_far()) > 4, 20.0, "4 s are heard")
            leaves.tell("hangup")
            stays.wait_for_state("DISCONNECTED")
            leaves.wait_for_state("DISCONNECTED")
            assert dominant_frequency(sound(alice.quit())[-8000:]) == pytest.approx(620, abs=3)
            assert dominant_frequency(sound(bob.quit())[-8000:]) == pytest.approx(440, abs=3)
            record = second.record()
            second.check_end()
    assert record["outcome"]["name"] == "normal_hangup"
    assert record["outcome"]["source"] == ("caller" if alice_hangs_up else "agent")


def test_a_caller_whom_nobody_had_answered_is_told_by_a_connection_to_where_its_via_says(
    tmp_path: Path,
) -> None:
    with (
        ScriptedCallee(lambda invite: [response(invite, 180, "Ringing")]) as bot,
        socket.create_server((LOOPBACK, 0)) as sbc,
    ):
        settings, branch = stage_settings(f"sip:bot@{bot.address}"), new_branch()
        desk = {"desk": {"route": f"sip:desk@{bot.address}"}}
        listen = [f"{transport}:{LOOPBACK}:{free_port()}" for transport in ("udp", "tcp")]
        us = listen[1].removeprefix("tcp:")
        where = f"{LOOPBACK}:{sbc.getsockname()[1]}"
        invite = [
            ("Via", f"SIP/2.0/TCP {where};branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:alice@{where}>;tag=alice"),
            ("To", f"<sip:{SUPPORT}@{us}>"),
            ("Call-ID", "over-tcp"),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:alice@{where};transport=tcp>"),
        ]
        with B2bua(tmp_path, desk, main=settings, listen=listen) as first:
            host, port = us.split(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(write(f"INVITE sip:{SUPPORT}@{us} SIP/2.0", invite, sdp(LOOPBACK, 4000)))
                wait_until(lambda: journal(tmp_path) or None, 10.0, "it has rung for a second")
                kill(first)
        with B2bua(tmp_path, desk, main=settings, listen=listen) as second:
            bot.wait_for_request("CANCEL", 10.0)
            sbc.settimeout(10.0)
            connection, _ = sbc.accept()
            with connection:
                refusal = read(connection.recv(65_536))
                assert refusal is not None
                assert (refusal.status, refusal.branch) == (503, branch)
                to = refusal.header("To")
                ack = [(name, to if name == "To" else value) for name, value in invite if name != "CSeq"]
                connection.sendall(write(f"ACK sip:{SUPPORT}@{us} SIP/2.0", [*ack, ("CSeq", "1 ACK")]))
                assert second.record()["outcome"]["code"] == 11073
                second.check_end()
