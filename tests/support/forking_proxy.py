"""A forking proxy between the B2BUA and two phones."""

from __future__ import annotations

from sip_stack.errors import LossReason, RemoteError
from sip_stack.message import Request, parse_message
from sip_stack.transport import Flow
from tests.support.b2bua_world import B2BUA
from tests.support.fake_network import FakeAsyncNetwork

PROXY, LEFT, RIGHT = "198.51.100.10", "198.51.100.11", "198.51.100.12"


class ForkingProxy:
    """Sends what the B2BUA asks to two phones, and what they say back: both may answer.

    A refusal goes back when both have refused (RFC 3261 section 16.7). It repeats nothing by itself, so the way to its
    phones is a good one.
    """

    def __init__(self, network: FakeAsyncNetwork) -> None:
        self._network = network
        self._refused: dict[str, set[str]] = {}
        network.open((PROXY, 5060), self)

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        """Pass it on."""
        message = parse_message(data)
        if isinstance(message, Request):
            targets = [LEFT, RIGHT]
        elif message.status < 300:
            targets = [B2BUA]
        else:
            refused = self._refused.setdefault(f"{message.via.branch} {message.cseq.method}", set())
            refused.add(flow.remote[0])
            targets = [B2BUA] if refused == {LEFT, RIGHT} else []
        for target in targets:
            self._network.send((PROXY, 5060), (target, 5060), data)

    def flush(self) -> None:
        """Nothing waits."""

    def lost(self, flow: Flow, detail: str, reason: LossReason = "transport") -> None:
        """Nothing is repeated."""

    def hears(self, source: str) -> bool:
        """Everybody."""
        return True

    def needs(self, flow: Flow) -> bool:
        """None: it is UDP."""
        return False
