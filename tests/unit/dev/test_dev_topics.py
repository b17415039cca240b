"""The topics of `tidewire dev`, over a broker in memory."""

import pytest

from tidewire.config.streams import Stream, StreamsFile
from tidewire.dev.errors import TopicsDifferError
from tidewire.dev.topics import make_topics
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    broker = MemoryBroker(brokers=1)
    clients = "tidewire.kafka.confluent_clients.ConfluentAdmin"
    monkeypatch.setattr(clients, lambda settings: broker.admin())
    return broker


def test_missing_topics_are_made_and_found_the_next_time(broker: MemoryBroker) -> None:
    streams = StreamsFile(streams={"flights": Stream(topic="flights")})
    assert make_topics("127.0.0.1:9", streams, {}).endswith("(7 made, 0 there)")
    assert make_topics("127.0.0.1:9", streams, {}).endswith("(0 made, 7 there)")


def test_a_topic_that_differs_ends_the_start_with_a_way_out(broker: MemoryBroker) -> None:
    broker.create(TopicSpec("flights", 3, {"cleanup.policy": "delete"}))
    streams = StreamsFile(streams={"flights": Stream(topic="flights")})
    with pytest.raises(TopicsDifferError, match=r"flights differs .* another --data-dir"):
        make_topics("127.0.0.1:9", streams, {})


def test_replicas_for_which_there_are_no_brokers_end_the_start(broker: MemoryBroker) -> None:
    streams = StreamsFile(streams={"flights": Stream(topic="flights", replication=3)})
    with pytest.raises(TopicsDifferError) as raised:
        make_topics("127.0.0.1:9", streams, {})
    told = str(raised.value)
    assert told.startswith("topic flights cannot be made: brokers is 1, wanted 3: ")
    assert "--data-dir" not in told
