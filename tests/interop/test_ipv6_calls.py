"""Calls through the B2BUA over IPv6, and between IPv4 and IPv6: SIP on both transports, and the sound with it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from sip_stack.aio.network import Listen
from sip_stack.events import Acknowledged, Answered, Ended, InviteReceived, Rejected
from sip_stack.message import Message, SipUri
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier, over_rtpengine
from tests.support.ports import LOOPBACK
from tests.support.rtp_peer import Packet
from tests.support.rtpengine import RtpengineDaemon
from tests.support.tcp_stack import Party, party, run

BEGINNING = 0
"""The number of packets that are sent until one crosses: what comes before an rtpengine knows of the answer is lost."""


class Ear:
    """An audio port."""

    def __init__(self, host: str) -> None:
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)

    @property
    def description(self) -> bytes:
        """It as an offer or answer."""
        version = "IP6" if ":" in self.host else "IP4"
        port = self._socket.getsockname()[1]
        return (
            f"v=0\r\no=- 1 1 IN {version} {self.host}\r\ns=-\r\nc=IN {version} {self.host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\n"
        ).encode()

    def say(self, number: int, far_end: Message) -> None:
        """Send one packet to where a description says."""
        lines = far_end.body.decode().splitlines()
        (connection,) = {line for line in lines if line.startswith("c=")}
        assert connection == f"c=IN {'IP6' if ':' in self.host else 'IP4'} {self.host}"
        port = next(int(line.split()[1]) for line in lines if line.startswith("m="))
        packet = Packet(number, number * 160, 7, bytes([number]) * 160)
        self._socket.sendto(packet.encode(), (self.host, port))

    async def heard(self) -> int:
        """The number of the next packet, whatever it is."""
        packet = Packet.decode(await asyncio.get_running_loop().sock_recv(self._socket, 2048))
        assert packet.payload == packet.payload[:1] * 160
        return packet.payload[0]

    async def hears(self, number: int) -> None:
        """The next packet but for those with which the call began."""
        while (heard := await self.heard()) == BEGINNING:
            pass
        assert heard == number

    def close(self) -> None:
        self._socket.close()


async def begin(talker: Ear, far_end: Message, listener: Ear) -> None:
    """Packets until one comes out."""
    for _ in range(100):
        talker.say(BEGINNING, far_end)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                assert await listener.heard() == BEGINNING
                return
    raise AssertionError("nothing comes out")


async def call_through(
    b2bua: B2bua,
    caller: Party,
    agent: Party,
    host: str,
    far_host: str,
    transport: str,
    *,
    audio: str | None = None,
) -> None:
    """A call with sound both ways; `audio` is where the caller hears, if that is not where it signals from."""
    at_caller, at_agent = Ear(audio or host), Ear(far_host)
    try:
        port = next(
            int(entry.rpartition(":")[2])
            for entry in b2bua.listening
            if entry.startswith(transport) and ("[" in entry) == (":" in host)
        )
        call = caller.call(host, port, transport=transport, body=at_caller.description, user="support")
        invited = await agent.until(InviteReceived)
        agent.do(lambda now: invited.session.answer(now, body=at_agent.description))
        answered = await caller.until(Answered)
        await agent.until(Acknowledged)
        uri = invited.request.from_.parsed_uri
        assert isinstance(uri, SipUri)
        assert uri.host.strip("[]") == far_host
        ways = (at_caller, answered.response, at_agent), (at_agent, invited.request, at_caller)
        for talker, far_end, listener in ways:
            await begin(talker, far_end, listener)
        for number in range(1, 4):
            for talker, far_end, listener in ways:
                talker.say(number, far_end)
                await listener.hears(number)
        caller.do(call.bye)
        await caller.until(Ended)
        await agent.until(Ended)
    finally:
        at_caller.close()
        at_agent.close()


@pytest.mark.parametrize(
    ("host", "far_host", "transport", "far_transport"),
    [
        ("::1", "::1", "udp", "udp"),
        ("::1", "::1", "tcp", "tcp"),
        ("127.0.0.1", "::1", "udp", "tcp"),
        ("::1", "127.0.0.1", "tcp", "udp"),
    ],
)
def test_a_call(
    engine: Carrier, tmp_path: Path, host: str, far_host: str, transport: str, far_transport: str
) -> None:
    async def main() -> None:
        listens = [Listen(transport, host, 0)], [Listen(far_transport, far_host, 0)]
        async with party(*listens[0]) as caller, party(*listens[1]) as agent:
            at = f"[{far_host}]" if ":" in far_host else far_host
            route = f"sip:agent@{at}:{agent.port(far_transport)};transport={far_transport}"
            listen = [f"{each}:{where}:0" for each in ("udp", "tcp") for where in ("127.0.0.1", "[::1]")]
            b2bua = await asyncio.to_thread(
                B2bua,
                tmp_path,
                {"support": {"route": route}},
                listen=listen,
                media=engine.media or {"address": "::"},
            )
            with b2bua:
                await call_through(b2bua, caller, agent, host, far_host, transport)
                record = await asyncio.to_thread(b2bua.record)
                await asyncio.to_thread(b2bua.check_end)
            assert record["outcome"]["code"] == 4000
            legs = {leg["role"]: leg for leg in record["legs"]}
            assert legs["caller"]["transport"] == transport
            assert legs["agent"]["transport"] == far_transport
            assert legs["agent"]["remote_address"] == f"{at}:{agent.port(far_transport)}"

    run(main())


@pytest.mark.parametrize(("host", "audio"), [(LOOPBACK, "::1"), ("::1", LOOPBACK)])
def test_a_call_whose_audio_has_another_version_of_ip_than_its_signalling(
    engine: Carrier, tmp_path: Path, host: str, audio: str
) -> None:
    async def main() -> None:
        async with party(Listen("udp", host, 0)) as caller, party(Listen("udp", LOOPBACK, 0)) as agent:
            b2bua = await asyncio.to_thread(
                B2bua,
                tmp_path,
                {"support": {"route": f"sip:agent@{LOOPBACK}:{agent.port('udp')}"}},
                listen=[f"udp:{LOOPBACK}:0", "udp:[::1]:0"],
                media=engine.media or {"address": "::"},
            )
            with b2bua:
                await call_through(b2bua, caller, agent, host, LOOPBACK, "udp", audio=audio)
                await asyncio.to_thread(b2bua.record)
                await asyncio.to_thread(b2bua.check_end)

    run(main())


def test_a_caller_of_ipv6_is_refused_at_once_where_no_rtpengine_has_an_address_for_them(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with RtpengineDaemon(tmp_path, interfaces=(LOOPBACK,)) as daemon:
            await daemon.answers()
            async with party(Listen("udp", "::1", 0)) as caller, party(Listen("udp", LOOPBACK, 0)) as agent:
                route = f"sip:agent@{LOOPBACK}:{agent.port('udp')}"
                b2bua = await asyncio.to_thread(
                    B2bua,
                    tmp_path,
                    {"support": {"route": route}},
                    listen=[f"udp:{LOOPBACK}:0", "udp:[::1]:0"],
                    media=over_rtpengine([daemon]).media,
                )
                with b2bua:
                    port = next(int(entry.rpartition(":")[2]) for entry in b2bua.listening if "[" in entry)
                    at_caller = Ear("::1")
                    caller.call("::1", port, transport="udp", body=at_caller.description, user="support")
                    assert (await caller.until(Rejected)).response.status == 488
                    at_caller.close()
                    record = await asyncio.to_thread(b2bua.record)
                    await asyncio.to_thread(b2bua.check_end)
                assert (record["outcome"]["code"], record["outcome"]["source"]) == (11030, "b2bua")
                assert "no rtpengine has an IPv6 address" in b2bua.output + b2bua.errors, "the log says why"
                assert not record["attempts"], "nobody was rung"

    run(main())
