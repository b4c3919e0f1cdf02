"""Whole SIP servers as relays for `relay.py`: their calls are set up by INVITE, and carry the generator's audio.

Ours is the B2BUA with its records and its INFO log. Beside it Debian's Kamailio with rtpengine, a proxy where a B2BUA
has two dialogs. The processes of a server share one core. Caller and callee are two sockets of this process.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relays import ROOT, Pair, Relay, Running, rtpengine_daemon

sys.path.insert(0, str(ROOT))
from tests.support.b2bua_process import B2bua
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.ports import LOOPBACK

TEMPLATE = ROOT / "benchmarks/kamailio_rtpengine.cfg"
PATIENCE = 10.0
"""Seconds for the next message of a call; on loopback none is lost, so nothing is sent again."""
_COPIED = re.compile(r"^(?:Via|Record-Route|From|To|Call-ID|CSeq): .*\r\n", re.MULTILINE)
_SOUND = re.compile(r"^c=IN IP4 (\S+)\r\n(?:.*\r\n)*?m=audio (\d+) ", re.MULTILINE)


@contextmanager
def b2bua(core: int, peers: list[Pair]) -> Iterator[Running]:
    """Our B2BUA."""
    with tempfile.TemporaryDirectory() as name, Phones() as phones:
        desks = {"desk": {"route": f"sip:desk@{phones.callee_address}"}}
        with B2bua(Path(name), desks, media={"ports": "10000-31999"}, cpus=[core]) as server:
            yield Running([server.pid], [phones.call(server.host_port, *pair) for pair in peers])


@contextmanager
def kamailio_with_rtpengine(core: int, peers: list[Pair]) -> Iterator[Running]:
    """Kamailio, record-routing, with rtpengine in userspace for the audio."""
    with tempfile.TemporaryDirectory() as name, Phones() as phones, rtpengine_daemon(core) as (pid, ng):
        template = Path(name) / "template.cfg"
        template.write_text(TEMPLATE.read_text().replace("@RTPENGINE@", str(ng.port)))
        agent = f"sip:desk@{phones.callee_address}"
        with Kamailio(Path(name), kamailio_port(), agent=agent, template=template, cpus=[core]) as proxy:
            calls = [phones.call(proxy.address, *pair) for pair in peers]
            yield Running([pid, *proxy.pids], calls)


CALLED: dict[str, Relay] = {"ours": b2bua, "Kamailio + rtpengine": kamailio_with_rtpengine}


class Phones:
    """A caller and a callee whose audio goes where they are told."""

    def __init__(self) -> None:
        self._caller, self._callee = _socket(), _socket()
        self._calls = 0

    def __enter__(self) -> Phones:
        return self

    def __exit__(self, *_: object) -> None:
        self._caller.close()
        self._callee.close()

    @property
    def callee_address(self) -> str:
        """HOST:PORT where the callee waits."""
        return _address(self._callee)

    def call(self, target: str, caller: str, callee: str) -> Pair:
        """One call through the server at `target`; where that takes the caller's and the callee's packets."""
        self._calls += 1
        identity = f"call{self._calls}"
        host, _, port = target.rpartition(":")
        self._caller.sendto(self._invite(target, identity, caller), (host, int(port)))
        invite, source = _wait(self._callee, "INVITE ")
        self._callee.sendto(self._ok(invite, callee), source)
        ok, source = _wait(self._caller, "SIP/2.0 200 ")
        self._caller.sendto(self._ack(ok), source)
        _wait(self._callee, "ACK ")
        sides = _sound(ok), _sound(invite)
        assert not {caller, callee}.intersection(sides), "the audio passes the server by"
        return sides

    def _invite(self, target: str, identity: str, audio: str) -> bytes:
        us, sdp = _address(self._caller), _sdp(audio)
        return (
            f"INVITE sip:desk@{target} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{identity}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:caller@{us}>;tag={identity}\r\nTo: <sip:desk@{target}>\r\n"
            f"Call-ID: {identity}@{us}\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@{us}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
        ).encode()

    def _ok(self, invite: str, audio: str) -> bytes:
        us, sdp = _address(self._callee), _sdp(audio)
        copied = re.sub(
            r"^(To: [^\r]*)", rf"\1;tag=desk{self._calls}", "".join(_COPIED.findall(invite)), flags=re.M
        )
        return (
            f"SIP/2.0 200 OK\r\n{copied}Contact: <sip:desk@{us}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
        ).encode()

    def _ack(self, ok: str) -> bytes:
        (contact,) = re.findall(r"^Contact: <([^>]*)>", ok, re.MULTILINE)
        routes = "".join(
            f"Route: {route}\r\n" for route in reversed(re.findall(r"^Record-Route: (.*)\r$", ok, re.M))
        )
        names = "".join(re.findall(r"^(?:From|To|Call-ID): .*\r\n", ok, re.MULTILINE))
        via = f"Via: SIP/2.0/UDP {_address(self._caller)};branch=z9hG4bKack{self._calls}\r\n"
        return (
            f"ACK {contact} SIP/2.0\r\n{via}{routes}{names}CSeq: 1 ACK\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode()


def _wait(phone: socket.socket, begins: str) -> tuple[str, tuple[str, int]]:
    """The next message that begins like that; what comes before it needs no answer."""
    while True:
        data, source = phone.recvfrom(65_535)
        message = data.decode()
        if message.startswith(begins):
            return message, source


def _sound(message: str) -> str:
    found = _SOUND.search(message)
    assert found is not None, message
    return f"{found[1]}:{found[2]}"


def _sdp(audio: str) -> str:
    host, _, port = audio.rpartition(":")
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )


def _address(phone: socket.socket) -> str:
    return f"{LOOPBACK}:{phone.getsockname()[1]}"


def _socket() -> socket.socket:
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.bind((LOOPBACK, 0))
    phone.settimeout(PATIENCE)
    return phone
