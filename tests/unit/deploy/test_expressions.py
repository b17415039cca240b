"""The check of the shipped expressions finds what is wrong."""

import pytest

from unit.deploy.expressions import Series, asked_by, exposed, problems


@pytest.fixture(scope="module")
def known() -> Series:
    return exposed()


@pytest.mark.parametrize(
    "expression",
    [
        "tidewire_connections",
        'sum by (job, instance) (rate(tidewire_handshakes_total{outcome="accepted"}[5m])) > 0',
        "histogram_quantile(0.9, sum by (job, le) (rate(tidewire_freshness_seconds_bucket[5m])))",
        'tidewire_errors_total{code=~"internal|unavailable", job=~"$job"}',
        'tidewire_handshakes_total{outcome=~"overloaded_.+"}',
        "tidewire_connections / on (job, instance) group_left () (process_open_fds)",
        "sum(python_gc_collections_total) by (generation) or vector(0)",
        "up == 0",
    ],
)
def test_what_is_exposed_may_be_asked_for(expression: str, known: Series) -> None:
    assert problems(expression, known) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(tidewire_handshake_total[5m])", "unknown metric tidewire_handshake_total"),
        ("sum(tidewire_freshness_seconds)", "unknown metric tidewire_freshness_seconds"),
        ("process_cpu_seconds", "unknown metric process_cpu_seconds"),
        ("job:tidewire_made_up:sum", "unknown metric job:tidewire_made_up:sum"),
        ('tidewire_connections{code="1006"}', "tidewire_connections has no label code"),
        (
            'tidewire_errors_total{code="interna1"}',
            "tidewire_errors_total has no code 'interna1'",
        ),
        (
            'tidewire_errors_total{code=~"internal|unavailble"}',
            "tidewire_errors_total has no code 'unavailble'",
        ),
        (
            'tidewire_handshakes_total{outcome=~"overload_.+"}',
            "tidewire_handshakes_total has no outcome 'overload_.+'",
        ),
        (
            "sum by (node) (tidewire_connections)",
            "no metric here has the label node",
        ),
        (
            "sum(tidewire_closes_total) by (outcome)",
            "no metric here has the label outcome",
        ),
        ("1 > 0", "asks for no metric"),
    ],
)
def test_what_is_not_is_found(expression: str, problem: str, known: Series) -> None:
    assert problems(expression, known) == [problem]


def test_each_metric_of_an_expression_is_looked_at(known: Series) -> None:
    found = problems("tidewire_feed / (tidewire_feeds + tidewire_fed) and up", known)
    assert found == ["unknown metric tidewire_feed", "unknown metric tidewire_fed"]


def test_a_selector_needs_a_name() -> None:
    with pytest.raises(AssertionError, match="without a metric's name"):
        asked_by('{job="gateway"}')


def test_what_the_table_has_is_exposed(known: Series) -> None:
    reasons = known["tidewire_events_rejected_total"]["reason"]
    assert reasons is not None
    assert "not_json" in reasons
    assert "tidewire_trace_spans_total" in known
    assert "tidewire_router_age_seconds_bucket" in known
