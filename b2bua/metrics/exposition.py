"""What a scrape gets: the catalogue read and written down by prometheus-client, with its own metrics of the process."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from b2bua.metrics.catalogue import FAMILIES
from b2bua.metrics.family import Family, Sources
from b2bua.telemetry.tally import Histogram


class Exposition:
    """Makes the text of a scrape. It is made on the event loop, in a few milliseconds."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Catalogue(sources))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """All metrics, in the format that the Accept header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type


class _Catalogue(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield _metric(family, self._sources)

    def describe(self) -> list[Metric]:
        """Nothing: whoever registers us need not read everything for the names."""
        return []


def _metric(family: Family, sources: Sources) -> Metric:
    labels = list(family.labels)
    if family.kind == "histogram":
        distribution = HistogramMetricFamily(family.name, family.help, labels=labels)
        for values, histogram in family.read(sources):
            assert isinstance(histogram, Histogram), "as its kind says"
            buckets = [(_bound(bound), count) for bound, count in histogram.cumulative()]
            distribution.add_metric(values, buckets, sum_value=histogram.total)
        return distribution
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.help, labels=labels)
    for values, value in family.read(sources):
        assert not isinstance(value, Histogram), "as its kind says"
        metric.add_metric(values, value)
    return metric


def _bound(bound: float) -> str:
    """As Prometheus writes it: `1.0`, `+Inf`."""
    return "+Inf" if bound == float("inf") else str(float(bound))
