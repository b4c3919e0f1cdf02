"""Which headers cross from one side to the other, and what `$variables` become."""

from __future__ import annotations

import pytest

from b2bua.headers import (
    MAX_HEADERS,
    MAX_NAME,
    MAX_OCTETS,
    MAX_VALUE,
    Dropped,
    HeaderRefused,
    RenderedHeaders,
    Variables,
    combine,
    pass_through,
    received_variables,
    refusal_of,
    render,
)
from sip_stack.message import Headers, Request

CALL = Variables(
    reason="refund",
    shared_id="s-1",
    call_id="c-1",
    handoff_id="h-1",
    caller_id="+15551230000",
    called="support",
    data={
        "customer_id": "4711",
        "vip": True,
        "amount": 12.5,
        "empty": "",
        "nothing": None,
        "call_id": "forged",
    },
    received={"x_ticket": "T-9", "x_customer_id": "from the phone"},
)


def sent(text: str, variables: Variables = CALL) -> str | None:
    """What becomes of one configured value, None when it is left out."""
    rendered = render({"X-Test": text}, {}, variables)
    return rendered.sent[0][1] if rendered.sent else None


def invite(*headers: tuple[str, str]) -> Request:
    """An INVITE with these headers among the usual ones."""
    return Request(
        "INVITE",
        "sip:support@198.51.100.1",
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
            ("Route", "<sip:192.0.2.9;lr>"),
            ("Contact", "<sip:a@192.0.2.1>"),
            ("Authorization", 'Digest username="a", response="0"'),
            ("Proxy-Authorization", 'Digest username="a", response="0"'),
            ("x", "1800;refresher=uac"),
            *headers,
            ("Content-Type", "application/sdp"),
            ("Subject", "nothing"),
            ("User-Agent", "phone"),
        ],
    )


