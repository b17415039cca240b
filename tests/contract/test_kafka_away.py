"""What readers and writers do while no broker answers, and after it is back."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from contract.backends import ServerBackend, new_topic
from contract.reading import Collected, numbered, read_until
from harness.ports import free_port
from tidewire.dev.brokers import RunningBroker, apache_kafka, embedded_broker
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader, ConfluentWriter
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import NewRecord, TopicPartition, TopicSpec
from tidewire.kafka.settings import KafkaSettings

TOO_LATE = 24
"""Questions without an answer, 0.5 s each: beyond the time after which librdkafka says of a request that it timed out."""

pytestmark = pytest.mark.timeout(120)


class SwitchedBroker:
    """A broker of this test alone, which it can switch off and on at one address."""

    def __init__(self, kind: str, data_dir: Path) -> None:
        self._kind = kind
        self._data_dir = data_dir
        self._port = free_port()
        self._running: AbstractContextManager[RunningBroker] | None = None
        self._pid: int | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    def on(self) -> None:
        if self._running is not None:
            return
        if self._kind == "embedded":
            self._running = embedded_broker(self._data_dir, kafka_port=self._port)
        else:
            self._running = apache_kafka(self._data_dir, port=self._port)
        self._pid = self._running.__enter__().pid

    def off(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(None, None, None)

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Connected, and never an answer."""
        assert self._pid is not None, "it is on"
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def switchable(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SwitchedBroker]:
    broker = SwitchedBroker(request.param, tmp_path_factory.mktemp("switched"))
    yield broker
    broker.off()


@pytest.fixture
def switched(switchable: SwitchedBroker) -> SwitchedBroker:
    """A broker that is on, whatever the test before did to it."""
    switchable.on()
    return switchable


@pytest.fixture
def switched_embedded(tmp_path: Path) -> Iterator[SwitchedBroker]:
    """For what the client alone decides, whichever broker is away."""
    broker = SwitchedBroker("embedded", tmp_path)
    broker.on()
    yield broker
    broker.off()


def dead_settings() -> KafkaSettings:
    return KafkaSettings(
        bootstrap=f"127.0.0.1:{free_port()}", connect_timeout=0.5, request_timeout=0.5
    )


@pytest.mark.parametrize("client", [ConfluentReader, AiokafkaWriter])
async def test_a_start_without_a_broker_names_the_address(
    client: type[ConfluentReader | AiokafkaWriter],
) -> None:
    settings = dead_settings()
    with pytest.raises(BrokerUnavailableError, match=settings.bootstrap):
        await client(settings).start()


def test_a_synchronous_writer_without_a_broker_names_the_address() -> None:
    settings = dead_settings()
    writer = ConfluentWriter(settings)
    with pytest.raises(BrokerUnavailableError, match=settings.bootstrap):
        writer.partitions_of("any")
    writer.close(0.1)


def test_what_no_broker_answers_is_told_by_its_error_and_not_logged_beside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = dead_settings().named("asks-in-vain")  # of which no line was held back before
    with pytest.raises(BrokerUnavailableError):
        ConfluentAdmin(settings).describe(["any"])
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("fetch_pause", [0.0, 0.01], ids=["steady", "resting"])
async def test_a_reader_reports_a_broker_that_went_away_and_goes_on_when_it_is_back(
    switched: SwitchedBroker, fetch_pause: float
) -> None:
    backend = ServerBackend(switched.bootstrap, fetch_pause=fetch_pause)
    topic = new_topic(backend)
    reader: RecordReader = backend.reader()
    await reader.start()
    try:
        backend.seed(numbered(topic, 5))
        await reader.assign({TopicPartition(topic, 0): 0})
        read = await read_until(reader, lambda read: len(read.records) == 5)

        switched.off()
        with pytest.raises(BrokerUnavailableError):
            await read_until(reader, lambda _: False, into=read)
        switched.on()
        backend.seed(numbered(topic, 5, first=5))
        await _read_despite_faults(reader, read, 10)
    finally:
        await reader.close()

    assert read.values() == [b"%d" % number for number in range(10)]


async def test_a_reader_does_not_take_its_own_client_giving_up_for_an_answer(
    switched_embedded: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched_embedded.bootstrap)
    topic = new_topic(backend)
    reader = ConfluentReader(backend.settings(silence_timeout=0.5))
    await reader.start()
    try:
        await reader.assign({TopicPartition(topic, 0): 0})
        with switched_embedded.silenced():
            with pytest.raises(BrokerUnavailableError):
                await read_until(reader, lambda _: False)
            for _ in range(TOO_LATE):
                with pytest.raises(BrokerUnavailableError):
                    await reader.fetch(max_records=10, max_wait=0.1)
    finally:
        await reader.close()


async def _read_despite_faults(reader: RecordReader, read: Collected, count: int) -> None:
    async with asyncio.timeout(30):
        while len(read.records) < count:
            try:
                fetched = await reader.fetch(max_records=100, max_wait=0.2)
            except BrokerUnavailableError:
                continue
            read.records += fetched.records


async def test_a_reader_that_could_not_start_starts_once_its_broker_is_there(
    switched: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched.bootstrap)
    topic = new_topic(backend)
    backend.seed(numbered(topic, 5))
    switched.off()
    reader = ConfluentReader(backend.settings(connect_timeout=0.5))
    try:
        for _ in range(2):
            with pytest.raises(BrokerUnavailableError):
                await reader.start()
        switched.on()
        async with asyncio.timeout(30):
            await _start_despite_faults(reader)
        await reader.assign({TopicPartition(topic, 0): 0})
        read = await read_until(reader, lambda read: len(read.records) == 5)
    finally:
        await reader.close()

    assert read.offsets() == list(range(5))


