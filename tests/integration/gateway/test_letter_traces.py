"""Sampled letters and pushes: spans of the node, and frames that go on with them."""

from typing import Any

import pytest

from harness.gateway import Gateway, MemoryTopics
from harness.spans import SpanKeeper, attributes_of, header_of, parent_of
from harness.targeted import INBOX, TargetedWorld
from harness.waiting import eventually
from integration.gateway.test_messages_to_users import (
    Nodes,
    client_of,
    internal_port,
    is_held,
    key_file,
    nodes,
)
from tidewire.targeting.registry import Place
from tidewire.telemetry import late_spans
from tidewire.telemetry.tracing import Tracing
from tidewire_gateway import app

__all__ = ["key_file", "nodes"]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = TRACE[:-1] + "0"


@pytest.fixture
def world(topics: MemoryTopics) -> TargetedWorld:
    return TargetedWorld(topics.broker)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> SpanKeeper:
    """What nodes are given in the place of what `OTEL_…` asks for."""
    spans = SpanKeeper()
    tracing = Tracing(spans.provider, spans.provider.shutdown)
    monkeypatch.setattr(app, "configure_tracing", lambda *_, **__: tracing)
    return spans


async def send(world: TargetedWorld, place: Place, data: Any, trace: str | None) -> None:
    letter = await world.post("ann", data, to=())
    await world.send(letter._replace(traceparent=trace), place)


def traced(gateway: Gateway) -> dict[str, float]:
    children = gateway.node.instruments._traced
    return {outcome: child._value.get() for outcome, child in children.items()}


async def test_a_sampled_letter_is_read_in_one_span_and_pushed_in_another(
    nodes: Nodes, world: TargetedWorld, key_file: Any, spans: SpanKeeper
) -> None:
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann", key_file) as phone,
        client_of(gateway, "ann", key_file) as laptop,
    ):
        for client in (phone, laptop):
            await client.subscribe("@me")
        [place] = await is_held(world, "ann", 2)
        await send(world, place, "hello", TRACE)
        frames = [await client.expect("updates") for client in (phone, laptop)]
        await eventually(lambda: len(spans.ended) == 2)
    [process], [push] = spans.named(f"process {INBOX}"), spans.named("push @me")
    assert parent_of(process) == TRACE
    assert parent_of(push) == header_of(process)
    assert [frame["traceparent"] for frame in frames] == [header_of(push)] * 2
    assert attributes_of(process) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": INBOX,
        "messaging.destination.partition.id": str(place.slot),
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "ann",
    }
    told = attributes_of(push)
    assert (told["messaging.destination.name"], told["tidewire.connections"]) == ("@me", 2)
    assert told["messaging.batch.message_count"] == 1


async def test_spans_that_wait_to_be_made_are_made_before_the_node_ends(
    nodes: Nodes,
    world: TargetedWorld,
    key_file: Any,
    spans: SpanKeeper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late_spans, "_INTERVAL", 3600.0)
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        [place] = await is_held(world, "ann")
        await send(world, place, "hello", TRACE)
        frame = await client.expect("updates")
        assert len(spans.ended) == 0
    [process], [push] = spans.named(f"process {INBOX}"), spans.named("push @me")
    assert parent_of(push) == header_of(process)
    assert frame["traceparent"] == header_of(push)


async def test_a_letter_that_nobody_takes_now_is_read_and_not_pushed(
    nodes: Nodes, world: TargetedWorld, key_file: Any, spans: SpanKeeper
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        sub = (await client.subscribe("@me"))["sub"]
        [place] = await is_held(world, "ann")
        await client.send("update_subscription", sub=sub, paused=True)
        await client.expect("subscribed")
        await send(world, place, "for later", TRACE)
        await eventually(lambda: len(spans.ended) == 1)
        await client.send("update_subscription", sub=sub, paused=False)
        await client.expect("subscribed")
        frame = await client.expect("updates")
    assert "traceparent" not in frame
    assert [event["data"] for event in frame["events"]] == ["for later"]
    assert [span.name for span in spans.ended] == [f"process {INBOX}"]


@pytest.mark.parametrize("trace", [UNSAMPLED, None])
async def test_a_letter_that_is_not_sampled_leaves_no_span(
    nodes: Nodes, world: TargetedWorld, key_file: Any, spans: SpanKeeper, trace: str | None
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        [place] = await is_held(world, "ann")
        await send(world, place, "quiet", trace)
        assert "traceparent" not in await client.expect("updates")
        assert traced(gateway) == {"traced": 0, "capped": 0, "not_sampled": 0}
    assert spans.ended == ()


async def test_of_a_storm_of_letters_and_pushes_no_more_are_followed_than_may_be(
    nodes: Nodes, world: TargetedWorld, key_file: Any, spans: SpanKeeper
) -> None:
    async with (
        nodes(world, trace_limit=1) as gateway,
        client_of(gateway, "ann", key_file) as client,
        internal_port(gateway) as internal,
    ):
        await client.subscribe("@me")
        [place] = await is_held(world, "ann")
        for number in range(20):
            await send(world, place, number, TRACE)
        await eventually(lambda: sum(traced(gateway).values()) == 20)
        for number in range(20):
            body = push_body(place, f"p-{number}")
            await internal.post("/internal/push", json=body, headers={"traceparent": TRACE})
        assert sum(traced(gateway).values()) == 40
        assert traced(gateway)["capped"] > 20
    assert len(spans.named("push @me")) == traced(gateway)["traced"]


def push_body(place: Place, push_id: str = "p-1") -> dict[str, Any]:
    return {
        "user": "ann",
        "id": push_id,
        "epoch": place.epoch,
        "connections": [*place.connections, "gone"],
        "ts_ms": 5,
        "data": 1,
    }


async def test_a_push_goes_on_with_the_calls_trace(
    nodes: Nodes, world: TargetedWorld, key_file: Any, spans: SpanKeeper
) -> None:
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann", key_file) as phone,
        client_of(gateway, "ann", key_file) as laptop,
        internal_port(gateway) as internal,
    ):
        for client in (phone, laptop):
            await client.subscribe("@me")
        [place] = await is_held(world, "ann", 2)
        for trace in (TRACE, UNSAMPLED, "nonsense"):
            answer = await internal.post(
                "/internal/push", json=push_body(place), headers={"traceparent": trace}
            )
            assert sorted(answer.json()["outcomes"].values()) == [
                *("delivered", "delivered"),
                "offline",
            ]
        frames = [[await client.expect("updates") for _ in range(3)] for client in (phone, laptop)]
    [push] = spans.ended
    assert (push.name, parent_of(push)) == ("push @me", TRACE)
    assert attributes_of(push)["tidewire.connections"] == 2
    assert [[frame.get("traceparent") for frame in told] for told in frames] == [
        [header_of(push), None, None]
    ] * 2
