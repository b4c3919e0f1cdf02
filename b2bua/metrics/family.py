"""What a metric is: its name, what it means, and where its values are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from b2bua.telemetry.tally import Histogram, Labels

if TYPE_CHECKING:
    from b2bua.call.registry import CallRegistry
    from b2bua.record_writer import RecordWriter
    from b2bua.store import StoreStatus
    from b2bua.telemetry.loop_meter import LoopMeter
    from b2bua.trace.hep import HepExporter
    from b2bua.webhooks import Webhooks

PREFIX = "b2bua_"

Values = Iterable[tuple[Labels, float]]
Distributions = Iterable[tuple[Labels, Histogram]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read."""

    registry: CallRegistry
    records: RecordWriter
    webhooks: Webhooks
    loop: LoopMeter
    store: Callable[[], StoreStatus]
    hep: HepExporter | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its labels. `read` takes time in the order of its number of series, never of calls."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    """In full, as a query names it; that of a histogram without `_bucket`."""
    help: str
    labels: Labels
    read: Callable[[Sources], Values | Distributions]


def counter(name: str, help_: str, labels: Labels, read: Callable[[Sources], Values]) -> Family:
    """Rises since the start of the process."""
    return Family("counter", f"{PREFIX}{name}_total", help_, labels, read)


def gauge(name: str, help_: str, labels: Labels, read: Callable[[Sources], Values]) -> Family:
    """How it is now."""
    return Family("gauge", f"{PREFIX}{name}", help_, labels, read)


def histogram(name: str, help_: str, labels: Labels, read: Callable[[Sources], Distributions]) -> Family:
    """How values are distributed since the start of the process."""
    return Family("histogram", f"{PREFIX}{name}", help_, labels, read)


def one(read: Callable[[Sources], float]) -> Callable[[Sources], Values]:
    """The reading of a metric without labels."""
    return lambda sources: [((), read(sources))]


def by_name(read: Callable[[Sources], object], *names: str) -> Callable[[Sources], Values]:
    """The reading of a metric whose label is the name of a counter in the object that is read."""
    return lambda sources: [((name,), getattr(read(sources), name)) for name in names]
