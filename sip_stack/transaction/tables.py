"""The four transaction machines of RFC 3261 section 17, with the corrections of RFC 6026, as data.

One table per figure: `(state, input) -> (next state, verbs)`, rows in the order of the figure. A pair without
a row is absorbed: nothing happens. All that decides what a transaction does is in this file; what each verb
does is in `engine.py`. The pages of `docs/state-machines.md` are drawn from these tables.

What is not here: ACK to a 2xx and the repetition of a 2xx. They belong to the dialog (RFC 3261 section 13). A
transport error has no row in the server machines: RFC 6026 section 7.1 keeps the INVITE machine where it is,
the request that is repeated tries again, and the lingering timer ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """States of all four machines, named as in the figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """What happens to a transaction: messages received, responses to send, timers, errors."""

    R1XX = "1xx received"
    R2XX = "2xx received"
    R3XX_6XX = "300-699 received"
    REQUEST = "request repeated"
    ACK = "ACK received"
    S1XX = "send 1xx"
    S2XX = "send 2xx"
    S3XX_6XX = "send 300-699"
    TRANSPORT_ERROR = "transport error"
    ABANDON = "abandoned"
    TIMER_A = "timer A"
    TIMER_B = "timer B"
    TIMER_D = "timer D"
    TIMER_E = "timer E"
    TIMER_F = "timer F"
    TIMER_G = "timer G"
    TIMER_H = "timer H"
    TIMER_I = "timer I"
    TIMER_J = "timer J"
    TIMER_K = "timer K"
    TIMER_L = "timer L"
    TIMER_M = "timer M"


class Verb(StrEnum):
    """What a row does, in order. `engine.py` holds one function for each."""

    SEND = "send the response"
    RESEND = "send the last message again"
    DOUBLE = "double the interval"
    DOUBLE_TO_T2 = "double the interval up to T2"
    WAIT_T2 = "wait T2"
    STOP_RETRY = "stop repeating"
    ACKNOWLEDGE = "send ACK"
    PASS_UP = "tell the user"
    REPORT_TIMEOUT = "report timeout"
    REPORT_TRANSPORT_ERROR = "report transport error"
    START_D = "start timer D"
    START_G_H = "start timers G and H"
    START_I = "start timer I"
    START_J = "start timer J"
    START_K = "start timer K"
    START_L = "start timer L"
    START_M = "start timer M"


Row = tuple[State, tuple[Verb, ...]]
Table = Mapping[tuple[State, Input], Row]

CALLING, TRYING, PROCEEDING = State.CALLING, State.TRYING, State.PROCEEDING
ACCEPTED, COMPLETED = State.ACCEPTED, State.COMPLETED
CONFIRMED, TERMINATED = State.CONFIRMED, State.TERMINATED

# RFC 3261 figure 5, RFC 6026 section 7.2 and figure 3. Timers A and B start with the request.
INVITE_CLIENT: Table = {
    (CALLING, Input.TIMER_A): (CALLING, (Verb.RESEND, Verb.DOUBLE)),
    (CALLING, Input.TIMER_B): (TERMINATED, (Verb.REPORT_TIMEOUT,)),
    (CALLING, Input.TRANSPORT_ERROR): (TERMINATED, (Verb.REPORT_TRANSPORT_ERROR,)),
    (CALLING, Input.R1XX): (PROCEEDING, (Verb.STOP_RETRY, Verb.PASS_UP)),
    (CALLING, Input.R2XX): (ACCEPTED, (Verb.STOP_RETRY, Verb.START_M, Verb.PASS_UP)),
    (CALLING, Input.R3XX_6XX): (COMPLETED, (Verb.STOP_RETRY, Verb.ACKNOWLEDGE, Verb.START_D, Verb.PASS_UP)),
    (PROCEEDING, Input.R1XX): (PROCEEDING, (Verb.PASS_UP,)),
    (PROCEEDING, Input.R2XX): (ACCEPTED, (Verb.START_M, Verb.PASS_UP)),
    (PROCEEDING, Input.R3XX_6XX): (COMPLETED, (Verb.ACKNOWLEDGE, Verb.START_D, Verb.PASS_UP)),
    # RFC 3261 section 9.1: no final response within 64*T1 of our CANCEL; the dialog starts that clock.
    (PROCEEDING, Input.ABANDON): (TERMINATED, ()),
    (ACCEPTED, Input.R2XX): (ACCEPTED, (Verb.PASS_UP,)),
    (ACCEPTED, Input.TIMER_M): (TERMINATED, ()),
    (COMPLETED, Input.R3XX_6XX): (COMPLETED, (Verb.ACKNOWLEDGE,)),
    (COMPLETED, Input.TRANSPORT_ERROR): (TERMINATED, (Verb.REPORT_TRANSPORT_ERROR,)),
    (COMPLETED, Input.TIMER_D): (TERMINATED, ()),
}

