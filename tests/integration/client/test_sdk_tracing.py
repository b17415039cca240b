"""Spans over a real socket: under the trace of their frame, until the application asks for more."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from harness.waiting import eventually
from integration.client.scripted_gateway import ScriptedGateway
from tidewire_client import Batch, Client, Subscription, TidewireClientError
from tidewire_client.subscription import MOST_RECEIPTS

MakeClient = Callable[..., Client]
README = Path(__file__).parents[3] / "sdk" / "python" / "README.md"
SPAN = "00f067aa0ba902b7"


def traceparent(number: int) -> str:
    return f"00-{number:032x}-{SPAN}-01"


class Exported:
    """A provider, and its spans as they end."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def traces(self) -> list[int]:
        """Of the spans that have ended, in the order of their ends."""
        return [span.context.trace_id for span in self.spans if span.context is not None]


@pytest.fixture
def exported() -> Exported:
    return Exported()


@pytest.fixture
def client(make_client: MakeClient, exported: Exported) -> Client:
    return make_client(tracer_provider=exported.provider)


async def next_batch(batches: AsyncIterator[Batch]) -> Batch:
    async with asyncio.timeout(5):  # and no task of its own: it waits after one turn of the loop
        return await anext(batches)


async def publish(gateway: ScriptedGateway, number: int) -> None:
    gateway.traceparent = traceparent(number)
    await gateway.publish(f"k{number}", number)


async def reading(
    client: Client, gateway: ScriptedGateway, mode: str = "every"
) -> tuple[Subscription, AsyncIterator[Batch], "asyncio.Task[Batch]"]:
    """A subscription that somebody waits for; its first batch is that of message 1."""
    sub = await client.subscribe("flights/JFK", mode=mode, snapshot=False)
    batches = aiter(sub)
    first = asyncio.create_task(next_batch(batches))
    await asyncio.sleep(0)  # it runs until it waits
    await publish(gateway, 1)
    return sub, batches, first


