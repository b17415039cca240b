"""What delivery counts: how subscriptions stand, what became of positions, how old things are when they arrive."""

from collections.abc import Sequence
from typing import Any

import pytest

from harness.spans import SpanKeeper
from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.kafka.records import Header
from tidewire.protocol.codes import Mode
from tidewire.protocol.trace_context import traceparent
from tidewire.telemetry.metrics import Metrics, create_metrics
from tidewire_client.subscription_state import SubscriptionState as ClientState
from tidewire_gateway.core.feeds import Feed, count_by_state
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.subscriptions import (
    STATE_NAMES,
    SubscriptionState,
    oldest_just_written,
)
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.traces import EventTraces

STREAM = Stream(topic="t", table=True, modes=(Mode.LATEST, Mode.EVERY), public=True)


def make_node(
    count: int = 0, *, table: bool = True, traces: EventTraces | None = None, **limits: Any
) -> VirtualNode:
    log = VirtualLog("t", 1)
    for n in range(count):
        log.publish(0, f"k{n}", b"1")
    stream = STREAM.model_copy(update={"table": table})
    node = VirtualNode(log, stream, Limits(**limits), traces=traces)
    node.read_all()
    node.timers.settle()
    return node


def connect(node: VirtualNode, **options: Any) -> VirtualClient:
    client = VirtualClient(node, ClientState(), "s")
    client.subscribe(**options)
    return client


def since(offset: int) -> dict[str, Any]:
    return {"epoch": "epoch", "offsets": {"0": offset}}


def metrics_of(node: VirtualNode) -> Metrics:
    return node.delivery._instruments.metrics


def states(node: VirtualNode) -> dict[str, int]:
    """Those that there are, as the gauge has them."""
    node.delivery.count_subscriptions()
    gauges = metrics_of(node).gauges("subscriptions_by_state", "state")
    found = {state: int(gauge._value.get()) for state, gauge in gauges.items()}
    assert found == count_by_state(node.index)
    return {state: count for state, count in found.items() if count}


def resumes(node: VirtualNode) -> dict[tuple[str, str], int]:
    shown = metrics_of(node).render()[0].decode().splitlines()
    prefix = "tidewire_resumes_total{"
    found = {}
    for line in shown:
        if line.startswith(prefix):
            labels, value = line.removeprefix(prefix).split("} ")
            outcome, source = (part.split('"')[1] for part in labels.split(","))
            if float(value):
                found[outcome, source] = int(float(value))
    return found


# How subscriptions stand


def test_every_state_but_the_end_has_a_name_that_the_table_knows() -> None:
    assert set(STATE_NAMES) == set(SubscriptionState) - {SubscriptionState.ENDED}
    known = metrics_of(make_node()).gauges("subscriptions_by_state", "state")
    assert set(STATE_NAMES.values()) == set(known)


def test_subscriptions_are_counted_by_how_they_stand() -> None:
    node = make_node(10)
    assert states(node) == {}
    clients = [connect(node, interval_ms=1000) for _ in range(5)]
    node.timers.settle()
    assert states(node) == {"attached": 5}
    clients[0].update(paused=True)
    clients[1].is_congested = True
    for _ in range(2):
        node.log.publish(0, "k", b"2")
        node.read_all()
        node.timers.advance(1.0)
    assert states(node) == {"attached": 3, "paused": 1, "lagging": 1}
    node.log.publish(0, "k", b"3")
    node.read_all()
    connect(node, interval_ms=1000)
    assert states(node) == {"attached": 3, "paused": 1, "lagging": 1, "joining": 1}
    node.let_go(0)
    assert states(node) == {"waiting": 4, "paused": 1, "lagging": 1}
    for client in clients:
        client.leave()
    assert states(node) == {"waiting": 1}


def test_who_waits_for_older_events_from_kafka_is_catching_up() -> None:
    node = make_node(100, table=False)
    node.evict(0, 60)
    connect(node, mode="every", since=since(20))
    node.timers.settle()
    assert states(node) == {"catching_up": 1}
    node.backfill()
    node.timers.advance(1.0)
    assert states(node) == {"attached": 1}


# What became of positions


@pytest.mark.parametrize(
    ("mode", "at", "expected"),
    [
        ("latest", 40, ("changes", "ring")),
        ("every", 70, ("exact", "ring")),
        ("every", 100, ("exact", "ring")),
        ("every", 50, ("exact", "kafka")),
        ("every", 5, ("gap", "lost")),
        ("every", 500, ("gap", "lost")),
    ],
)
def test_resume_is_counted_with_its_source(mode: str, at: int, expected: tuple[str, str]) -> None:
    table = mode == "latest"
    node = make_node(100, table=table, backfill_records=30)
    node.evict(0, 60)
    connect(node, mode=mode, since=since(at))
    node.measure()
    node.backfill()
    node.timers.advance(1.0)
    assert resumes(node) == {expected: 1}


def test_snapshot_that_stands_in_for_what_is_gone_comes_from_memory() -> None:
    node = make_node(100)
    connect(node, mode="latest", since={"epoch": "another", "offsets": {"0": 3}})
    node.timers.advance(1.0)
    assert resumes(node) == {("snapshot", "ring"): 1}


def test_what_was_read_again_for_somebody_else_a_moment_ago_is_in_memory() -> None:
    node = make_node(100, table=False)
    node.evict(0, 60)
    connect(node, mode="every", since=since(20))
    node.backfill()
    node.timers.advance(1.0)
    connect(node, mode="every", since=since(30))
    assert resumes(node) == {("exact", "kafka"): 1, ("exact", "ring"): 1}


