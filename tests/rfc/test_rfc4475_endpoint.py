"""What the endpoint does with each RFC 4475 torture message that arrives over UDP.

Provenance in data/rfc4475/NOTE.md, whose table of expectations this pins down where it leaves a choice. The verdicts of
the parser alone are in test_rfc4475_parser.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.events import InviteReceived
from sip_stack.message import Response
from tests.support.sip_text import Alone

DATA = Path(__file__).parent / "data" / "rfc4475"

CALL, SILENCE = 100, None
ANSWERS = {
    # 3.1.1 valid messages. REGISTER and MESSAGE exist but are not served; a To tag means a dialog we do not have.
    "wsinv": 481,
    "intmeth": 501,
    "esc01": CALL,
    "escnull": 405,
    "esc02": 501,
    "lwsdisp": 200,
    "longreq": CALL,
    "dblreq": 405,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 405,
    "unreason": SILENCE,
    "noreason": SILENCE,
    # 3.1.2 invalid messages
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": SILENCE,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 200,
    "escruri": 400,
    "baddate": CALL,
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": SILENCE,
    # 3.2 transaction layer, 3.3 application layer, 3.4 backward compatibility
    "badbranch": 200,
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": 405,
    "bext01": 420,
    "invut": 415,
    "regaut01": 405,
    "multi01": 400,
    "mcl01": 400,
    "bcast": SILENCE,
    "zeromf": 200,
    "cparam01": 405,
    "cparam02": 405,
    "regescrt": 405,
    "sdp01": CALL,
    "inv2543": 400,  # no Contact, so no dialog
    # Not of the RFC: no SIP version in the first line
    "test": SILENCE,
}


def test_every_message_has_an_answer_here() -> None:
    assert {path.stem for path in DATA.glob("*.dat")} == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_torture_message(name: str) -> None:
    alone = Alone()
    data = (DATA / f"{name}.dat").read_bytes()
    sent = alone.receive(data)
    assert [message.status for message in sent if isinstance(message, Response)] == (
        [] if ANSWERS[name] is SILENCE else [ANSWERS[name]]
    )
    assert alone.names() in ([["InviteReceived"]] if ANSWERS[name] == CALL else [[], ["InviteRefused"]])

    alone.receive(data)
    assert alone.names().count("InviteReceived") <= 1, "a repetition is no second call"
    for event in alone.events:
        if isinstance(event, InviteReceived):
            event.session.reject(alone.now, 480)
    alone.wait(100)
    assert alone.endpoint.transaction_count == 0


def test_all_of_them_at_one_endpoint() -> None:
    alone = Alone()
    for path in sorted(DATA.glob("*.dat")):
        alone.receive(path.read_bytes())
    assert alone.endpoint.counters.received == len(ANSWERS)
