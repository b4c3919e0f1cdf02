"""The metrics of the rtpengine daemons, where they carry the audio; without them these families have no series."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from b2bua.metrics.family import Sources, Values, counter, gauge
from media.rtpengine import Node, RtpengineEngine


def _nodes(sources: Sources) -> Sequence[Node]:
    engine = sources.registry.services.engine
    return engine.nodes if isinstance(engine, RtpengineEngine) else ()


def _of_each(read: Callable[[Node], float]) -> Callable[[Sources], Values]:
    return lambda sources: [((str(node.where),), read(node)) for node in _nodes(sources)]


def _legs(sources: Sources) -> Values:
    for node in _nodes(sources):
        yield (str(node.where), "in_use"), node.in_use
        yield (str(node.where), "spare"), node.spare_legs


def _requests(sources: Sources) -> Values:
    for node in _nodes(sources):
        for result in ("answered", "refused", "unanswered"):
            yield (str(node.where), result), getattr(node.counters, result)


FAMILIES = (
    gauge(
        "rtpengine_up",
        "1 while an rtpengine daemon answers and gets new calls.",
        ("node",),
        _of_each(lambda node: node.is_up),
    ),
    gauge(
        "rtpengine_legs",
        "Legs of this process on an rtpengine daemon, two or three of each call: in_use, or spare, opened ahead.",
        ("node", "state"),
        _legs,
    ),
    counter(
        "rtpengine_lost",
        "Times that an rtpengine daemon was down or restarted, and its calls ended.",
        ("node",),
        _of_each(lambda node: node.counters.lost),
    ),
    counter(
        "rtpengine_requests",
        "Requests over the ng protocol: answered as asked, refused, or unanswered.",
        ("node", "result"),
        _requests,
    ),
    counter(
        "rtpengine_reply_seconds",
        "Time that replies to these took, in all: divided by those answered and refused, the mean.",
        ("node",),
        _of_each(lambda node: node.counters.seconds),
    ),
)