# RFC 3261 figure 6. Timers E and F start with the request.
NON_INVITE_CLIENT: Table = {
    (TRYING, Input.TIMER_E): (TRYING, (Verb.RESEND, Verb.DOUBLE_TO_T2)),
    (TRYING, Input.TIMER_F): (TERMINATED, (Verb.REPORT_TIMEOUT,)),
    (TRYING, Input.TRANSPORT_ERROR): (TERMINATED, (Verb.REPORT_TRANSPORT_ERROR,)),
    (TRYING, Input.R1XX): (PROCEEDING, (Verb.PASS_UP,)),
    (TRYING, Input.R2XX): (COMPLETED, (Verb.STOP_RETRY, Verb.START_K, Verb.PASS_UP)),
    (TRYING, Input.R3XX_6XX): (COMPLETED, (Verb.STOP_RETRY, Verb.START_K, Verb.PASS_UP)),
    (PROCEEDING, Input.TIMER_E): (PROCEEDING, (Verb.RESEND, Verb.WAIT_T2)),
    (PROCEEDING, Input.TIMER_F): (TERMINATED, (Verb.REPORT_TIMEOUT,)),
    (PROCEEDING, Input.TRANSPORT_ERROR): (TERMINATED, (Verb.REPORT_TRANSPORT_ERROR,)),
    (PROCEEDING, Input.R1XX): (PROCEEDING, (Verb.PASS_UP,)),
    (PROCEEDING, Input.R2XX): (COMPLETED, (Verb.STOP_RETRY, Verb.START_K, Verb.PASS_UP)),
    (PROCEEDING, Input.R3XX_6XX): (COMPLETED, (Verb.STOP_RETRY, Verb.START_K, Verb.PASS_UP)),
    (COMPLETED, Input.TIMER_K): (TERMINATED, ()),
}

# RFC 3261 figure 7, RFC 6026 section 7.1 and figure 2.
INVITE_SERVER: Table = {
    (PROCEEDING, Input.REQUEST): (PROCEEDING, (Verb.RESEND,)),
    (PROCEEDING, Input.S1XX): (PROCEEDING, (Verb.SEND,)),
    (PROCEEDING, Input.S2XX): (ACCEPTED, (Verb.SEND, Verb.START_L)),
    (PROCEEDING, Input.S3XX_6XX): (COMPLETED, (Verb.SEND, Verb.START_G_H)),
    # An ACK whose branch is the INVITE's, as some peers send for a 2xx too: the dialog wants it.
    (ACCEPTED, Input.ACK): (ACCEPTED, (Verb.PASS_UP,)),
    (ACCEPTED, Input.S2XX): (ACCEPTED, (Verb.SEND,)),
    (ACCEPTED, Input.TIMER_L): (TERMINATED, ()),
    (COMPLETED, Input.REQUEST): (COMPLETED, (Verb.RESEND,)),
    (COMPLETED, Input.TIMER_G): (COMPLETED, (Verb.RESEND, Verb.DOUBLE_TO_T2)),
    (COMPLETED, Input.TIMER_H): (TERMINATED, (Verb.REPORT_TIMEOUT,)),
    (COMPLETED, Input.ACK): (CONFIRMED, (Verb.STOP_RETRY, Verb.START_I)),
    (CONFIRMED, Input.TIMER_I): (TERMINATED, ()),
}

# RFC 3261 figure 8.
NON_INVITE_SERVER: Table = {
    (TRYING, Input.S1XX): (PROCEEDING, (Verb.SEND,)),
    (TRYING, Input.S2XX): (COMPLETED, (Verb.SEND, Verb.START_J)),
    (TRYING, Input.S3XX_6XX): (COMPLETED, (Verb.SEND, Verb.START_J)),
    (PROCEEDING, Input.REQUEST): (PROCEEDING, (Verb.RESEND,)),
    (PROCEEDING, Input.S1XX): (PROCEEDING, (Verb.SEND,)),
    (PROCEEDING, Input.S2XX): (COMPLETED, (Verb.SEND, Verb.START_J)),
    (PROCEEDING, Input.S3XX_6XX): (COMPLETED, (Verb.SEND, Verb.START_J)),
    (COMPLETED, Input.REQUEST): (COMPLETED, (Verb.RESEND,)),
    (COMPLETED, Input.TIMER_J): (TERMINATED, ()),
}
