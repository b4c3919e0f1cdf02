"""Why a leg, an attempt or a call ended: the one table from events to names, codes and statuses.

Every ending goes through a row of `CAUSES`; nothing else in the program knows a code. The rows below 11000
carry published meanings and never change; 11000 and up are ours. `docs/outcomes.md` is generated from this
file (`scripts/generate_docs.py`).

It does not decide when something ended (timers and legs do) and does not judge digest challenges
(`sip_stack.auth`, RFC 3261 section 22): it is told what that judgement was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from media.value_class import value_class
from sip_stack.errors import LocalError


class Status(StrEnum):
    """The coarse result of a call or an attempt, the word that `DialStatus` carries."""

    COMPLETED = "completed"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    TIMEOUT = "timeout"
    CANCEL = "cancel"


class CallerEnd(StrEnum):
    """How a row ends the caller's leg when that is not a final response of its own."""

    BYE = "BYE"
    """The caller was answered before; a row that also has a status uses it while the caller is not."""
    NOTHING = "–"
    """The row never ends a caller's leg by itself, or the caller has gone already."""


@value_class
class Cause:
    """One row: what happened, and what the world is told about it."""

    event: str
    """Key of the row; what the program says when it happens."""
    when: str
    """The event in words, for the documentation."""
    name: str
    code: int
    status: Status
    caller: int | CallerEnd
    """The final response a caller gets who was not answered yet, or why there is none."""
    q850: int | None
    """The ITU-T Q.850 cause toward either side (RFC 3326), 1..127."""
    source: str
    """Who ended it unless the program knows better: caller, agent, assistant, api, b2bua or network."""

    @property
    def caller_status(self) -> int | None:
        """`caller` when it is a SIP status, else None."""
        return self.caller if isinstance(self.caller, int) else None


_BYE, _GONE = CallerEnd.BYE, CallerEnd.NOTHING
_DONE, _FAILED, _TIMEOUT, _NO_ANSWER = Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.NO_ANSWER