async def test_span_lasts_from_the_arrival_until_the_application_asks_for_more(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    before = time.time_ns()
    async with client:
        _, batches, first = await reading(client, gateway)
        batch = await first
        assert not exported.spans
        asked = time.time_ns()
        second = asyncio.create_task(next_batch(batches))
        await eventually(lambda: len(exported.spans) == 1)
        (span,) = exported.spans
        assert span.name == "receive flights"
        assert span.parent is not None
        assert (span.parent.trace_id, f"{span.parent.span_id:016x}") == (1, SPAN)
        assert span.start_time is not None
        assert span.end_time is not None
        assert before <= span.start_time <= asked <= span.end_time
        assert batch.received_at == span.start_time / 1e6
        assert batch.traceparent == traceparent(1)
        await publish(gateway, 2)
        await second
        assert exported.traces == [1]


async def test_messages_that_wait_for_the_consumer_are_open_until_it_has_dealt_with_them(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub, batches, first = await reading(client, gateway)
        await first
        await publish(gateway, 2)
        await publish(gateway, 3)
        await eventually(lambda: sub.position is not None and sub.position.offsets[0] == 3)
        assert exported.traces == []
        await next_batch(batches)
        assert exported.traces == [1]
        await next_batch(batches)
        assert exported.traces == [1, 2]


async def test_message_that_brings_nothing_new_ends_at_once(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        _, _, first = await reading(client, gateway)
        await first
        gateway.traceparent = traceparent(2)
        (peer,) = gateway.live
        (number,) = peer.subscriptions
        await gateway.push(peer, number, [0])
        await eventually(lambda: exported.traces == [2])


async def test_messages_folded_into_one_batch_end_with_it(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub, batches, first = await reading(client, gateway, "latest")
        await first
        await publish(gateway, 2)
        await publish(gateway, 3)
        await eventually(lambda: len(sub.state) == 3)
        batch = await next_batch(batches)
        assert (len(batch.events), batch.traceparent) == (2, traceparent(3))
        assert exported.traces == [1]
        await publish(gateway, 4)
        await next_batch(batches)
        assert exported.traces == [1, 2, 3]


async def test_consumer_that_leaves_ends_all_that_it_held(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub, batches, first = await reading(client, gateway)
        await first
        await publish(gateway, 2)
        await eventually(lambda: sub.position is not None and sub.position.offsets[0] == 2)
        await batches.aclose()  # type: ignore[attr-defined] # it is a generator
        assert sorted(exported.traces) == [1, 2]


async def test_message_that_nobody_iterates_ends_once_the_map_holds_it(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub = await client.subscribe("flights")
        await publish(gateway, 1)
        await eventually(lambda: exported.traces == [1])
        assert dict(sub.state) == {"k1": 1}


async def test_consumer_that_stands_still_holds_so_many_spans_and_no_more(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub, batches, first = await reading(client, gateway, "latest")
        await first
        count = MOST_RECEIPTS + 10
        for number in range(2, count + 1):
            await publish(gateway, number)
        await eventually(lambda: len(sub.state) == count)
        assert exported.traces == [*range(MOST_RECEIPTS + 1, count + 1)]
        await batches.aclose()  # type: ignore[attr-defined] # it is a generator
        assert sorted(exported.traces) == [*range(1, count + 1)]


async def test_iteration_that_ends_late_takes_no_span_from_the_next(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    async with client:
        sub, left, first = await reading(client, gateway)
        await first
        entered = aiter(sub)
        second = asyncio.create_task(next_batch(entered))
        await asyncio.sleep(0)  # it runs until it waits
        await left.aclose()  # type: ignore[attr-defined] # it is a generator
        assert exported.traces == []
        await publish(gateway, 2)
        assert (await second).traceparent == traceparent(2)
        assert 2 not in exported.traces


async def test_snapshots_and_gaps_carry_no_trace(
    gateway: ScriptedGateway, client: Client, exported: Exported
) -> None:
    gateway.records = [("a", 1)]
    async with client:
        batch = await next_batch(aiter(client.subscribe("flights")))
        assert (batch.kind, batch.traceparent, batch.received_at) == ("snapshot", None, None)
        assert not exported.spans


async def test_batch_tells_its_trace_and_arrival_without_a_provider_too(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        before = time.time_ns() / 1e6
        _, _, first = await reading(client, gateway)
        batch = await first
        assert batch.traceparent == traceparent(1)
        assert batch.received_at is not None
        assert before <= batch.received_at <= time.time_ns() / 1e6


async def test_fault_of_opentelemetry_costs_no_batch(
    gateway: ScriptedGateway, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def get_tracer(self, *args: Any) -> Any:
            raise RuntimeError("no tracer today")

    async with make_client(tracer_provider=Broken()) as client:
        _, _, first = await reading(client, gateway)
        assert [event.data for event in (await first).events] == [1]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "spans may be missing: OpenTelemetry failed"
    ]


def test_provider_without_opentelemetry_names_the_cure(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tidewire_client.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(TidewireClientError, match="pip install opentelemetry-api"):
        make_client(url="ws://127.0.0.1:1", tracer_provider=object())


async def test_package_loads_opentelemetry_only_when_it_is_asked_for() -> None:
    code = (
        "import sys; from tidewire_client import Client; Client('ws://h');"
        "print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert told.decode().strip() == "[]"


async def test_example_of_the_readme_prints_batch_and_span(gateway: ScriptedGateway) -> None:
    section = README.read_text(encoding="utf-8").split("## Tracing", 1)[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    program = found[1].replace("ws://127.0.0.1:8080/v1/ws", gateway.url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = process.stdout
    try:
        async with asyncio.timeout(20):
            await told.readuntil(b"snapshot None None")
            await publish(gateway, 1)
            await told.readuntil(traceparent(1).encode())
            await publish(gateway, 2)
            await told.readuntil(b'"name": "receive flights"')
    finally:
        process.kill()
        await process.wait()
