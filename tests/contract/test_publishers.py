"""What publishers do over every broker: the record that a reader finds, and nothing lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from contract.backends import RECENT_MS, Backend, MemoryBackend, ServerBackend, new_topic
from contract.reading import read_until
from tidewire.config.streams import Stream
from tidewire.kafka.errors import UnknownTopicError
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import Record, RecordPosition, TopicPartition
from tidewire.publishing import (
    AsyncPublisher,
    BufferFullError,
    InvalidEventError,
    Publisher,
    PublisherClosedError,
    UnknownStreamError,
)
from tidewire.targeting.messages import Message, message_of

PARTITIONS = 6


@pytest.fixture
def streams(backend: Backend) -> dict[str, Stream]:
    flights = new_topic(backend, PARTITIONS)
    return {
        "flights": Stream(topic=flights, partitions=PARTITIONS, group="key-prefix"),
        "unmade": Stream(topic="contract-unmade"),
    }


@pytest.fixture
async def publisher(backend: Backend, streams: dict[str, Stream]) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher(backend.writer(), streams, source="tests") as publisher:
        yield publisher


async def records_of(backend: Backend, topic: str) -> list[Record]:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    reader = backend.reader()
    await reader.start()
    try:
        ends = {tp: bounds.end for tp, bounds in (await reader.bounds(partitions)).items()}
        await reader.assign(dict.fromkeys(partitions, 0))
        read = await read_until(
            reader,
            lambda read: all(read.next_offsets.get(tp, 0) >= end for tp, end in ends.items()),
        )
    finally:
        await reader.close()
    return read.records


async def test_a_published_event_is_a_cloudevent_in_its_groups_partition(
    backend: Backend, streams: dict[str, Stream], publisher: AsyncPublisher
) -> None:
    position = await publisher.publish(
        "flights",
        "JFK/B6-704",
        {"status": "departed"},
        headers={"airline": "B6"},
        event_id="e-1",
        time=datetime(2013, 1, 1, 5, 17, tzinfo=UTC),
        timestamp_ms=RECENT_MS + 123,
    )

    topic = streams["flights"].topic
    partition = partition_of(b"JFK", PARTITIONS)
    assert position == RecordPosition(topic, partition, 0)
    assert await records_of(backend, topic) == [
        Record(
            topic,
            partition,
            0,
            RECENT_MS + 123,
            b"JFK/B6-704",
            b'{"status":"departed"}',
            (
                ("ce_specversion", b"1.0"),
                ("ce_id", b"e-1"),
                ("ce_source", b"tests"),
                ("ce_type", b"tidewire.flights"),
                ("ce_time", b"2013-01-01T05:17:00Z"),
                ("content-type", b"application/json"),
                ("airline", b"B6"),
            ),
        )
    ]


async def test_ready_json_and_deletions_arrive_as_they_are(
    backend: Backend, streams: dict[str, Stream], publisher: AsyncPublisher
) -> None:
    await publisher.publish("flights", "JFK/1", b'{ "n" : 1.0 }')
    await publisher.publish("flights", "JFK/1", None)

    values = [record.value for record in await records_of(backend, streams["flights"].topic)]
    assert values == [b'{ "n" : 1.0 }', None]


async def test_events_of_one_key_keep_the_order_of_their_calls(
    backend: Backend, streams: dict[str, Stream], publisher: AsyncPublisher
) -> None:
    await asyncio.gather(*(publisher.publish("flights", "JFK/1", number) for number in range(300)))

    records = await records_of(backend, streams["flights"].topic)
    assert [orjson.loads(record.value or b"") for record in records] == list(range(300))


async def test_closing_loses_nothing_that_was_accepted(
    backend: Backend, streams: dict[str, Stream]
) -> None:
    publisher = AsyncPublisher(backend.writer(), streams)
    await publisher.start()
    publishing = [
        asyncio.create_task(publisher.publish("flights", f"{number}", number))
        for number in range(100)
    ]
    await asyncio.sleep(0)  # every call has begun

    await publisher.close()

    assert len(await asyncio.gather(*publishing)) == 100
    assert len(await records_of(backend, streams["flights"].topic)) == 100
    with pytest.raises(PublisherClosedError):
        await publisher.publish("flights", "JFK/1", 1)


async def test_what_cannot_be_published_is_refused(publisher: AsyncPublisher) -> None:
    with pytest.raises(UnknownStreamError, match=r"fligths.*flights"):
        await publisher.publish("fligths", "JFK/1", 1)
    with pytest.raises(UnknownTopicError, match="contract-unmade"):
        await publisher.publish("unmade", "JFK/1", 1)
    with pytest.raises(InvalidEventError, match="data: "):
        await publisher.publish("flights", "JFK/1", b"{")


async def test_events_wait_for_a_place_and_then_are_refused() -> None:
    backend = MemoryBackend()
    streams = {"flights": Stream(topic=new_topic(backend))}
    publisher = AsyncPublisher(backend.writer(), streams, max_in_flight=2, place_timeout=0.01)
    await publisher.start()
    backend.broker.hold_acknowledgements(True)
    waiting = [
        asyncio.create_task(publisher.publish("flights", "a", number)) for number in range(2)
    ]
    await asyncio.sleep(0)

    with pytest.raises(BufferFullError, match="2 events wait"):
        await publisher.publish("flights", "a", 2)
    backend.broker.hold_acknowledgements(False)

    assert [position.offset for position in await asyncio.gather(*waiting)] == [0, 1]
    assert (await publisher.publish("flights", "a", 2)).offset == 2
    await publisher.close()


async def test_the_synchronous_publisher_writes_the_same_records(
    backend: Backend, streams: dict[str, Stream]
) -> None:
    publisher = Publisher(backend.sync_writer(), streams, source="tests")
    for number in range(500):
        publisher.publish("flights", f"K{number % 7}/x", number, event_id=f"e-{number}")
    publisher.publish("flights", "K0/x", None)
    await asyncio.to_thread(publisher.flush)

    records = await records_of(backend, streams["flights"].topic)
    assert len(records) == 501
    for record in records:
        group = (record.key or b"").partition(b"/")[0]
        assert record.partition == partition_of(group, PARTITIONS)
        assert dict(record.headers)["ce_source"] == b"tests"
    of_one_key = [r.value for r in records if r.key == b"K3/x"]
    assert of_one_key == [b"%d" % number for number in range(3, 500, 7)]
    await asyncio.to_thread(publisher.close)
    with pytest.raises(PublisherClosedError):
        publisher.publish("flights", "K0/x", 1)


async def test_the_synchronous_publisher_loses_nothing_when_its_block_ends(
    backend: Backend, streams: dict[str, Stream]
) -> None:
    def publish() -> None:
        with Publisher(backend.sync_writer(linger=0.5), streams) as publisher:
            for number in range(200):
                publisher.publish("flights", f"{number}", number)

    await asyncio.to_thread(publish)

    assert len(await records_of(backend, streams["flights"].topic)) == 200


async def test_connect_makes_publishers_on_a_real_broker(
    backend: Backend, streams: dict[str, Stream]
) -> None:
    if not isinstance(backend, ServerBackend):
        pytest.skip("nothing to connect to in memory")
    targeted = new_topic(backend, PARTITIONS)
    async with AsyncPublisher.connect(backend.bootstrap, streams) as publisher:
        await publisher.publish("flights", "JFK/1", 1)
    async with AsyncPublisher.connect(backend.bootstrap, targeted_topic=targeted) as publisher:
        await publisher.publish_to_user("ann", 3)

    def publish() -> None:
        with Publisher.connect(backend.bootstrap, streams) as publisher:
            publisher.publish("flights", "JFK/1", 2)
        with Publisher.connect(backend.bootstrap, targeted_topic=targeted) as publisher:
            publisher.publish_to_user("ann", 4)

    await asyncio.to_thread(publish)

    values = [record.value for record in await records_of(backend, streams["flights"].topic)]
    assert values == [b"1", b"2"]
    assert [message.data for message in await messages_of(backend, targeted)] == [b"3", b"4"]


async def messages_of(backend: Backend, topic: str) -> list[Message]:
    """As a router reads them."""
    return [
        message_of(record, partitions=PARTITIONS) for record in await records_of(backend, topic)
    ]


async def test_who_only_tells_users_something_needs_no_streams(backend: Backend) -> None:
    topic = new_topic(backend, PARTITIONS)
    async with AsyncPublisher(backend.writer(), targeted_topic=topic) as publisher:
        position = await publisher.publish_to_user(
            "ann",
            {"gate": "B22"},
            ttl=90.5,
            collapse_key="gate",
            message_id="m-1",
            headers={"tenant": "a"},
        )
        fresh = await publisher.publish_to_user("ann", [1], ttl=timedelta(0))
        with pytest.raises(InvalidEventError, match=r"data: .*nothing to tell"):
            await publisher.publish_to_user("ann", None)
        with pytest.raises(UnknownStreamError, match="none is configured"):
            await publisher.publish("flights", "JFK/1", 1)

    partition = partition_of(b"ann", PARTITIONS)
    assert position == RecordPosition(topic, partition, 0)
    assert fresh == RecordPosition(topic, partition, 1)
    first, second = await messages_of(backend, topic)
    assert first == Message(
        *("ann", "m-1", b'{"gate":"B22"}', first.ts_ms, 90_500, "gate", partition, 0)
    )
    assert (second.data, second.ttl_ms, second.collapse_key) == (b"[1]", 0, None)
    assert len(second.id) == 36


async def test_events_to_one_user_keep_the_order_of_their_calls(backend: Backend) -> None:
    topic = new_topic(backend, PARTITIONS)
    async with AsyncPublisher(backend.writer(), targeted_topic=topic) as publisher:
        await asyncio.gather(*(publisher.publish_to_user("ann", number) for number in range(300)))

    messages = await messages_of(backend, topic)
    assert [orjson.loads(message.data) for message in messages] == list(range(300))
    assert len({message.id for message in messages}) == 300


async def test_the_synchronous_publisher_tells_users_the_same(backend: Backend) -> None:
    topic = new_topic(backend, PARTITIONS)

    def publish() -> None:
        with Publisher(backend.sync_writer(), targeted_topic=topic) as publisher:
            for number in range(100):
                publisher.publish_to_user(f"user-{number % 7}", number, ttl=60, message_id="m")
            with pytest.raises(InvalidEventError, match="ttl: must be 0"):
                publisher.publish_to_user("ann", 1, ttl=-1)
        with pytest.raises(PublisherClosedError):
            publisher.publish_to_user("ann", 1)

    await asyncio.to_thread(publish)

    messages = await messages_of(backend, topic)
    assert len(messages) == 100
    assert {message.ttl_ms for message in messages} == {60_000}
    of_one_user = [message.data for message in messages if message.user == "user-3"]
    assert of_one_user == [b"%d" % number for number in range(3, 100, 7)]


async def test_a_targeted_topic_that_is_missing_is_named(backend: Backend) -> None:
    async with AsyncPublisher(backend.writer(), targeted_topic="contract-unmade") as publisher:
        with pytest.raises(UnknownTopicError, match="contract-unmade"):
            await publisher.publish_to_user("ann", 1)


def test_a_synchronous_publisher_whose_buffer_is_full_says_so() -> None:
    backend = MemoryBackend()
    backend.broker.hold_acknowledgements(True)
    streams = {"flights": Stream(topic=new_topic(backend))}
    publisher = Publisher(backend.sync_writer(buffer_records=2), streams)
    for number in range(2):
        publisher.publish("flights", "a", number)
    with pytest.raises(BufferFullError, match="2 records wait"):
        publisher.publish("flights", "a", 2)

    backend.broker.hold_acknowledgements(False)
    publisher.publish("flights", "a", 2)
    publisher.close()

    log = backend.broker.log(TopicPartition(streams["flights"].topic, 0))
    assert [record.value for record in log.read(0, 10)[0]] == [b"0", b"1", b"2"]
