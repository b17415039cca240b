"""The publisher for threads: each call is a span, whose place stands in the record."""

import pytest
from opentelemetry.trace import StatusCode

from harness.spans import SpanKeeper, attributes_of, header_of, parent_of
from tidewire.config.streams import Stream
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicPartition, TopicSpec
from tidewire.publishing import BufferFullError, Event, InvalidEventError, Publisher
from tidewire.targeting.messages import message_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STREAMS = {"flights": Stream(topic="flights.raw", partitions=1)}


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(TopicSpec("flights.raw", 1, {}))
    broker.create(TopicSpec("users", 1, {}))
    return broker


def headers(broker: MemoryBroker) -> list[bytes]:
    records, _ = broker.log(TopicPartition("flights.raw", 0)).read(0, 10)
    return [dict(record.headers)["traceparent"] for record in records]


def test_an_events_span_ends_when_it_is_queued(broker: MemoryBroker) -> None:
    spans = SpanKeeper()
    broker.hold_acknowledgements(True)
    publisher = Publisher(broker.sync_writer(), STREAMS, tracer=spans.tracer)
    publisher.publish_event("flights", Event("JFK/1", 1, id="e-1", trace={"traceparent": TRACE}))
    [span] = spans.named("send flights.raw")
    assert parent_of(span) == TRACE
    assert attributes_of(span)["messaging.message.id"] == "e-1"
    broker.hold_acknowledgements(False)
    publisher.close()
    assert headers(broker) == [header_of(span).encode()]


def test_an_event_to_a_user_has_a_span_too(broker: MemoryBroker) -> None:
    spans = SpanKeeper()
    with Publisher(broker.sync_writer(), targeted_topic="users", tracer=spans.tracer) as publisher:
        publisher.publish_to_user("ann", 1)
    [record] = broker.log(TopicPartition("users", 0)).read(0, 10)[0]
    [span] = spans.named("send users")
    assert message_of(record).traceparent == header_of(span)


def test_what_was_not_queued_is_an_error(broker: MemoryBroker) -> None:
    spans = SpanKeeper()
    broker.hold_acknowledgements(True)
    publisher = Publisher(broker.sync_writer(buffer_records=1), STREAMS, tracer=spans.tracer)
    publisher.publish("flights", "JFK/1", 1)
    with pytest.raises(BufferFullError):
        publisher.publish("flights", "JFK/2", 1)
    with pytest.raises(InvalidEventError):
        publisher.publish("flights", "", 1)
    assert [attributes_of(span).get("error.type") for span in spans.ended] == [
        None,
        "BufferFullError",
        "InvalidEventError",
    ]
    assert spans.ended[1].status.status_code is StatusCode.ERROR
    broker.hold_acknowledgements(False)
    publisher.close()
