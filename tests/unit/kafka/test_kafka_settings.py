"""Settings mean the same to both clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidewire.kafka.settings import KafkaSettings


def test_writers_are_idempotent_and_wait_for_all_replicas() -> None:
    settings = KafkaSettings(max_record_bytes=5000)
    aiokafka, librdkafka = settings.aiokafka_producer(), settings.librdkafka_producer()
    assert (aiokafka["acks"], aiokafka["enable_idempotence"]) == ("all", True)
    assert (librdkafka["acks"], librdkafka["enable.idempotence"]) == ("all", True)
    assert aiokafka["max_request_size"] == librdkafka["message.max.bytes"] == 5000


def test_readers_see_committed_records_never_jump_and_commit_nothing() -> None:
    librdkafka = KafkaSettings().librdkafka_consumer()
    assert librdkafka["isolation.level"] == "read_committed"
    assert librdkafka["auto.offset.reset"] == "error"
    assert librdkafka["enable.auto.commit"] is False
    assert librdkafka["allow.auto.create.topics"] is False


def test_what_waits_to_be_taken_is_bounded_and_asked_for_again_within_milliseconds() -> None:
    librdkafka = KafkaSettings(fetch_bytes=2 * 1024 * 1024).librdkafka_consumer()
    assert librdkafka["queued.max.messages.kbytes"] == 2048
    assert librdkafka["queued.min.messages"] < 100
    assert librdkafka["fetch.queue.backoff.ms"] <= 10


@given(st.floats(0.001, 5))
def test_durations_reach_the_clients_as_milliseconds(seconds: float) -> None:
    settings = KafkaSettings(fetch_wait=seconds)
    expected = max(1, round(seconds * 1000))
    assert settings.librdkafka_consumer()["fetch.wait.max.ms"] == expected


@pytest.mark.parametrize("bootstrap", ["", "localhost", "a:1,", "a:1, b:2", "a:x"])
def test_a_bootstrap_that_is_no_address_is_refused(bootstrap: str) -> None:
    with pytest.raises(ValidationError):
        KafkaSettings(bootstrap=bootstrap)


def test_several_brokers_are_given_to_both_clients() -> None:
    settings = KafkaSettings(bootstrap="a:1,b:2")
    assert settings.aiokafka_common()["bootstrap_servers"] == ["a:1", "b:2"]
    assert settings.librdkafka_common()["bootstrap.servers"] == "a:1,b:2"
