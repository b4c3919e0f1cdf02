"""The catalogue of metrics by the rules of Prometheus, its page and dashboard, and what bounds it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from b2bua.metrics import FAMILIES, Family
from b2bua.telemetry.tally import MAX_SERIES, Histogram, Histograms, Tally

ROOT = Path(__file__).parent.parent.parent
UNITS = ("seconds", "bytes", "ratio", "info", "timestamp_seconds")
NOT_BASE_UNITS = re.compile(r"_(ms|milliseconds|minutes|hours|kilobytes|octets|percent)(_|$)")
OF_LIBRARY = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_keeps_the_rules_that_promtool_checks(family: Family) -> None:
    assert re.fullmatch(r"b2bua_[a-z][a-z0-9_]*[a-z0-9]", family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert not re.search(r"_(count|sum|bucket)$", family.name)
    assert family.kind not in family.name
    assert not NOT_BASE_UNITS.search(family.name)
    assert family.help.endswith(".")
    assert family.help[0].isupper() or family.help[0].isdigit()
    assert "\n" not in family.help
    for label in family.labels:
        assert re.fullmatch(r"[a-z][a-z_]*", label)
        assert label not in ("le", "quantile", "instance", "job")
        assert f"_by_{label}" not in family.name


@pytest.mark.parametrize(
    "family", [each for each in FAMILIES if "second" in each.name or "byte" in each.name]
)
def test_a_unit_comes_last(family: Family) -> None:
    assert family.name.removesuffix("_total").endswith(UNITS)


def test_no_two_metrics_have_one_name() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


NOT_ON_THE_DASHBOARD = {
    "b2bua_handoffs_active",
    "b2bua_media_payload_bytes_total",
    "b2bua_sip_messages_received_total",
    "b2bua_sip_over_limit_requests_total",
    "b2bua_sip_forked_answers_total",
    "b2bua_sip_large_requests_total",
    "b2bua_sip_lost_flows_total",
    "b2bua_sip_send_dropped_datagrams_total",
    "b2bua_sip_tls_handshakes_total",
    "b2bua_store_failures_total",
    "b2bua_trace_bytes",
    "b2bua_hep_packets_total",
}


def test_what_the_dashboard_asks_for_exists() -> None:
    by_name = {family.name: family for family in FAMILIES}
    shown = set()
    for expression in _expressions():
        labels = {"instance", "le"}
        for name, matchers in re.findall(r"\b((?:b2bua|process)_\w+)\{([^}]*)\}", expression):
            if name in OF_LIBRARY:
                continue
            family = by_name[name.removesuffix("_bucket")]
            assert (family.kind == "histogram") == name.endswith("_bucket"), expression
            assert (family.kind == "gauge") != bool(re.search(rf"(rate|increase)\({name}\{{", expression))
            assert set(re.findall(r"(\w+)\s*=", matchers)) <= {*family.labels, "instance"}, expression
            labels |= set(family.labels)
            shown.add(family.name)
        grouped = [
            label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")
        ]
        assert set(grouped) <= labels, expression
    assert shown == set(by_name) - NOT_ON_THE_DASHBOARD


def _expressions() -> list[str]:
    dashboard = json.loads((ROOT / "docker/grafana-dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def test_a_tally_has_a_bounded_number_of_series() -> None:
    tally, histograms = Tally(), Histograms((1.0,))
    for number in range(MAX_SERIES * 2):
        tally.add((f"name{number}", "x"))
        histograms.observe((f"name{number}",), 0.5)

    assert dict(tally)["other", "other"] == MAX_SERIES
    assert len(dict(tally)) == len(dict(histograms)) == MAX_SERIES + 1
    tally.add(("name0", "x"), by=2)
    assert dict(tally)["name0", "x"] == 3


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 2, 3):
        histogram.observe(value)

    assert list(histogram.cumulative()) == [(1, 2), (2, 4), (float("inf"), 5)]
    assert histogram.total == 8
