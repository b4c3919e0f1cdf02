"""What a scrape gets: the catalogue read and written down by prometheus-client, with its own metrics of the process."""

from __future__ import annotations

import asyncio
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
    """Makes the text of a scrape: values are read on the event loop, and written down by a thread."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Catalogue(sources))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """All metrics, in the format that the Accept header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, _Read(list(self._registry.collect()))), media_type


class _Read(CollectorRegistry):
    """Metrics whose values were read already."""

    def __init__(self, metrics: list[Metric]) -> None:
        super().__init__()
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


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
