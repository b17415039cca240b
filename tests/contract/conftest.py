"""Fixtures of the Kafka contract suite: one parameter a broker and client."""

from collections.abc import AsyncIterator

import pytest

from contract.backends import Backend, MemoryBackend, ServerBackend, new_topic
from tidewire.kafka.ports import RecordReader, RecordWriter

_BROKER_TIMEOUT = pytest.mark.timeout(120)  # the first one starts the broker
_REAL = (pytest.mark.kafka, _BROKER_TIMEOUT)

EVERY_BROKER = [
    pytest.param("memory", id="memory"),
    pytest.param("embedded", id="embedded", marks=_BROKER_TIMEOUT),
    pytest.param("kafka", id="kafka", marks=_REAL),
]
EVERY_READER = [
    pytest.param(("memory", ""), id="memory"),
    pytest.param(("embedded", "aiokafka"), id="embedded-aiokafka", marks=_BROKER_TIMEOUT),
    pytest.param(("embedded", "confluent"), id="embedded-confluent", marks=_BROKER_TIMEOUT),
    pytest.param(("kafka", "aiokafka"), id="kafka-aiokafka", marks=_REAL),
    pytest.param(("kafka", "confluent"), id="kafka-confluent", marks=_REAL),
]


def make_backend(broker: str, client: str, request: pytest.FixtureRequest) -> Backend:
    if broker == "memory":
        return MemoryBackend()
    if broker == "embedded":
        return ServerBackend(
            request.getfixturevalue("embedded_kafka"),
            client,
            has_topic_ids=False,  # it answers zeros
            # It makes what aiokafka's metadata requests ask for; Apache Kafka does unless told not to.
            creates_topics_that_are_asked_for=client == "aiokafka",
        )
    return ServerBackend(request.getfixturevalue("real_kafka"), client)


@pytest.fixture(params=EVERY_BROKER)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A broker, for tests of writers and admin."""
    return make_backend(request.param, "aiokafka", request)


@pytest.fixture(params=EVERY_READER)
def reading(request: pytest.FixtureRequest) -> Backend:
    """A broker and one of the clients that read it."""
    broker, client = request.param
    return make_backend(broker, client, request)


@pytest.fixture
def topic(backend: Backend) -> str:
    return new_topic(backend)


@pytest.fixture
async def reader(reading: Backend) -> AsyncIterator[RecordReader]:
    reader = reading.reader()
    await reader.start()
    yield reader
    await reader.close()


@pytest.fixture
async def writer(backend: Backend) -> AsyncIterator[RecordWriter]:
    writer = backend.writer()
    await writer.start()
    yield writer
    await writer.close()
