"""The metrics of calls, attempts, handoffs and audio."""

from __future__ import annotations

from collections.abc import Iterator

from b2bua.call.counters import CallCounters
from b2bua.metrics.family import Distributions, Sources, Values, counter, gauge, histogram, one
from media.engine import MediaError


def _counters(sources: Sources) -> CallCounters:
    return sources.registry.services.counters


def _active(sources: Sources) -> Values:
    running = dict.fromkeys(sources.registry.configuration.trunks, 0) | dict(sources.registry.running)
    return [((trunk,), count) for trunk, count in running.items()]


def _ports(sources: Sources) -> Iterator[tuple[tuple[str, ...], float]]:
    engine = sources.registry.services.engine
    try:
        capacity, free = engine.capacity, engine.free_ports
    except MediaError:
        return  # it is being closed
    yield ("in_use",), capacity - free
    yield ("free",), free


def _setup(sources: Sources) -> Distributions:
    return _counters(sources).setup


FAMILIES = (
    gauge("calls_active", "Calls that are up, by the trunk they came from.", ("trunk",), _active),
    counter(
        "calls",
        "Calls that ended or were refused, by trunk, status, and cause with its code (docs/outcomes.md).",
        ("trunk", "status", "cause", "code"),
        lambda sources: _counters(sources).calls,
    ),
    gauge(
        "calls_left_behind",
        "Calls of a process that was killed, found when this one started: taken_over, ended, or recorded_before.",
        ("fate",),
        lambda sources: _counters(sources).left_behind,
    ),
    histogram("call_setup_seconds", "From the INVITE to the answer of a call.", ("trunk",), _setup),
    histogram(
        "call_duration_seconds",
        "Answered time of the calls that ended.",
        ("trunk",),
        lambda sources: _counters(sources).talk,
    ),
    counter(
        "attempts",
        "Attempts at assistants and destinations, by cause (answered when they were) and final SIP status.",
        ("destination", "cause", "sip_status"),
        lambda sources: _counters(sources).attempts,
    ),
    histogram(
        "attempt_answer_seconds",
        "From the first INVITE of an attempt to its answer.",
        ("destination",),
        lambda sources: _counters(sources).pick_up,
    ),
    gauge(
        "handoffs_active",
        "Handoffs that are not completed, failed or cancelled yet.",
        (),
        one(lambda sources: _counters(sources).handoffs_active),
    ),
    counter(
        "handoffs",
        "Handoffs that are over, by their last destination and method, and how they ended.",
        ("destination", "method", "state", "cause"),
        lambda sources: _counters(sources).handoffs,
    ),
    histogram(
        "handoff_connect_seconds",
        "From asking for a handoff until the caller hears the human, by method.",
        ("method",),
        lambda sources: _counters(sources).handoff_connect,
    ),
    counter(
        "recordings",
        "Recordings of calls: each time that one was begun or went on (recording), paused, ended or failed.",
        ("state",),
        lambda sources: _counters(sources).recordings,
    ),
    gauge("media_ports", "RTP port pairs; those that rest after a call are in use.", ("state",), _ports),
    counter(
        "media_packets",
        "RTP packets by role of the leg; in is what its far end sent. Counted when the call ends, as all audio is.",
        ("role", "direction"),
        lambda sources: _counters(sources).packets,
    ),
    counter(
        "media_payload_bytes",
        "Payload octets of these packets.",
        ("role", "direction"),
        lambda sources: _counters(sources).octets,
    ),
    counter(
        "media_lost_packets",
        "RTP packets that were lost on their way to us.",
        ("role",),
        lambda sources: _counters(sources).lost,
    ),
    counter(
        "media_dropped_packets",
        "Packets that were dropped: of a foreign source, malformed, of no use (dropped), and SRTP that was not "
        "authentic (unauthenticated) or heard before (replayed).",
        ("role", "reason"),
        lambda sources: _counters(sources).unusable,
    ),
    histogram(
        "media_jitter_seconds",
        "Interarrival jitter of what a leg received, at its end (RFC 3550).",
        ("role",),
        lambda sources: _counters(sources).jitter,
    ),
    histogram(
        "media_mos",
        "Estimated mean opinion score of what a leg received, 1 to 4.41 (ITU-T G.107).",
        ("role",),
        lambda sources: _counters(sources).mos,
    ),
)
