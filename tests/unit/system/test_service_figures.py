"""The figures of registry, router and publisher against docs/observability.md, and how they are read off metrics."""

import re
from pathlib import Path

import pytest

from tidewire.http.health import Stage
from tidewire.system.records import State
from tidewire.telemetry.metrics import create_metrics
from tidewire_publisher.reporting import PublisherObserver, publisher_figures
from tidewire_registry.reporting import RegistryObserver, registry_figures
from tidewire_router.reporting import RouterObserver, router_figures

CONTRACT = Path(__file__).parents[3] / "docs" / "observability.md"


def told(service: str) -> list[str]:
    """The names of a service's figures, as the contract gives them."""
    line = re.search(rf"- \*\*{service}\*\*: (.*)", CONTRACT.read_text())
    assert line is not None
    return re.findall(r"`(\w+)`", line[1])


def test_figures_have_the_names_of_the_contract() -> None:
    registry = registry_figures(
        nodes=1, slots=2, sessions=3, store_up=True, frozen=False, lookups=1.0, announces=2.0
    )
    router = router_figures(
        partitions=1, lag_records=2, waiting=3, registry_away=False, messages={}, dead_letters=4
    )
    assert list(registry) == told("registry")
    assert list(router) == told("router")
    assert list(publisher_figures({})) == told("publisher")


async def test_registry_tells_its_gauges_and_the_rates_of_its_requests() -> None:
    metrics = create_metrics("registry")
    observer = RegistryObserver(metrics, lambda: Stage.READY)
    metrics.gauge("registry_nodes").set(3)
    metrics.gauge("registry_slots").set(16)
    metrics.gauge("registry_sessions").set(100)
    metrics.gauge("registry_store_up").set(1)
    for outcome in ("done", "refused"):
        metrics.counter("registry_requests_total", operation="lookup", outcome=outcome).inc(5)
    observed = await observer.observe()
    figures = dict(observed.figures)
    assert observed.state is State.READY
    assert figures.pop("lookups") > 0
    assert figures == {
        "nodes": 3,
        "slots": 16,
        "sessions": 100,
        "store_up": True,
        "frozen": False,
        "announces": 0.0,
    }


async def test_router_tells_rates_of_messages_and_all_dead_letters() -> None:
    metrics = create_metrics("router")
    observer = RouterObserver(metrics, lambda: Stage.DRAINING)
    metrics.gauge("router_lag_records").set(12)
    metrics.gauge("router_registry_away").set(1)
    metrics.counter("router_messages_total", outcome="dead_letter").inc(2)
    observed = await observer.observe()
    assert observed.state is State.DRAINING
    assert observed.figures["lag_records"] == 12
    assert observed.figures["registry_away"] is True
    assert observed.figures["dead_letters"] == 2
    assert observed.figures["messages"]["dead_letter"] > 0
    assert observed.figures["messages"]["routed"] == 0
    later = await observer.observe()
    assert later.figures["messages"]["dead_letter"] == 0
    assert later.figures["dead_letters"] == 2


async def test_publisher_adds_up_events_to_streams_and_to_users() -> None:
    metrics = create_metrics("publisher")
    observer = PublisherObserver(metrics, lambda: Stage.READY)
    metrics.counter("user_events_published_total", outcome="written").inc(1)
    metrics.counter("events_published_total", outcome="unavailable").inc(1)
    published = (await observer.observe()).figures["published"]
    assert published["written"] == pytest.approx(published["unavailable"], rel=1e-6)
    assert published["written"] > 0
    assert published["invalid"] == 0