class TestVariables:
    """`$name` in a configured header."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("plain", "plain"),
            ("$reason", "refund"),
            ("$shared_id/$call_id/$handoff_id", "s-1/c-1/h-1"),
            ("$caller_id for $called", "+15551230000 for support"),
            ("$customer_id", "4711"),
            ("$data.customer_id.", "4711."),
            ("$vip $amount", "true 12.5"),
            ("$x_ticket", "T-9"),
            ("$x_customer_id", "from the phone"),
            ("cost $$5", "cost $5"),
            ("$$reason", "$reason"),
            ("$$$reason", "$refund"),
            ("5 $ or $5", "5 $ or $5"),
            ("$reason.", "refund."),
            ("  $reason  ", "refund"),
        ],
    )
    def test_are_filled_in(self, text: str, expected: str) -> None:
        assert sent(text) == expected

    def test_a_built_in_comes_before_data_and_data_before_what_the_caller_sent(self) -> None:
        variables = Variables(call_id="c-1", data={"call_id": "no", "x_a": "data"}, received={"x_a": "no"})

        assert sent("$call_id $x_a", variables) == "c-1 data"

    def test_data_by_its_full_name_is_nothing_else(self) -> None:
        variables = Variables(call_id="c-1", data={"call_id": "from data"}, received={"x_a": "no"})

        assert sent("$data.call_id", variables) == "from data"
        assert sent("$data.x_a", variables) is None

    def test_data_cannot_pose_as_a_built_in_that_is_empty(self) -> None:
        assert sent("$handoff_id", Variables(data={"handoff_id": "forged"})) is None

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("$missing", "$missing has no value"),
            ("id $missing and $other", "$missing has no value"),
            ("$empty", "$empty has no value"),
            ("$nothing", "$nothing has no value"),
            ("$Customer_Id", "$Customer_Id has no value"),
            ("", "empty"),
            ("   ", "empty"),
        ],
    )
    def test_without_a_value_leave_the_header_out_visibly(self, text: str, why: str) -> None:
        assert render({"X-Test": text}, {}, CALL) == RenderedHeaders([], [Dropped("X-Test", why)])

    def test_what_a_variable_brings_is_text(self) -> None:
        assert sent("$a", Variables(data={"a": "$reason $$"}, reason="no")) == "$reason $$"


class TestPerRequest:
    """Headers that came with the request for the handoff."""

    def test_win_over_the_destination_s_in_any_case(self) -> None:
        rendered = render({"X-Queue": "1", "X-Reason": "$reason"}, {"x-queue": "2"}, CALL)

        assert rendered.sent == [("X-Reason", "refund"), ("x-queue", "2")]

    def test_are_taken_as_they_are(self) -> None:
        assert render({}, {"X-Price": "$reason"}, CALL).sent == [("X-Price", "$reason")]

    def test_are_held_to_the_same_rules(self) -> None:
        rendered = render({}, {"Via": "SIP/2.0/UDP evil", "X-PH-A": "1", "X-Ok": "1"}, CALL)

        assert rendered.sent == [("X-Ok", "1")]
        assert rendered.dropped == [
            Dropped("Via", "not X-* or User-to-User"),
            Dropped("X-PH-A", "reserved name"),
        ]


class TestNames:
    """X-* and User-to-User, less what other platforms keep for themselves."""

    @pytest.mark.parametrize(
        "name", ["X-Customer-ID", "x-a", "User-to-User", "USER-TO-USER", "X-Phone", "X-FSM"]
    )
    def test_may_cross(self, name: str) -> None:
        assert refusal_of(name) is None

    @pytest.mark.parametrize(
        "name",
        [
            "X-PH-Id",
            "x-ph-id",
            "PH-Id",
            "X-Plivo-A",
            "plivoA",
            "X-FS-A",
            "fs-a",
            "X-SipAuthUser",
            "SIPAUTH",
            "X-ZT-A",
            "zt-",
            "X-Twilio-CallSid",
            "TwilioA",
            "ClientRegion",
            "X-clientregion",
        ],
    )
    def test_are_reserved(self, name: str) -> None:
        assert refusal_of(name) == "reserved name"

    @pytest.mark.parametrize(
        "name",
        [
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Route",
            "Record-Route",
            "Max-Forwards",
            "Content-Type",
            "Content-Length",
            "Authorization",
            "Proxy-Authorization",
            "Require",
            "Subject",
            "v",
            "x",
            "X-",
            "XA",
            "User-to-User2",
            "P-Asserted-Identity",
        ],
    )
    def test_are_not_for_custom_headers(self, name: str) -> None:
        assert refusal_of(name) in ("not X-* or User-to-User", "not a header name")

    @pytest.mark.parametrize("name", ["", "X-A B", "X-A:", "X-ü", "X-" + "a" * MAX_NAME])
    def test_are_no_names(self, name: str) -> None:
        assert refusal_of(name) == "not a header name"


class TestInjection:
    """A value that breaks out of its line is an error, never repaired."""

    @pytest.mark.parametrize(
        "value", ["a\r\nVia: b", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7f", "\r\n", "a\n"]
    )
    def test_control_characters_are_refused_wherever_they_come_from(self, value: str) -> None:
        for configured, per_request, variables in (
            ({"X-A": value}, {}, Variables()),
            ({"X-A": "$a"}, {}, Variables(data={"a": value})),
            ({"X-A": "$reason"}, {}, Variables(reason=value + "x")),
            ({}, {"X-A": value}, Variables()),
            ({}, {"X-A" + value: "1"}, Variables()),
        ):
            with pytest.raises(HeaderRefused) as refused:
                render(configured, per_request, variables)
            assert refused.value.why == "control character"

    def test_half_a_surrogate_pair_cannot_be_sent(self) -> None:
        with pytest.raises(HeaderRefused, match="not valid text"):
            render({}, {"X-A": "\ud800"}, CALL)

    def test_tabs_and_other_scripts_are_text(self) -> None:
        assert render({}, {"X-A": "a\tb ünï"}, CALL).sent == [("X-A", "a\tb ünï")]


class TestPassThrough:
    """From the caller's INVITE to the destination's."""

    def test_custom_headers_cross_as_written_and_in_order(self) -> None:
        request = invite(("X-Two", "2"), ("x-ONE", "1"), ("User-to-User", "00;encoding=hex"), ("X-Two", "3"))

        assert pass_through(request) == [
            ("X-Two", "2"),
            ("x-ONE", "1"),
            ("User-to-User", "00;encoding=hex"),
            ("X-Two", "3"),
        ]

    def test_nothing_else_does(self) -> None:
        reserved = [
            ("X-PH-A", "1"),
            ("PH-A", "1"),
            ("X-Twilio-A", "1"),
            ("X-ClientRegion", "eu"),
            ("X-Empty", ""),
        ]

        assert pass_through(invite(*reserved)) == []

    def test_is_bounded_in_number(self) -> None:
        request = invite(*[(f"X-{number}", "1") for number in range(MAX_HEADERS + 5)])

        assert len(pass_through(request)) == MAX_HEADERS

    def test_is_bounded_in_octets(self) -> None:
        request = invite(("X-Long", "ü" * MAX_VALUE), *[(f"X-{number}", "a" * 500) for number in range(20)])

        passed = pass_through(request)

        assert sum(len(name) + len(value) + 4 for name, value in passed) <= MAX_OCTETS
        assert len(passed) == MAX_OCTETS // 507

    def test_one_too_long_does_not_stop_the_next(self) -> None:
        request = invite(("X-Long", "a" * (MAX_VALUE + 1)), ("X-Short", "1"))

        assert pass_through(request) == [("X-Short", "1")]

    def test_gives_way_to_a_configured_header_of_the_same_name(self) -> None:
        rendered = render({"X-Queue": "billing", "X-None": "$missing"}, {}, CALL)

        combined = combine([("x-queue", "caller's"), ("X-None", "kept"), ("X-B", "2")], rendered)

        assert combined == [("X-None", "kept"), ("X-B", "2"), ("X-Queue", "billing")]


def test_too_much_is_left_out_visibly() -> None:
    configured = {"X-Long": "a" * (MAX_VALUE + 1)} | {f"X-{number}": "1" for number in range(MAX_HEADERS + 1)}

    rendered = render(configured, {}, CALL)

    assert len(rendered.sent) == MAX_HEADERS
    assert rendered.dropped == [
        Dropped("X-Long", f"longer than {MAX_VALUE} octets"),
        Dropped(f"X-{MAX_HEADERS}", "too many custom headers"),
    ]


def test_the_caller_s_headers_become_variables() -> None:
    headers = Headers(
        [("X-Ticket-No", "T-9"), ("x-ticket-no", "second"), ("X-Empty", ""), ("Subject", "s"), ("x", "90")]
    )

    assert received_variables(headers) == {"x_ticket_no": "T-9"}
