"""What every topic admin does, over every broker."""

import pytest

from contract.backends import Backend, new_topic
from harness.ports import free_port
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.errors import BrokerUnavailableError, TopicExistsError, UnknownTopicError
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings


def test_a_topic_is_made_as_specified(backend: Backend) -> None:
    topic = new_topic(backend, 3, {"cleanup.policy": "compact", "retention.ms": "3600000"})

    (state,) = backend.admin().describe([topic]).values()

    assert (state.name, state.partitions) == (topic, 3)
    assert state.config["cleanup.policy"] == "compact"
    assert state.config["retention.ms"] == "3600000"
    assert (state.topic_id is not None) == backend.has_topic_ids


def test_a_topic_tells_its_replicas_and_a_cluster_its_brokers(backend: Backend) -> None:
    admin = backend.admin()
    topic = new_topic(backend)
    assert admin.describe([topic])[topic].replication == 1
    assert admin.brokers() >= 1


def test_counting_brokers_asks_for_no_topic(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = backend.admin()
    if not isinstance(admin, ConfluentAdmin):
        pytest.skip("it holds its topics itself")

    def refuse(**_: object) -> None:
        raise AssertionError("every topic was asked for")

    monkeypatch.setattr(admin._client, "list_topics", refuse)
    assert admin.brokers() >= 1


def test_a_topic_made_anew_has_another_id(backend: Backend) -> None:
    if not backend.has_topic_ids:
        pytest.skip("the embedded broker has no topic ids")
    admin = backend.admin()
    topic = new_topic(backend)
    before = admin.describe([topic])[topic].topic_id
    assert admin.describe([topic])[topic].topic_id == before

    admin.delete(topic)
    new_topic(backend, name=topic)

    assert admin.describe([topic])[topic].topic_id not in (before, None)


def test_a_topic_that_exists_is_not_made_again(backend: Backend) -> None:
    topic = new_topic(backend, 2)
    with pytest.raises(TopicExistsError, match=topic):
        backend.admin().create(TopicSpec(topic, 5, {}))
    assert backend.admin().describe([topic])[topic].partitions == 2


def test_only_topics_that_exist_are_described(backend: Backend) -> None:
    admin = backend.admin()
    topics = [new_topic(backend), new_topic(backend)]

    assert admin.describe([*topics, "contract-missing"]).keys() == set(topics)
    assert admin.describe([]) == {}
    assert admin.describe(["contract-missing"]) == {}


def test_a_deleted_topic_is_gone(backend: Backend) -> None:
    admin = backend.admin()
    topic = new_topic(backend)
    admin.delete(topic)
    assert admin.describe([topic]) == {}
    with pytest.raises(UnknownTopicError, match=topic):
        admin.delete(topic)


def test_ready_returns_once_a_broker_answers(backend: Backend) -> None:
    admin = backend.admin()
    admin.wait_until_ready(10.0)
    admin.close()


def test_ready_gives_up_when_no_broker_answers() -> None:
    port = free_port()
    admin = ConfluentAdmin(KafkaSettings(bootstrap=f"127.0.0.1:{port}"))
    with pytest.raises(BrokerUnavailableError, match=str(port)):
        admin.wait_until_ready(0.5)