# One row per line, whatever the formatter thinks.
# fmt: off
_ROWS = (
    # event, in words, name, code, status, to the caller, Q.850, source
    Cause("normal_hangup", "answered, later ended", "normal_hangup", 4000, _DONE, _GONE, 16, "caller"),
    Cause("auth_rejected", "credentials rejected, or none to give",
          "sip_auth_failed", 4240, _FAILED, 502, 21, "agent"),
    Cause("auth_timeout", "silence after credentials", "sip_auth_timeout", 4250, _TIMEOUT, 504, 102, "agent"),
    Cause("ring_timeout", "`ring_timeout` reached", "no-answer", 6010, _NO_ANSWER, 480, 19, "b2bua"),
    Cause("unavailable", "480", "no-answer", 3000, _NO_ANSWER, 480, 19, "agent"),
    Cause("request_timeout", "408", "no-answer", 3070, _NO_ANSWER, 480, 18, "agent"),
    Cause("busy", "486", "busy", 3010, Status.BUSY, 486, 17, "agent"),
    Cause("busy_everywhere", "600", "busy", 3100, Status.BUSY, 600, 17, "agent"),
    Cause("declined", "603 and any other 6xx", "rejected", 3110, _FAILED, 603, 21, "agent"),
    Cause("forbidden", "403, no credentials sent, or after ringing", "forbidden", 3040, _FAILED, 403, 21, "agent"),
    Cause("unallocated", "404, 484, 485", "unallocated", 3050, _FAILED, 404, 1, "agent"),
    Cause("unallocated_everywhere", "604", "unallocated", 3120, _FAILED, 604, 1, "agent"),
    Cause("gone", "410", "out_of_service", 2010, _FAILED, 410, 22, "agent"),
    Cause("prefix_barred", "number barred by `policy`", "prefix_barred", 2050, _FAILED, 403, 21, "b2bua"),
    Cause("loop_detected", "482, 483", "loop_detected", 2060, _FAILED, 482, 25, "agent"),
    Cause("carrier_congestion", "503", "carrier_congestion", 3090, _FAILED, 500, 42, "agent"),
    Cause("carrier_error", "other 5xx", "carrier_error", 3080, _FAILED, 500, 41, "agent"),
    Cause("network_error", "DNS, transport, or silence before any response",
          "network_error", 5000, _FAILED, 500, 38, "network"),
    Cause("routing_error", "other 4xx, unfollowed 3xx", "routing_error", 5020, _FAILED, 500, 127, "agent"),
    Cause("cancel", "caller left before the answer", "cancel", 1000, Status.CANCEL, 487, None, "caller"),
    Cause("media_timeout", "no RTP for `media_timeout`", "media_timeout", 6020, _DONE, _BYE, 102, "b2bua"),
    Cause("time_limit", "`time_limit` reached", "scheduled_hangup", 6000, _DONE, _BYE, 16, "b2bua"),
    Cause("lost_race", "another target answered first", "lost_race", 9000, _FAILED, _GONE, None, "b2bua"),
    Cause("machine_detected", "`detect_voicemail` found a machine",
          "machine_detected", 9100, _FAILED, 480, 19, "agent"),
    # A handoff leaves the caller where they were; a new call of somebody whose phone was answered by nobody.
    Cause("confirm_failed", "agent did not accept", "confirm_failed", 9110, _FAILED, 480, 19, "agent"),
    # "Internal error" is published under 5010 with just this meaning.
    Cause("internal_error", "a fault of ours", "internal_error", 5010, _FAILED, 500, 41, "b2bua"),

    # Ours. TLS failures are between us and the destination: a server error, as any network failure (38).
    # The need for SRTP is a matter of media, so it is told like one (488, 88 "incompatible destination").
    Cause("srtp_required", "no SRTP where it is required", "srtp_required", 11010, _FAILED, 488, 88, "agent"),
    Cause("tls_untrusted", "TLS: no CA we trust", "tls_untrusted", 11020, _FAILED, 500, 38, "network"),
    Cause("tls_expired", "TLS: out of date", "tls_expired", 11021, _FAILED, 500, 38, "network"),
    Cause("tls_name_mismatch", "TLS: other name", "tls_name_mismatch", 11022, _FAILED, 500, 38, "network"),
    Cause("media_not_acceptable", "415, 488, 606, no codec in common, SDP nobody can use",
          "media_not_acceptable", 11030, _FAILED, 488, 88, "agent"),
    Cause("offer_required", "INVITE without SDP", "offer_required", 11031, _FAILED, 488, 88, "caller"),
    # A handoff that fails leaves the caller where they were: nothing to tell. 29 is "facility rejected".
    Cause("refer_refused", "REFER refused", "refer_refused", 11040, _FAILED, _GONE, 29, "caller"),
    Cause("refer_timeout", "no end of a REFER", "refer_timeout", 11041, _TIMEOUT, _GONE, 102, "b2bua"),
    Cause("method_not_allowed", "method not in the trunk's `allowed_methods`",
          "method_not_allowed", 11050, _FAILED, _GONE, 29, "b2bua"),
    Cause("destination_full", "the destination's `max_calls` reached",
          "destination_limit", 11052, _FAILED, 480, 34, "b2bua"),
    Cause("destination_spent", "the destination's `max_calls_per_hour` reached",
          "destination_hourly_limit", 11053, _FAILED, 480, 34, "b2bua"),
    Cause("policy_refused", "target outside `policy`", "policy_refused", 11051, _FAILED, 403, 21, "b2bua"),
    # Sessions that expired or lost their media were calls, hence completed; one never confirmed was not.
    Cause("session_expired", "session not refreshed", "session_expired", 11060, _DONE, _BYE, 102, "b2bua"),
    Cause("not_acknowledged", "answer never ACKed", "not_acknowledged", 11061, _FAILED, _BYE, 102, "caller"),
    Cause("not_pracked", "reliable 18x never PRACKed",
          "provisional_not_acknowledged", 11062, _FAILED, 504, 102, "caller"),
    Cause("media_engine_lost", "media engine failed", "media_engine_lost", 11070, _FAILED, 500, 41, "b2bua"),
    Cause("ports_exhausted", "no free RTP port",
          "media_ports_exhausted", 11071, _FAILED, 503, 47, "b2bua"),
    # Both sides talked until nobody was there any more: that was a call.
    Cause("process_lost", "the process died with the call up; said by the next one",
          "process_lost", 11072, _DONE, _BYE, 41, "b2bua"),
    Cause("process_lost_unanswered", "the process died while it rang; said by the next one",
          "process_lost", 11073, _FAILED, 503, 41, "b2bua"),
    # Calls we refuse. 503 makes an SBC try another node, so it is kept for "not this node, not now".
    Cause("unknown_trunk", "source of no trunk", "unknown_trunk", 11100, _FAILED, 403, 21, "b2bua"),
    Cause("no_route", "no route matches", "no_route", 11101, _FAILED, 404, 3, "b2bua"),
    Cause("overload", "limit of calls reached", "overload", 11102, _FAILED, 503, 42, "b2bua"),
    Cause("draining", "new call while draining", "draining", 11103, _FAILED, 503, 41, "b2bua"),
    Cause("shutdown", "call outlived the drain", "shutdown", 11104, _FAILED, 503, 41, "b2bua"),
    Cause("bad_request", "INVITE nobody can read", "bad_request", 11105, _FAILED, 400, 127, "caller"),
    Cause("bad_extension", "INVITE that requires what we do not do, or not on its trunk",
          "bad_extension", 11106, _FAILED, 420, 127, "caller"),
    Cause("extension_required", "INVITE without what its trunk is `required` to have",
          "extension_required", 11107, _FAILED, 421, 127, "caller"),
)
# fmt: on

