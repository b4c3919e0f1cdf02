"""`kill -9` while a caller without an offer has not acknowledged our 200: the next process repeats it, and the answer
in the ACK is put in force at rtpengine, whose leg nobody has told of the caller yet."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.interop.test_calls_outlive_the_process import UNUSED, journal, staged, until_hears
from tests.support.peer_sip import SipText, new_branch, sdp
from tests.support.processes import wait_until
from tests.support.rtp_phone import RtpCaller
from tests.support.udp_peer import Address
from tests.support.voices import Voice


class LateCaller(RtpCaller[Voice]):
    """Offers nothing, and answers the offer in the 200 by its ACK once it `acknowledges`."""

    acknowledges = False

    def sdp(self) -> str:
        """None."""
        return ""

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """As any caller, but for the 200."""
        if message.method != "INVITE" or not 200 <= message.status < 300:
            super().handle(message, data, source, repeated)
        elif self.acknowledges:
            body, to = sdp(self.host, self.audio.port), message.header("To")
            self._request("ACK", message.contact_uri, 1, new_branch(), to=to, body=body, inside=True)


def test_the_answer_in_an_ack_to_the_next_process_is_put_in_force(tmp_path: Path) -> None:
    with staged(tmp_path, 1, 1) as stage:
        other, callee = stage.pairs[0].caller, stage.pairs[0].callee
        with LateCaller(other.audio) as caller:
            with stage.b2bua() as first:
                caller.call(first.address, "callee-0")
                caller.final()
                wait_until(lambda: callee.requests("ACK"), 10.0, "the human has answered")
                call_id = callee.requests("INVITE")[0].header("Call-ID")
                wait_until(lambda: call_id in "".join(journal(tmp_path)), 10.0, "it is written down")
                first.send_signal(signal.SIGKILL)
                first.wait(5.0)
            caller.acknowledges = True
            with stage.b2bua() as second:
                caller.audio.start(caller.final()[0].media_address())
                until_hears(caller.audio, callee.audio)
                until_hears(callee.audio, caller.audio)
                caller.hang_up()
                callee.wait_for_request("BYE", 10.0)
                (record,) = second.records(1)
                assert record["outcome"]["name"] == "normal_hangup"
                second.check_end()
        wait_until(lambda: stage.held() <= UNUSED, 10.0, lambda: f"{stage.held()} are held")