async def _start_despite_faults(reader: RecordReader) -> None:
    while True:
        try:
            return await reader.start()
        except BrokerUnavailableError:
            continue


@pytest.mark.parametrize("is_reading", [False, True], ids=["at rest", "reading"])
@pytest.mark.parametrize("is_silent", [False, True], ids=["gone", "silent"])
async def test_a_reader_closes_at_once_while_its_broker_is_away(
    switched_embedded: SwitchedBroker, is_silent: bool, is_reading: bool
) -> None:
    backend = ServerBackend(switched_embedded.bootstrap)
    topic = new_topic(backend)
    backend.seed(numbered(topic, 5))
    reader = backend.reader()
    await reader.start()
    await reader.assign({TopicPartition(topic, 0): 0})
    await read_until(reader, lambda read: len(read.records) == 5)

    with switched_embedded.silenced() if is_silent else contextlib.nullcontext():
        if not is_silent:
            switched_embedded.off()
        if is_reading:
            fetching = asyncio.create_task(reader.fetch(max_records=10, max_wait=60.0))
            with pytest.raises(BrokerUnavailableError):
                await fetching
        async with asyncio.timeout(5):
            await reader.close()


async def test_a_writer_reports_a_broker_that_went_away_and_goes_on_when_it_is_back(
    switched: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched.bootstrap)
    topic = new_topic(backend)
    writer = AiokafkaWriter(backend.settings(delivery_timeout=1.0, request_timeout=1.0))
    await writer.start()
    try:
        assert (await writer.write(numbered(topic, 1)[0])).offset == 0
        switched.off()
        with pytest.raises(BrokerUnavailableError):
            await writer.write(numbered(topic, 1, first=1)[0])
        switched.on()
        last = await _write_despite_faults(writer, numbered(topic, 1, first=2)[0])
    finally:
        await writer.close()

    # The record whose fate nobody knew was written too, before the next.
    assert last >= 2


async def _write_despite_faults(writer: AiokafkaWriter, record: NewRecord) -> int:
    async with asyncio.timeout(30):
        while True:
            try:
                return (await writer.write(record)).offset
            except BrokerUnavailableError:
                continue


async def test_closing_a_writer_without_its_broker_ends_and_says_so(
    switched_embedded: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched_embedded.bootstrap)
    topic = new_topic(backend)
    writer = AiokafkaWriter(backend.settings(delivery_timeout=1.0, request_timeout=1.0))
    await writer.start()
    await writer.write(numbered(topic, 1)[0])
    switched_embedded.off()
    with pytest.raises(BrokerUnavailableError):
        await writer.write(numbered(topic, 1, first=1)[0])

    with pytest.raises(BrokerUnavailableError):
        await writer.close()


def test_a_synchronous_writer_keeps_its_records_until_the_broker_is_back(
    switched: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched.bootstrap)
    topic = new_topic(backend)
    writer = ConfluentWriter(backend.settings())
    writer.offer(numbered(topic, 1)[0])
    assert writer.flush(20.0) == 0

    switched.off()
    for record in numbered(topic, 10, first=1):
        writer.offer(record)
    assert writer.flush(0.3) == 10
    switched.on()

    assert writer.flush(30.0) == 0
    writer.close(10.0)


def test_a_synchronous_writer_that_cannot_deliver_says_how_many_are_lost(
    switched_embedded: SwitchedBroker,
) -> None:
    backend = ServerBackend(switched_embedded.bootstrap)
    topic = new_topic(backend)
    writer = ConfluentWriter(backend.settings())
    assert writer.partitions_of(topic) == 1
    switched_embedded.off()
    for record in numbered(topic, 10):
        writer.offer(record)

    with pytest.raises(BrokerUnavailableError, match="10 records"):
        writer.close(0.3)


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_writer_that_is_abandoned_leaves_nothing_behind_whatever_its_broker_does(
    switched_embedded: SwitchedBroker, caplog: pytest.LogCaptureFixture, is_silent: bool
) -> None:
    backend = ServerBackend(switched_embedded.bootstrap)
    topic = new_topic(backend)
    writer = AiokafkaWriter(backend.settings())
    await writer.start()
    await writer.write(numbered(topic, 1)[0])
    gc.collect()  # what others have left is not this one's
    caplog.clear()
    with switched_embedded.silenced() if is_silent else contextlib.nullcontext():
        if not is_silent:
            switched_embedded.off()
        writing = asyncio.create_task(writer.write(numbered(topic, 1, first=1)[0]))
        async with asyncio.timeout(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(writing), 0.3)
            await writer.abandon()
            with pytest.raises(BrokerUnavailableError):
                await writing
        del writer
        gc.collect()
        await asyncio.sleep(0)
    loops_own = [record for record in caplog.records if record.name == "asyncio"]
    assert loops_own == []


async def test_the_in_memory_broker_can_be_switched_off_too() -> None:
    broker = MemoryBroker()
    broker.admin().create(TopicSpec("t", 1, {}))
    reader, writer = broker.reader(), broker.writer()
    await reader.start()
    await reader.assign({TopicPartition("t", 0): 0})
    waiting = asyncio.create_task(reader.fetch(max_records=1, max_wait=20.0))
    await asyncio.sleep(0)

    broker.set_available(False)
    with pytest.raises(BrokerUnavailableError):
        await waiting
    with pytest.raises(BrokerUnavailableError):
        await writer.write(NewRecord("t", 0, b"k", b"v"))
    with pytest.raises(BrokerUnavailableError):
        broker.admin().wait_until_ready(1.0)

    broker.set_available(True)
    await writer.write(NewRecord("t", 0, b"k", b"v"))
    assert len((await reader.fetch(max_records=1, max_wait=20.0)).records) == 1
