import re

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidewire.protocol.codes import ErrorCode
from tidewire.telemetry.metric_table import METRICS, Kind
from tidewire.telemetry.metrics import create_metrics, label_or_other
from tidewire.telemetry.tallies import Histogram


def samples(metrics_text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics_text.decode())
        for sample in family.samples
    }


def test_names_follow_the_rule_and_are_declared_once() -> None:
    names = [(spec.service, spec.name) for spec in METRICS]
    assert len(set(names)) == len(names)
    for spec in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", spec.name)
        assert spec.name.endswith("_total") == (spec.kind is Kind.COUNTER)
        assert bool(spec.buckets) == (spec.kind is Kind.HISTOGRAM)
        assert spec.help


def test_every_series_is_shown_before_it_is_used() -> None:
    text, content_type = create_metrics("gateway").render()
    shown = samples(text)
    assert content_type.startswith("text/plain")
    assert shown["tidewire_connections", frozenset()] == 0
    for code in ErrorCode:
        assert shown["tidewire_errors_total", frozenset({("code", code.value)})] == 0


def test_a_bound_child_counts() -> None:
    metrics = create_metrics("gateway")
    metrics.counter("errors_total", code="forbidden").inc(2)
    metrics.histogram("freshness_seconds").observe(0.003)
    metrics.gauge("connections").set(7)
    shown = samples(metrics.render()[0])
    assert shown["tidewire_errors_total", frozenset({("code", "forbidden")})] == 2
    assert shown["tidewire_freshness_seconds_bucket", frozenset({("le", "0.005")})] == 1
    assert shown["tidewire_connections", frozenset()] == 7


def test_a_tally_counts() -> None:
    metrics = create_metrics("gateway")
    metrics.tally("events_delivered_total").inc(5)
    metrics.tally("events_delivered_total").inc()
    shown = samples(metrics.render()[0])
    assert shown["tidewire_events_delivered_total", frozenset()] == 6


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_shows_what_the_librarys_own_would(values: list[float]) -> None:
    bounds = (0.001, 0.5, 1, 2.5, 60)
    registry = CollectorRegistry()
    library = prometheus_client.Histogram("theirs", "-", registry=registry, buckets=bounds)
    ours = Histogram("ours", "-", bounds)
    registry.register(ours)
    for value in values:
        library.observe(value)
        ours.observe(value)
    shown = samples(generate_latest(registry))
    theirs = {(n.removeprefix("theirs"), k): v for (n, k), v in shown.items() if n[0] == "t"}
    found = {(n.removeprefix("ours"), k): v for (n, k), v in shown.items() if n[0] == "o"}
    theirs = {key: value for key, value in theirs.items() if key[0] != "_created"}
    assert found == theirs


def test_two_instances_in_one_process_do_not_share() -> None:
    first, second = create_metrics("gateway"), create_metrics("gateway")
    first.gauge("connections").inc()
    assert samples(second.render()[0])["tidewire_connections", frozenset()] == 0


def test_a_service_shows_its_own_metrics_only() -> None:
    text, _ = create_metrics("publisher").render()
    assert b"tidewire_publish_seconds" in text
    assert b"tidewire_connections" not in text
    assert b'service="publisher"' in text


@pytest.mark.parametrize("labels", [{"code": "nonsense"}, {}, {"reason": "forbidden"}])
def test_a_label_outside_the_table_is_a_bug(labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        create_metrics("gateway").counter("errors_total", **labels)


def test_what_the_fixed_set_does_not_name_is_counted_as_other() -> None:
    metrics = create_metrics("gateway")
    closes = metrics.counters("closes_total", "code")
    label_or_other(closes, "4999").inc()
    label_or_other(closes, "1006").inc()
    shown = samples(metrics.render()[0])
    assert shown["tidewire_closes_total", frozenset({("code", "other")})] == 1
    assert shown["tidewire_closes_total", frozenset({("code", "1006")})] == 1


def test_a_scraper_that_asks_for_openmetrics_gets_it() -> None:
    text, content_type = create_metrics("gateway").render("application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