CAUSES: dict[str, Cause] = {row.event: row for row in _ROWS}
"""Every way a call, attempt or leg ends, by event."""

_OF_ONE_ADDRESS = frozenset(
    {"network_error", "carrier_congestion", "tls_untrusted", "tls_expired", "tls_name_mismatch"}
)

RESPONSES: dict[int, str] = {
    401: "auth_rejected",
    403: "forbidden",
    404: "unallocated",
    407: "auth_rejected",
    408: "request_timeout",
    410: "gone",
    415: "media_not_acceptable",
    480: "unavailable",
    482: "loop_detected",
    483: "loop_detected",
    484: "unallocated",
    485: "unallocated",
    486: "busy",
    488: "media_not_acceptable",
    503: "carrier_congestion",
    600: "busy_everywhere",
    603: "declined",
    604: "unallocated_everywhere",
    606: "media_not_acceptable",
}
"""SIP final responses with a row of their own; the rest of a class follows `CLASSES`."""

CLASSES: dict[int, str] = {3: "routing_error", 4: "routing_error", 5: "carrier_error", 6: "declined"}
"""Row of a final response not in `RESPONSES`, by the first digit. A 6xx says that nobody anywhere takes the
call, so an unknown one is a rejection (RFC 3261 section 21.6), never a reason to try elsewhere."""


REFUSALS: dict[int, str] = {
    415: "media_not_acceptable",
    420: "bad_extension",
    421: "extension_required",
    483: "loop_detected",
}
"""Rows of INVITEs that are refused before there is a call, by our status; all others cannot be read or understood."""


