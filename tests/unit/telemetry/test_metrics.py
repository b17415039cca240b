import re

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from tidewire.identity.errors import Refusal
from tidewire.protocol.codes import ErrorCode
from tidewire.telemetry.metric_table import EVERY_SERVICE, METRICS, PREFIX, Kind, specs_of
from tidewire.telemetry.metrics import create_metrics, label_or_other
from tidewire.telemetry.tallies import Histogram

SERVICES = sorted({spec.service for spec in METRICS} - {EVERY_SERVICE})
MOST_SERIES = 350
"""Of one process, so that a fleet of hundreds is no burden to a scraper."""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


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
    theirs.pop(("_created", frozenset()), None)  # of a process that has no metrics of ours
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


def test_labels_have_few_values_that_stand_in_the_table() -> None:
    for spec in METRICS:
        assert not (spec.labels and spec.kind is Kind.HISTOGRAM)
        for label, values in spec.labels.items():
            assert re.fullmatch(r"[a-z]+", label)
            assert isinstance(values, tuple)
            assert 1 < len(set(values)) == len(values) <= 20
            assert all(re.fullmatch(r"[a-z0-9_]+", value) for value in values)


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_has_as_many_series_as_the_table_says_and_no_more(service: str) -> None:
    text = create_metrics(service).render()[0].decode()
    shown = [line for line in text.splitlines() if line.startswith(PREFIX)]
    build_info = 1
    expected = sum(spec.series for spec in specs_of(service)) + build_info
    assert len(shown) == expected <= MOST_SERIES, shown


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_series_tells_when_a_counter_began(accept: str) -> None:
    """All began with the process, which `process_start_time_seconds` tells: they would be a second series for every label."""
    metrics = create_metrics("gateway")
    metrics.counters("errors_total", "code")["bad_request"].inc()
    assert "_created" not in metrics.render(accept)[0].decode()


def test_a_gauge_may_have_a_label() -> None:
    metrics = create_metrics("gateway")
    states = metrics.gauges("subscriptions_by_state", "state")
    states["lagging"].set(3)
    shown = samples(metrics.render()[0])
    found = {
        dict(labels)["state"]: value
        for (name, labels), value in shown.items()
        if name == "tidewire_subscriptions_by_state"
    }
    assert found == {**dict.fromkeys(states, 0.0), "lagging": 3.0}


def test_a_bucket_keeps_the_last_observation_of_a_trace_for_openmetrics_alone() -> None:
    metrics = create_metrics("gateway")
    freshness = metrics.histogram("freshness_seconds")
    freshness.observe(0.02)
    freshness.observe(0.011, "0" * 31 + "1")
    freshness.observe(0.012, TRACE_ID)
    freshness.observe(0.013)
    freshness.observe(500.0, "0" * 31 + "2")
    lines = metrics.render(OPENMETRICS)[0].decode().splitlines()
    traced = [line for line in lines if "trace_id" in line]
    assert len(traced) == 2
    name = "tidewire_freshness_seconds_bucket"
    assert traced[0].startswith(f'{name}{{le="0.025"}} 4.0 # {{trace_id="{TRACE_ID}"}} 0.012 ')
    assert traced[1].startswith(f'{name}{{le="+Inf"}} 5.0 # {{trace_id="{"0" * 31}2"}} 500.0 ')
    assert b"trace_id" not in metrics.render()[0]


def test_openmetrics_with_exemplars_can_be_parsed() -> None:
    metrics = create_metrics("gateway")
    metrics.histogram("flush_seconds").observe(0.0002, TRACE_ID)
    text = metrics.render(OPENMETRICS)[0].decode()
    families = openmetrics_families(text)  # type: ignore[no-untyped-call] # untyped in the library
    exemplars = [
        sample.exemplar
        for family in families
        for sample in family.samples
        if sample.exemplar is not None
    ]
    [exemplar] = exemplars
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE_ID}, 0.0002)
    assert exemplar.timestamp is not None


def test_tokens_are_refused_for_reasons_that_the_table_has() -> None:
    [spec] = [spec for spec in specs_of("gateway") if spec.name == "tokens_refused_total"]
    assert set(spec.labels["reason"]) == {refusal.value for refusal in Refusal}
