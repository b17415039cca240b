"""Fixtures of the Kafka contract suite: one parameter a broker."""

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
    *EVERY_BROKER,
    pytest.param("embedded, resting", id="embedded, resting", marks=_BROKER_TIMEOUT),
]


def make_backend(broker: str, request: pytest.FixtureRequest) -> Backend:
    if broker == "memory":
        return MemoryBackend()
    if broker == "kafka":
        return ServerBackend(request.getfixturevalue("real_kafka"))
    return ServerBackend(
        request.getfixturevalue("embedded_kafka"),
        has_topic_ids=False,  # it answers zeros
        fetch_pause=0.01 if broker.endswith("resting") else 0.0,
    )


@pytest.fixture(params=EVERY_BROKER)
def backend(request: pytest.FixtureRequest) -> Backend:
    """A broker, for tests of writers and admin."""
    return make_backend(request.param, request)


@pytest.fixture(params=EVERY_READER)
def reading(request: pytest.FixtureRequest) -> Backend:
    """A broker and how it is read."""
    return make_backend(request.param, request)


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
