"""The metrics of what a B2BUA depends on: its loop, its far ends, DNS, the store, webhooks, records, certificates."""

from __future__ import annotations

from b2bua import __version__
from b2bua.encryption import needs_tls
from b2bua.metrics.family import Sources, Values, by_name, counter, gauge, histogram, one
from b2bua.reachability import State
from b2bua.registration.bindings import State as RegistrationState
from sip_stack.aio.answer_cache import AnswerCache


def _dns(sources: Sources) -> AnswerCache:
    return sources.registry.services.resolver.answers


def _reachable(sources: Sources) -> Values:
    configuration, reachability = sources.registry.configuration, sources.registry.services.reachability
    wanted = [
        *(
            ("trunk", trunk.name, outbound.uri, False)
            for trunk in configuration.trunks.values()
            if (outbound := trunk.outbound) is not None and outbound.ping
        ),
        *(
            ("destination", place.name, uri, needs_tls(place.encryption))
            for place in configuration.destinations.values()
            if place.dials and place.ping
            for uri in place.route
        ),
    ]
    for kind, name, uri, tls in wanted:
        state = reachability.state(uri, tls=tls)
        if state in (State.UP, State.DOWN):
            yield (kind, name, uri), state is State.UP


def _registered(sources: Sources) -> Values:
    bindings = sources.registry.services.bindings
    for trunk in sources.registry.configuration.trunks:
        for binding in bindings.of_trunk(trunk):
            registered = binding.state is RegistrationState.REGISTERED
            yield (binding.trunk, binding.registrar), registered


def _certificates(sources: Sources) -> Values:
    certificates = sources.registry.configuration.certificates
    return [((certificate.file,), certificate.not_after) for certificate in certificates]


def _trace_octets(sources: Sources) -> float:
    trace = sources.registry.services.trace
    return 0 if trace is None else trace.octets


def _defects(sources: Sources) -> Values:
    yield ("call",), sources.registry.failures
    yield ("sip",), sources.registry.services.stack.internal_errors
    yield ("listener",), sources.registry.services.feed.defects


FAMILIES = (
    gauge("build_info", "1, with the version as a label.", ("version",), lambda _: [((__version__,), 1)]),
    gauge(
        "draining",
        "1 while new calls are refused because the process is to end.",
        (),
        one(lambda sources: sources.registry.draining),
    ),
    histogram(
        "event_loop_lag_seconds",
        "How late timers of the event loop were, ten times a second.",
        (),
        lambda sources: [((), sources.loop.lag)],
    ),
    gauge(
        "event_loop_busy_ratio",
        "Share of one core that the event loop used in the last tenth of a second.",
        (),
        one(lambda sources: sources.loop.busy),
    ),
    counter(
        "defects",
        "Exceptions that should not have been: each is a defect, and in the log.",
        ("where",),
        _defects,
    ),
    gauge(
        "reachable",
        "1 when pings say that the next hop of a trunk or destination is up, 0 when it is down.",
        ("kind", "name", "uri"),
        _reachable,
    ),
    gauge(
        "registered",
        "1 while a registrar of a trunk has us, 0 while we try or it refused.",
        ("trunk", "registrar"),
        _registered,
    ),
    counter(
        "dns_lookups",
        "Questions put to the name servers.",
        (),
        one(lambda sources: _dns(sources).asked),
    ),
    counter(
        "dns_failures",
        "Questions that no name server answered.",
        (),
        one(lambda sources: _dns(sources).failures),
    ),
    counter(
        "dns_cache_hits",
        "Questions answered from the cache.",
        (),
        one(lambda sources: _dns(sources).hits),
    ),
    gauge("store_up", "1 while the store works.", (), one(lambda sources: sources.store().available)),
    gauge(
        "store_waiting_writes",
        "Writes that wait for the store.",
        (),
        one(lambda sources: sources.store().waiting),
    ),
    counter(
        "store_writes",
        "Writes to the store: written, or lost for good.",
        ("result",),
        by_name(lambda sources: sources.store(), "written", "lost"),
    ),
    counter(
        "store_failures",
        "Times that the store did not do what it was asked.",
        (),
        one(lambda sources: sources.store().failures),
    ),
    counter(
        "records",
        "Call records: written to the file, or lost.",
        ("result",),
        by_name(lambda sources: sources.records, "written", "lost"),
    ),
    gauge(
        "webhooks_waiting",
        "Webhook requests that wait or are under way.",
        (),
        one(lambda sources: sources.webhooks.waiting),
    ),
    counter(
        "webhooks",
        "Webhook requests: taken by the receiver, tried_again (each retry), or lost for good.",
        ("result",),
        by_name(lambda sources: sources.webhooks.counters, "taken", "tried_again", "lost"),
    ),
    gauge("trace_bytes", "Memory that the traces of calls take.", (), one(_trace_octets)),
    counter(
        "hep_packets",
        "Messages of calls for the HEP collector: sent, or lost on our side.",
        ("result",),
        lambda sources: by_name(lambda _: sources.hep, "sent", "lost")(sources) if sources.hep else [],
    ),
    gauge(
        "certificate_expiry_timestamp_seconds",
        "Until when a certificate of ours is valid, as Unix time.",
        ("file",),
        _certificates,
    ),
)
