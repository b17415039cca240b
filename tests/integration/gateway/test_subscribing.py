"""What a client gets for a subscription, over real sockets."""

import asyncio
from typing import Any

import pytest

from harness.gateway import FrameClient, Gateway, MemoryTopics
from harness.waiting import eventually
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, TopicPartition


def partition(group: str) -> int:
    return partition_of(group.encode(), 2)


async def publish(topics: MemoryTopics, key: str, data: Any) -> tuple[int, int]:
    group = key.partition("/")[0]
    where = await topics.publish("flights", key, data, partition=partition(group))
    return where.partition, where.offset


async def updates_until(client: FrameClient, key: str, data: Any) -> list[dict[str, Any]]:
    """Every event up to the one with this key and data."""
    seen: list[dict[str, Any]] = []
    while True:
        for event in (await client.expect("updates"))["events"]:
            seen.append(event)
            if event["key"] == key and event.get("data") == data:
                return seen


async def test_snapshot_holds_the_newest_value_of_every_entity(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", {"n": 1})
    await publish(topics, "JFK/1", {"n": 2})
    await publish(topics, "EWR/7", {"n": 3})
    await publish(topics, "EWR/8", {"n": 4})
    await publish(topics, "EWR/8", None)
    async with gateway.connect() as client:
        subscribed = await client.subscribe("flights")
        snapshot = await client.expect("snapshot")
    assert subscribed["recovered"] == "none"
    assert snapshot["sub"] == subscribed["sub"]
    assert {e["key"]: e["data"] for e in snapshot["events"]} == {
        "JFK/1": {"n": 2},
        "EWR/7": {"n": 3},
    }
    assert "partial" not in snapshot
    assert set(snapshot["position"]["offsets"]) == {"0", "1"}
    assert sum(snapshot["position"]["offsets"].values()) == 5


async def test_group_channel_carries_its_group_alone(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", {"n": 1})
    await publish(topics, "LGA/1", {"n": 1})
    async with gateway.connect() as client:
        await client.subscribe("flights/JFK")
        snapshot = await client.expect("snapshot")
        assert [e["key"] for e in snapshot["events"]] == ["JFK/1"]
        assert list(snapshot["position"]["offsets"]) == [str(partition("JFK"))]
        await publish(topics, "LGA/1", {"n": 2})
        await publish(topics, "JFK/1", {"n": 2})
        seen = await updates_until(client, "JFK/1", {"n": 2})
    assert {e["key"] for e in seen} == {"JFK/1"}


async def test_update_carries_the_published_bytes_and_where_they_stand(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("flights/JFK", snapshot=False)
        where = await topics.publish(
            "flights", "JFK/1", b'{ "price": 1.0 }', partition=partition("JFK"), ts=1234
        )
        raw = await client.connection.recv()
    assert '"data":{ "price": 1.0 },"ts":1234' in raw
    assert f'"offset":[{where.partition},{where.offset}]' in str(raw)


async def test_removed_entity_is_told_as_deleted(gateway: Gateway, topics: MemoryTopics) -> None:
    await publish(topics, "JFK/1", {"n": 1})
    async with gateway.connect() as client:
        await client.subscribe("flights/JFK")
        await client.expect("snapshot")
        await publish(topics, "JFK/1", None)
        event = (await client.expect("updates"))["events"][0]
    assert event["deleted"] is True
    assert "data" not in event


async def test_storm_is_coalesced_and_says_how_many_events_were_folded(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("flights/JFK", interval_ms=250, snapshot=False)
        for n in range(500):
            await publish(topics, "JFK/1", {"n": n})
        told = folded = 0
        last = -1
        while last < 499:
            updates = await client.expect("updates")
            told += len(updates["events"])
            folded += updates["coalesced"]
            last = updates["events"][-1]["data"]["n"]
    assert told + folded == 500
    assert told < 100


async def test_every_delivers_each_event_once_in_order(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        subscribed = await client.subscribe("notices", mode="every")
        for n in range(300):
            await topics.publish("notices", "k", n)
        seen = await updates_until(client, "k", 299)
    assert [e["data"] for e in seen] == list(range(300))
    assert subscribed["position"]["offsets"] == {"0": 0}


async def test_subscribers_of_the_same_channel_share_one_feed(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as one, gateway.connect() as two, gateway.connect() as other:
        first = await one.subscribe("flights/JFK", interval_ms=90)
        second = await two.subscribe("flights/JFK", interval_ms=100)
        third = await other.subscribe("flights/JFK", interval_ms=500)
        assert first["sub"] == second["sub"] != third["sub"]
        assert (first["interval_ms"], third["interval_ms"]) == (100, 500)
        for client in (one, two, other):
            await client.expect("snapshot")
        await publish(topics, "JFK/1", {"n": 1})
        frames = [await client.expect("updates") for client in (one, two, other)]
    assert frames[0] == frames[1]
    assert frames[2]["events"] == frames[0]["events"]


async def test_same_subscription_twice_is_refused(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        request = await client.send("subscribe", channel="notices", mode="every")
        message = await client.receive()
    assert message["id"] == request
    assert message["payload"]["code"] == "already_subscribed"


@pytest.mark.parametrize(
    ("channel", "options", "code"),
    [
        ("nowhere", {}, "unknown_channel"),
        ("notices/JFK", {}, "unknown_channel"),
        ("secret", {}, "forbidden"),
        ("@me", {}, "unknown_channel"),
        ("flights", {"mode": "merge"}, "unsupported"),
        ("flights", {"filter": {}}, "unsupported"),
        ("flights", {"since": {"epoch": 1}}, "bad_request"),
        ("fl ights", {}, "bad_request"),
    ],
)
async def test_bad_subscription_is_answered_with_its_code(
    gateway: Gateway, channel: str, options: dict[str, Any], code: str
) -> None:
    async with gateway.connect() as client:
        request = await client.send("subscribe", channel=channel, **options)
        message = await client.receive()
        assert message["type"] == "error"
        assert message["id"] == request
        assert message["payload"]["code"] == code
        await client.subscribe("flights")  # the connection goes on


async def test_unsubscribed_client_gets_nothing_more(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        sub = (await client.subscribe("flights/JFK", snapshot=False))["sub"]
        await client.subscribe("notices", mode="every")
        await client.send("unsubscribe", sub=sub)
        assert (await client.expect("unsubscribed"))["sub"] == sub
        await publish(topics, "JFK/1", {"n": 1})
        await topics.publish("notices", "k", 1)
        assert (await client.expect("updates"))["events"][0]["key"] == "k"
        await client.send("unsubscribe", sub=sub)
        assert (await client.expect("error"))["code"] == "bad_request"


async def test_resume_of_latest_gives_what_changed_since_removals_included(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    for n in range(3):
        await publish(topics, f"JFK/{n}", {"n": 0})
    async with gateway.connect() as client:
        await client.subscribe("flights/JFK")
        position = (await client.expect("snapshot"))["position"]
        await publish(topics, "JFK/1", {"n": 1})
        await publish(topics, "JFK/2", None)
        await updates_until(client, "JFK/2", None)
    async with gateway.connect() as client:
        subscribed = await client.subscribe("flights/JFK", since=position)
        assert subscribed["recovered"] == "changes"
        assert subscribed["position"] == position
        updates = await client.expect("updates")
    assert [(e["key"], e.get("data")) for e in updates["events"]] == [
        ("JFK/1", {"n": 1}),
        ("JFK/2", None),
    ]


async def test_resume_of_every_is_exact_within_the_log(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        position = (await client.subscribe("notices", mode="every"))["position"]
        for n in range(5):
            await topics.publish("notices", "k", n)
        await updates_until(client, "k", 4)
    async with gateway.connect() as client:
        subscribed = await client.subscribe("notices", mode="every", since=position)
        assert subscribed["recovered"] == "exact"
        seen = await updates_until(client, "k", 4)
    assert [e["data"] for e in seen] == list(range(5))


async def test_position_of_another_epoch_gets_a_snapshot_or_an_announced_gap(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", {"n": 1})
    await topics.publish("notices", "k", 1)
    foreign = {"epoch": "other", "offsets": {"0": 7, "1": 7}}
    async with gateway.connect() as client:
        table = await client.subscribe("flights", since=foreign)
        assert table["recovered"] == "snapshot"
        assert len((await client.expect("snapshot"))["events"]) == 1
        every = await client.subscribe("notices", mode="every", since=foreign)
        assert every["recovered"] == "gap"
        assert every["gap"] == {"0": [7, 0]}
        assert [e["data"] for e in (await client.expect("updates"))["events"]] == [1]


async def test_rate_changes_without_a_gap_and_old_numbers_stop_at_the_reply(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        sub = (await client.subscribe("notices", mode="every", interval_ms=0))["sub"]
        seen: list[int] = []
        for step, interval in enumerate((500, 0, 100, 2000, 0)):
            await topics.publish("notices", "k", 2 * step)
            await client.send("update_subscription", sub=sub, interval_ms=interval)
            await topics.publish("notices", "k", 2 * step + 1)
            while True:
                message = await client.receive()
                if message["type"] == "subscribed":
                    sub = message["payload"]["sub"]
                    break
                assert message["payload"]["sub"] == sub
                seen += [e["data"] for e in message["payload"]["events"]]
        await topics.publish("notices", "k", 99)
        while 99 not in seen:
            updates = await client.expect("updates")
            assert updates["sub"] == sub
            seen += [e["data"] for e in updates["events"]]
    assert seen == [*range(10), 99]


async def test_paused_subscription_gets_nothing_and_then_what_it_missed(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        sub = (await client.subscribe("flights/JFK", snapshot=False))["sub"]
        await client.send("update_subscription", sub=sub, paused=True)
        await client.expect("subscribed")
        await client.subscribe("notices", mode="every")
        await publish(topics, "JFK/1", {"n": 1})
        await publish(topics, "JFK/1", {"n": 2})
        await topics.publish("notices", "k", 1)
        assert (await client.expect("updates"))["events"][0]["key"] == "k"
        await client.send("update_subscription", sub=sub, paused=False)
        assert (await client.expect("subscribed"))["recovered"] == "changes"
        assert [e["data"] for e in (await client.expect("updates"))["events"]] == [{"n": 2}]


async def test_bad_records_are_skipped_and_the_partition_goes_on(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        await topics.publish("notices", "k", b"not json")
        await topics.publish("notices", None, 1)
        await topics.publish("notices", "k", b'"\xff"')
        await topics.publish("notices", "k", b'"' + b"x" * 400_000 + b'"')
        await topics.publish("notices", "k", 2)
        updates = await client.expect("updates")
    assert [e["data"] for e in updates["events"]] == [2]


async def test_large_snapshot_is_split_and_moves_the_position_only_in_its_last_part(
    topics: MemoryTopics, make_gateway: Any
) -> None:
    for n in range(40):
        await publish(topics, f"JFK/{n}", {"fill": "x" * 2000})
    async with make_gateway(limits={"max_frame_out": 16 * 1024}) as gateway, gateway.connect() as c:
        await c.subscribe("flights/JFK")
        parts = [await c.expect("snapshot")]
        while parts[-1].get("more"):
            parts.append(await c.expect("snapshot"))
    assert len(parts) > 4
    assert all(part["position"]["offsets"] == {} for part in parts[:-1])
    assert sum(len(part["events"]) for part in parts) == 40
    assert parts[-1]["position"]["offsets"] == {str(partition("JFK")): 40}


async def test_topic_that_appears_later_answers_the_waiting_subscription(
    topics: MemoryTopics, make_gateway: Any
) -> None:
    topics.broker.set_available(False)
    async with make_gateway() as gateway, gateway.connect() as client:
        await client.send("subscribe", channel="notices", mode="every")
        topics.broker.set_available(True)
        assert (await client.expect("subscribed"))["channel"] == "notices"


async def test_subscription_to_an_unreachable_topic_is_unavailable_with_a_time_to_retry(
    topics: MemoryTopics, make_gateway: Any
) -> None:
    topics.broker.set_available(False)
    async with make_gateway(limits={"live_timeout": 0.2}) as gateway, gateway.connect() as client:
        await client.send("subscribe", channel="notices", mode="every")
        error = await client.expect("error")
    assert error["code"] == "unavailable"
    assert error["retry_after_ms"] > 0


async def test_broker_that_goes_away_makes_subscriptions_stale_and_back_live_without_a_gap(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        topics.broker.set_available(False)
        assert (await client.expect("status"))["state"] == "stale"
        topics.broker.set_available(True)
        await topics.publish("notices", "k", 1)
        seen = [await client.receive(), await client.receive()]
    kinds = {message["type"]: message["payload"] for message in seen}
    assert kinds["status"]["state"] == "live"
    assert [e["data"] for e in kinds["updates"]["events"]] == [1]


async def test_record_that_no_client_can_decode_is_skipped_and_counted(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        await topics.publish("notices", "k", 1)
        topics.broker.append_undecodable(TopicPartition("notices", 0))
        await topics.publish("notices", "k", 3)
        seen = await updates_until(client, "k", 3)
    assert [e["offset"] for e in seen] == [[0, 0], [0, 2]]
    metrics = gateway.node.instruments.metrics.render()[0].decode()
    assert 'tidewire_events_rejected_total{reason="undecodable"} 1.0' in metrics


async def test_records_that_went_before_they_were_read_are_an_announced_gap(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        for n in range(5):
            topics.broker.append(NewRecord("notices", 0, b"k", b"%d" % n))
        topics.broker.truncate_before(TopicPartition("notices", 0), 3)
        seen = {}
        while "updates" not in seen:
            message = await client.receive()
            seen[message["type"]] = message["payload"]
    assert seen["gap"]["gap"] == {"0": [0, 3]}
    assert seen["gap"]["reason"] == "retention"
    assert [e["data"] for e in seen["updates"]["events"]] == [3, 4]


async def test_connection_that_ends_while_its_topic_is_unknown_leaves_nothing(
    topics: MemoryTopics, make_gateway: Any
) -> None:
    topics.broker.set_available(False)
    async with make_gateway() as gateway:
        async with gateway.connect() as gone, gateway.connect() as stays:
            await gone.send("subscribe", channel="notices", mode="every")
            await stays.send("subscribe", channel="notices", mode="every")
            await gone.connection.close()
            topics.broker.set_available(True)
            await stays.expect("subscribed")
        await eventually(lambda: not gateway.node.connections)


async def test_topic_that_is_missing_hinders_no_other(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        topics.broker.admin().delete("flights")
        await client.send("subscribe", channel="flights")
        await topics.publish("notices", "k", 1)
        assert (await client.expect("updates"))["events"][0]["data"] == 1


async def test_topic_that_is_deleted_while_it_is_read_hinders_no_other(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("notices", mode="every")
        flights = (await client.subscribe("flights"))["sub"]
        await client.expect("snapshot")
        topics.broker.admin().delete("flights")
        status = await client.expect("status")
        assert (status["sub"], status["state"]) == (flights, "stale")
        await topics.publish("notices", "k", 1)
        assert (await client.expect("updates"))["events"][0]["data"] == 1


async def test_partition_wanted_again_while_it_is_let_go_is_read_without_a_double(
    topics: MemoryTopics, make_gateway: Any
) -> None:
    for n in range(5):
        await topics.publish("notices", "k", n)
    async with make_gateway(linger=0.05) as gateway, gateway.connect() as client:
        sub = (await client.subscribe("notices", mode="every"))["sub"]
        await client.subscribe("flights/JFK")
        await client.expect("snapshot")
        reader = gateway.node._reader._reader
        assign = reader.assign
        has_come = asyncio.Event()

        async def slow_assign(starts: Any) -> None:
            await assign(starts)
            if all(p.topic != "notices" for p in starts):
                await client.send("subscribe", channel="notices", mode="every")
                assert (await client.expect("subscribed"))["position"]["offsets"] == {"0": 5}
                has_come.set()

        reader.assign = slow_assign
        await client.send("unsubscribe", sub=sub)
        await client.expect("unsubscribed")
        async with asyncio.timeout(10):
            await has_come.wait()
        await topics.publish("notices", "k", 5)
        seen: list[int] = []
        while 5 not in seen:
            message = await client.receive()
            if message["type"] == "updates":
                seen += [e["data"] for e in message["payload"]["events"]]
        assert seen == [5]