@value_class
class Outcome:
    """How one call, attempt or leg ended: a row of the table and what is particular to this time."""

    cause: Cause
    source: str
    """Who ended it: caller, agent, assistant, api, b2bua or network."""
    sip_status: int | None = None
    """The final response as received, None when there was none."""
    sip_reason: str | None = None
    """Its reason phrase."""
    detail: str = ""
    """For people: what exactly failed, or the far end's Warning and Reason headers."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the BYE that ended it: those that may go on as far as its sender is concerned."""
    reasons: tuple[tuple[str, int], ...] = ()
    """The causes that a far end gave as it left, by protocol; they take the place of ours."""

    @property
    def event(self) -> str:
        """Key of the row."""
        return self.cause.event

    @property
    def name(self) -> str:
        """The cause's public name."""
        return self.cause.name

    @property
    def code(self) -> int:
        """The cause's public code, four or five digits."""
        return self.cause.code

    @property
    def status(self) -> Status:
        """completed, failed, busy, no-answer, timeout or cancel."""
        return self.cause.status

    @property
    def caller_status(self) -> int | None:
        """The final response for a caller who was not answered; None when the row has none."""
        return self.cause.caller_status

    @property
    def why(self) -> str | None:
        """`detail` as log lines and attempts have it: at most 200 characters, far ends may say more; None for none."""
        return self.detail[:200] or None

    @property
    def try_next_target(self) -> bool:
        """True when another address of the same name may do better (RFC 3263 section 4.3)."""
        return self.cause.event in _OF_ONE_ADDRESS

    def as_record(self) -> dict[str, object]:
        """The outcome as it stands in the call record; its keys are a contract."""
        return {
            "name": self.name,
            "code": self.code,
            "status": str(self.status),
            "source": self.source,
            "sip_status": self.sip_status,
            "sip_reason": self.sip_reason,
        }

    def reason_headers(self) -> list[tuple[str, str]]:
        """The Reason headers (RFC 3326) for a BYE, a CANCEL or a final response of ours.

        Never a four-digit cause: Q.850 ends at 127 and many stacks drop what they cannot read.
        """
        if self.event == "lost_race":
            # In these words: phones that read them count no missed call.
            return [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')]
        if not self.reasons and self.sip_status is None:
            return list(_OWN_REASONS[self.cause.event])
        causes = dict(self.reasons)
        if not causes and self.cause.q850 is not None:
            causes["Q.850"] = self.cause.q850
        if self.sip_status is not None:
            causes["SIP"] = self.sip_status
        return [_reason(self.cause, protocol, number) for protocol, number in sorted(causes.items())]


def _reason(cause: Cause, protocol: str, number: int) -> tuple[str, str]:
    text = f';text="{cause.name}"' if protocol == "Q.850" else ""
    return "Reason", f"{protocol};cause={number}{text}"


_OWN_REASONS = {
    row.event: () if row.q850 is None else (_reason(row, "Q.850", row.q850),) for row in CAUSES.values()
}
"""Where nobody else has given one."""


def local(event: str, *, source: str | None = None, detail: str = "") -> Outcome:
    """The outcome of something we saw or decided ourselves.

    Raises `LocalError` when `event` is no key of `CAUSES`.
    """
    return _local(event, source, detail) if detail else _plain(event, source)


def _local(event: str, source: str | None, detail: str = "") -> Outcome:
    cause = CAUSES.get(event)
    if cause is None:
        raise LocalError(f"no cause is called {event!r}")
    return Outcome(cause, source or cause.source, detail=detail)


# A call names some in case that nothing better is said.
_plain = lru_cache(maxsize=256)(_local)


def from_refusal(status: int, reason: str) -> Outcome:
    """The outcome of a caller's INVITE that we refuse with `status`, because of what it says or does not say."""
    return local(REFUSALS.get(status, "bad_request"), source="caller", detail=reason)


def of_record(said: Mapping[str, object]) -> Outcome | None:
    """What `as_record` has written, and the `detail` of an attempt; None for nothing, and for what no row says now."""
    row = next((row for row in _ROWS if row.code == said.get("code") and row.name == said.get("name")), None)
    if row is None:
        return None
    status, reason = said.get("sip_status"), said.get("sip_reason")
    return Outcome(
        row,
        str(said.get("source")),
        status if isinstance(status, int) else None,
        None if reason is None else str(reason),
        str(said.get("detail") or ""),
    )


def from_response(
    status: int,
    reason: str | None = None,
    *,
    auth: str | None = None,
    source: str = "agent",
    detail: str = "",
) -> Outcome:
    """The outcome of a final response >= 300 to a request of ours.

    `auth` is why the digest client gave up (`Rejected.auth`), None when it is no authentication failure: it
    tells a 403 after credentials (4240) from one without (3040). `source` is the role of the leg that
    responded.
    """
    if not 300 <= status <= 699:
        raise LocalError(f"{status} is not a failure response")
    event = "auth_rejected" if auth is not None else RESPONSES.get(status) or CLASSES[status // 100]
    if auth is not None:
        detail = f"{auth}; {detail}" if detail else auth
    return Outcome(CAUSES[event], source, status, reason, detail)


def with_response(outcome: Outcome, status: int) -> Outcome:
    """The same outcome with the status of the final response that came with it."""
    return replace(outcome, sip_status=status)


def refer_refused(status: int | None, reason: str | None) -> Outcome:
    """The outcome of a REFER that was not accepted; `status` is None after silence."""
    event = "refer_timeout" if status is None else "refer_refused"
    return Outcome(CAUSES[event], "caller", status, reason)