def test_fresh_subscriptions_and_those_that_lagged_are_no_resumes() -> None:
    node = make_node(10)
    client = connect(node)
    client.is_congested = True
    for _ in range(2):
        node.log.publish(0, "k", b"2")
        node.read_all()
        node.timers.advance(1.0)
    client.drain()
    node.timers.advance(1.0)
    assert states(node) == {"attached": 1}
    assert resumes(node) == {}


@pytest.mark.parametrize(
    ("at", "expected"), [(70, ("exact", "ring")), (50, ("exact", "kafka")), (5, ("gap", "lost"))]
)
def test_resume_answered_before_the_node_can_tell_is_counted_when_it_can(
    at: int, expected: tuple[str, str]
) -> None:
    node = make_node(100, table=False, backfill_records=20, live_timeout=2.0)
    node.let_go(0)
    connect(node, mode="every", since=since(at))
    node.timers.advance(3.0)
    assert states(node) == {"waiting": 1}
    assert resumes(node) == {}
    node.begin_anew(0, 60)
    node.read_all()
    node.timers.advance(1.0)
    assert resumes(node) == {expected: 1}
    node.backfill()
    node.timers.advance(1.0)
    assert resumes(node) == {expected: 1}


def test_resume_that_changes_its_rate_before_the_node_can_tell_is_counted_once() -> None:
    node = make_node(100, table=False, backfill_records=20, live_timeout=2.0)
    node.let_go(0)
    client = connect(node, mode="every", interval_ms=1000, since=since(5))
    node.timers.advance(3.0)
    client.update(interval_ms=2000)
    node.begin_anew(0, 60)
    node.read_all()
    node.timers.advance(3.0)
    assert resumes(node) == {("gap", "lost"): 1}


# How old things are when they arrive


def one_feed(node: VirtualNode) -> Feed:
    [feed] = node.index
    return feed


def publish(node: VirtualNode, headers: Sequence[Header] = ()) -> None:
    node.log.publish(0, "k", b"1", headers)
    node.read_all()
    node.timers.settle()


def test_feed_knows_how_old_its_last_flush_was_until_the_next_one() -> None:
    node = make_node()
    connect(node, interval_ms=0)
    node.delivery._instruments._wall_clock = lambda: node.log.now_ms / 1000 + 0.125
    publish(node)
    feed = one_feed(node)
    assert feed.oldest_at == node.timers.time() - 0.125
    feed.take_flush(node.timers.time())
    assert feed.oldest_at is None


def test_only_a_flush_written_just_before_tells_how_old_things_are() -> None:
    node = make_node()
    client = connect(node, interval_ms=0)
    assert oldest_just_written(client.subscriptions, node.timers.time()) is None
    publish(node)
    feed, at = one_feed(node), node.timers.time()
    assert feed.oldest_at is not None
    assert oldest_just_written(client.subscriptions, at) == feed.oldest_at
    assert oldest_just_written(client.subscriptions, at + 0.25) == feed.oldest_at
    assert oldest_just_written(client.subscriptions, at + 0.26) is None
    assert oldest_just_written({}, at) is None


def test_flush_that_is_not_written_to_a_connection_yet_tells_nothing_of_it() -> None:
    log = VirtualLog("t", 1)
    node = VirtualNode(log, STREAM, most_writes=1)
    first, second = (connect(node, interval_ms=0) for _ in range(2))
    node.timers.settle()
    log.publish(0, "k", b"1")
    node.read_all()
    now = node.timers.time()
    while not first.traceparents:
        node.timers.turn()
    assert second.traceparents == []
    assert oldest_just_written(first.subscriptions, now) is not None
    assert oldest_just_written(second.subscriptions, now) is None
    node.timers.settle()
    assert oldest_just_written(second.subscriptions, now) is not None


def test_who_lags_has_been_written_nothing() -> None:
    node = make_node()
    client = connect(node, interval_ms=0)
    client.is_congested = True
    publish(node)
    assert states(node) == {"lagging": 1}
    assert oldest_just_written(client.subscriptions, node.timers.time()) is None


def test_of_several_feeds_the_one_flushed_last_counts() -> None:
    node = make_node()
    client = connect(node, interval_ms=0)
    client.subscribe(mode="every", interval_ms=0)
    first, second = (s.feed for s in client.subscriptions.values())
    first.last_flush_at, first.oldest_at = 1000.0, 990.0
    second.last_flush_at, second.oldest_at = 1000.1, 995.0
    assert oldest_just_written(client.subscriptions, 1000.2) == 995.0
    second.oldest_at = None
    assert oldest_just_written(client.subscriptions, 1000.2) == 990.0


@pytest.mark.parametrize("flags", ["00", "01"])
def test_traced_flush_leaves_its_trace_beside_what_was_measured(flags: str) -> None:
    traces = EventTraces(
        spans=SpanKeeper().book(),
        flows=None,
        most_per_second=100,
        node="node-1",
        instruments=Instruments(create_metrics("gateway")),
    )
    node = make_node(traces=traces)
    connect(node, interval_ms=0)
    trace = traceparent(0xABC, 1)[:-2] + flags
    publish(node, (("traceparent", trace.encode()),))
    shown = metrics_of(node).render("application/openmetrics-text")[0].decode().splitlines()
    exemplars = [line.partition("_bucket")[0] for line in shown if f"{0xABC:032x}" in line]
    expected = ["tidewire_freshness_seconds", "tidewire_flush_seconds"]
    assert exemplars == (expected if flags == "01" else [])
