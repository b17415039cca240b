"""A process that reports: at a steady pace, to its end, and whatever Kafka does meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import NewRecord, RecordPosition, TopicPartition
from tidewire.system.alarms import Rule, Severity
from tidewire.system.records import Observation, Process, State
from tidewire.system.reporter import Reporter
from tidewire.system.streams import SYSTEM, system_streams
from tidewire.system.writer import SystemWriter
from tidewire.topics.plan import spec_of

PROCESS = Process("gateway", "node-1", "http://127.0.0.1:1", 1000)
EVERY = 0.02
LOUD = Rule("loud", Severity.WARNING, lambda record, _: record["figures"]["noise"], str)


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(spec_of(system_streams()[SYSTEM]))
    return broker


def records(broker: MemoryBroker) -> list[dict[str, Any]]:
    found, _ = broker.log(TopicPartition(SYSTEM, 0)).read(0, 10_000)
    assert {record.key for record in found} <= {b"gateway/node-1"}
    return [json.loads(record.value or b"") for record in found]


@asynccontextmanager
async def reporting(
    broker: MemoryBroker, figures: dict[str, Any], every: float = EVERY
) -> AsyncIterator[SystemWriter]:
    async def observe() -> Observation:
        return Observation(State.READY, figures)

    writer = SystemWriter(broker.writer())
    reporter = Reporter(PROCESS, writer, observe, [LOUD], every=every)
    reporter.begin()
    try:
        yield writer
    finally:
        await reporter.end()
        await writer.close()


async def test_process_tells_how_it_is_again_and_again_and_that_it_ends(
    broker: MemoryBroker,
) -> None:
    async with reporting(broker, {"noise": 0}):
        await eventually(lambda: len(records(broker)) >= 3, what="three records")
    told = records(broker)
    assert [record["state"] for record in told] == ["ready"] * (len(told) - 1) + ["ended"]
    assert [record["at_ms"] for record in told] == sorted(record["at_ms"] for record in told)
    assert {record["every_ms"] for record in told} == {20}
    assert told[-1]["figures"] == {"noise": 0}
    assert told[-1]["alarms"] == []


async def test_alarms_are_part_of_the_record(broker: MemoryBroker) -> None:
    figures = {"noise": 0}
    async with reporting(broker, figures):
        await eventually(lambda: records(broker), what="a record")
        figures["noise"] = 1
        [alarm] = await eventually(lambda: records(broker)[-1]["alarms"], what="an alarm")
    assert (alarm["name"], alarm["severity"], alarm["text"]) == ("loud", "warning", "1")


async def test_process_that_ends_before_its_first_record_says_so_all_the_same(
    broker: MemoryBroker,
) -> None:
    async with reporting(broker, {"noise": 0}, every=1000.0):
        pass
    [record] = records(broker)
    assert (record["state"], record["figures"]) == ("ended", {})


async def test_kafka_that_is_away_costs_records_and_nothing_else(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.set_available(False)
    async with reporting(broker, {"noise": 0}) as writer:
        await eventually(lambda: writer.lost >= 3, what="lost records")
        broker.set_available(True)
        await eventually(lambda: records(broker), what="a record")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1


async def test_process_ends_in_time_though_kafka_does_not_answer(broker: MemoryBroker) -> None:
    async with reporting(broker, {"noise": 0}):
        await eventually(lambda: records(broker), what="a record")
        broker.hold_acknowledgements(True)
    assert records(broker)[-1]["state"] == "ready"


class ReluctantWriter:
    """A writer whose broker takes connections and says nothing: cancelled, it waits for a farewell that does not come."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def start(self) -> None:
        await self._wait("start")

    async def write(self, record: NewRecord) -> RecordPosition:
        raise AssertionError("nothing is written before it has started")

    async def partitions_of(self, topic: str) -> int:
        raise AssertionError("nobody asks")

    async def flush(self) -> None:
        raise AssertionError("nobody waits")

    async def close(self) -> None:
        raise AssertionError("nobody flushes")

    async def abandon(self) -> None:
        await self._wait("abandon")

    async def _wait(self, call: str) -> None:
        self.calls.append(call)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()


async def test_process_ends_though_a_client_of_kafka_would_rather_wait() -> None:
    async def observe() -> Observation:
        return Observation(State.READY, {"noise": 0})

    reluctant = ReluctantWriter()
    writer = SystemWriter(reluctant)
    reporter = Reporter(PROCESS, writer, observe, [LOUD], every=EVERY)
    reporter.begin()
    await eventually(lambda: reluctant.calls, what="the first start")
    async with asyncio.timeout(2.5):
        await reporter.end()
        await writer.close()
    assert reluctant.calls[-1] == "abandon"


async def test_fault_of_ours_ends_the_reports_with_a_trace_and_nothing_else(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async with reporting(broker, {}):
        await eventually(lambda: caplog.records, what="the fault is told")
    assert "fault" in str(caplog.records[0].msg)
    assert records(broker)[-1]["state"] == "ended"
